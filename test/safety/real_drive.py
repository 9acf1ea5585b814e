"""A real drive before the monitor: what a person did with a car, as vehicle states and as plans.

The log is 30 s of comma2k19 (Toyota RAV4), which is not part of the project. Its satellite
navigation, wheel speeds, gyroscope, accelerometer and steering wheel become vehicle states at 50 Hz
(navigation as `speed`: two sources that know nothing of each other). What the driver did in the
6.4 s after an instant becomes a plan of that instant, ten times a second. So all checks that need
no other road users see real sensors and real driving, with the limits as shipped.

    python test/safety/real_drive.py      prints how often each check would have failed
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from drive import RATES, SETTINGS, START, STATE, VEHICLE, plan_of, signed_state

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import CheckResult, Engagement, Verdict
from vla_driving.contract.trajectory import HORIZON_S, TIMES_S, integrate
from vla_driving.contract.vehicle import DriverState, VehicleState
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor
from vla_driving.safety.settings import SafetyMonitorSettings

NAME = "comma2k19_rav4_30s.npz"
_PLACES = (Path(__file__).parents[2], Path(__file__).parents[3])
PATH = next((p for p in (b / "shared/data" / NAME for b in _PLACES) if p.exists()), None)
"""Where the log may lie: shared/data of this checkout or beside it."""
WHEELBASE, STEERING_RATIO = 2.66, 14.3
"""m; a RAV4 of 2017. The steering wheel turns so much further than the road wheels."""
LATENCY_S = 0.08
BAD = (Verdict.FAIL, Verdict.STALE, Verdict.INVALID, Verdict.NOT_INITIALISED)

FloatArray = npt.NDArray[np.float64]


class Log:
    """Signals of the log at any time in s from its first camera frame."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as log:
            self._log = {name: np.asarray(log[name], np.float64) for name in log.files}
        self._log["pose_speed"] = np.linalg.norm(self._log["pose_velocity_ecef"], axis=1)
        self._log["pose_speed_t"] = self._log["pose_t"]
        ends = [t[[0, -1]] for name, t in self._log.items() if name in ("pose_t", "gyro_t")]
        self.first_s = max(float(t[0]) for t in ends)
        self.last_s = min(float(t[1]) for t in ends)

    def signal(self, name: str, at: FloatArray | float, column: int | None = None) -> FloatArray:
        """Values at times, of one column or of the mean of all."""
        values = self._log[name].reshape(len(self._log[f"{name}_t"]), -1)
        column_values = values.mean(axis=1) if column is None else values[:, column]
        return np.asarray(np.interp(at, self._log[f"{name}_t"], column_values))

    def state(self, at: float, sequence: int) -> VehicleState:
        """Vehicle state as the sensors gave it: forward, right, down become forward, left, up."""
        speed = float(self.signal("pose_speed", at))
        steering_deg = self.signal("steering_wheel_angle_deg", np.array([at - 0.02, at]))
        angle = np.radians(steering_deg) / STEERING_RATIO
        return signed_state(
            STATE, stamp_ns=START + nanoseconds(at), sequence=sequence, speed=speed,
            wheel_speed=float(self.signal("wheel_speed", at)),
            acceleration=float(self.signal("accelerometer", at, 0)),
            lateral_acceleration=-float(self.signal("accelerometer", at, 1)),
            yaw_rate=-float(self.signal("gyro", at, 2)), steering_angle=float(angle[1]),
            steering_rate=float(angle[1] - angle[0]) / 0.02, standstill=speed < 0.1,
        )

    def plan(self, at: float, sequence: int) -> Plan:
        """What the driver did from then on, over 0.5 s of which sensors' noise is averaged."""
        times = at + np.concatenate([[0.0], TIMES_S])
        speed = self._smooth("pose_speed", times)
        bend = -self._smooth("gyro", times[1:], 2) / np.maximum(speed[1:], 1.0)
        path = integrate(float(speed[0]), np.diff(speed) / 0.1, bend)
        return plan_of((path,), START + nanoseconds(at), sequence)

    def _smooth(self, name: str, at: FloatArray, column: int | None = None) -> FloatArray:
        around = np.linspace(-0.25, 0.25, 26)
        return self.signal(name, at[:, None] + around, column).mean(axis=1)


@dataclass
class Found:
    """Reports of the engaged monitor, what failed in how many, and the values of each check."""

    reports: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=dict)
    limits: dict[str, CheckResult] = field(default_factory=dict)

    def take(self, checks: tuple[CheckResult, ...]) -> None:
        """One more report."""
        self.reports += 1
        self.failed.update(c.name for c in checks if c.verdict in BAD)
        for check in checks:
            self.values.setdefault(check.name, []).append(check.value)
            self.limits[check.name] = check


def replayed(log: Log, settings: SafetyMonitorSettings = SETTINGS) -> Found:
    """The whole log before the monitor, engaged after a second and a half."""
    monitor = SafetyMonitor(settings, VEHICLE, RATES, ("front",))
    begin, found = log.first_s, Found()
    pending: list[tuple[float, Plan]] = []
    for k in range(int((log.last_s - HORIZON_S - 0.3 - begin) / 0.02)):
        at = begin + 0.02 * k
        if k % 5 == 0:
            pending.append((at + LATENCY_S, log.plan(at, k // 5)))
        inputs = _others(k, START + nanoseconds(at))
        inputs = replace(
            inputs, vehicle_states=(_pressed(log.state(at, k), k),),
            plans=tuple(plan for due, plan in pending if due <= at),
        )
        pending = [entry for entry in pending if entry[0] > at]
        safety = monitor.step(inputs, START + nanoseconds(at)).safety_state
        if safety is None:
            continue
        if safety.engagement == Engagement.ENABLED:
            found.take(safety.checks)
        elif found.reports:
            found.failed[f"not engaged: {safety.alert_text}"] += 1
    return found


def _pressed(state: VehicleState, step: int) -> VehicleState:
    return signed_state(state, engage_button=step in range(75, 80))


def _others(step: int, now_ns: Nanoseconds) -> MonitorInputs:
    """An attentive driver, a camera that sees, a road without anybody else."""
    if step % 5:
        return MonitorInputs()
    number = step // 5
    camera = CameraReport("front", now_ns, FrameStatus.OK, 0.0, 0.0)
    return MonitorInputs(
        objects=(signed(ObjectList(now_ns, number, "radar", ())),),
        driver_states=(signed(DriverState(now_ns, True, True, True, 0.0, 0.0, number)),),
        frames=(signed(CameraHealth(now_ns, number, "test/1", (camera,))),),
    )


def main() -> int:
    """Print the table."""
    if PATH is None:
        print(f"needs {NAME}, a log of comma2k19 that is not part of the project", file=sys.stderr)
        return 1
    found = replayed(Log(PATH))
    print(f"{found.reports} reports of the engaged monitor, {len(found.limits)} checks each")
    for name, check in found.limits.items():
        values = found.values[name]
        print(f"{name:28} failed in {found.failed[name]:4}, from {min(values):8.3g} to"
              f" {max(values):8.3g}, limit {check.limit:6.3g} {check.unit}")
    for name in found.failed.keys() - found.limits.keys():
        print(f"{name}: {found.failed[name]}")
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
