"""The safety monitor's share of one core: `python test/safety/node_share.py`.

The real process, fed over DDS at the rates of the car: plans of 6 candidates with a scene of 64
objects and 4 lines, 64 objects of a sensor, vehicle state, camera health, driver and signs of life.
The car drives at 12 m/s, engaged, and follows the model. User and system time of the process, all
its threads, are counted over `--seconds`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from drive import LATENCY, RATES, STATE, car, constant, plan_of, signed_state
from rclpy.node import Node
from std_msgs.msg import Header

from vla_driving import paths
from vla_driving.assurance.sources import source_hash
from vla_driving.bench.domain import own_domain
from vla_driving.bringup.child import StartOptions
from vla_driving.bringup.lifecycle import BringupError
from vla_driving.bringup.processes import PROCESSES
from vla_driving.bringup.supervisor import Supervisor
from vla_driving.contract.checksum import signed
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.messages import set_stamp, to_message
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.plan import PlanSource
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectList
from vla_driving.contract.supervision import Engagement
from vla_driving.contract.topics import BY_NAME
from vla_driving.contract.vehicle import DriverState
from vla_driving.nodes.qos import profile
from vla_driving.nodes.stack_node import message_type

CAMERA = "front"
SPEED = 12.0
WARM_UP_S = 5.0
SHOW_EVERY_S = 5.0
LEAST_OF_MODEL = 0.95
"""Of the approved plans counted; with fewer the monitor was doing something else."""


class Feeder:
    """Speaks for vehicle, model, sensor and cameras, and hears what the monitor says."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._count = 0
        self._engaged = False
        self._writers = {}
        self.approved: Counter[PlanSource] = Counter()
        for topic in ("vehicle/state", "vla/plan", "vehicle/objects", "vla/driver_state",
                      "vla/camera_health", "vla/route", "vla/heartbeat"):
            row = BY_NAME[topic]
            self._writers[topic] = node.create_publisher(
                message_type(row.type), topic, profile(row.delivery)
            )
        for topic, take in (("vla/approved_plan", self._hear), ("vla/safety_state", self._see)):
            row = BY_NAME[topic]
            node.create_subscription(
                message_type(row.type), topic, take, profile(row.delivery)
            )
        lines = tuple(
            LaneLine(kind, 0.9, np.linspace(0, 80, 40, dtype=np.float32), np.full(40, y, "f4"))
            for kind, y in zip(LaneLineKind, (1.8, -1.8, 5.4, -5.4), strict=True)
        )
        random = np.random.default_rng(1)
        self._objects = tuple(
            car(float(random.uniform(-80, 120)), float(random.choice([-8, -4, 4, 8])), SPEED)
            for _ in range(64)
        )
        bends = (0.0, 0.0005, -0.0005, 0.001, -0.001, 0.002)
        self._plan = plan_of(
            tuple(constant(SPEED, 0.0, bend) for bend in bends), objects=self._objects,
            lane_lines=lines,
        )
        node.create_timer(1.0 / RATES.vehicle_state, self._feed)
        node.create_timer(1.0 / RATES.heartbeat, self._beat)

    def _hear(self, message) -> None:
        self.approved[PlanSource(message.source)] += 1

    def _see(self, message) -> None:
        self._engaged = message.engagement == Engagement.ENABLED

    def _beat(self) -> None:
        for name in ("camera_ingest", "vla_inference"):
            beat = Header(frame_id=name)
            set_stamp(beat.stamp, self._now_ns())
            self._writers["vla/heartbeat"].publish(beat)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _feed(self) -> None:
        now, k = self._now_ns(), self._count
        self._count += 1
        press = not self._engaged and k % 50 < 2
        self._send("vehicle/state", signed_state(
            STATE, stamp_ns=now, sequence=k, speed=SPEED, wheel_speed=SPEED, standstill=False,
            engage_button=press,
        ))
        number, turn = divmod(k, 5)
        # Spread over the period, as they come on the car.
        if turn == 0:
            stamp = now - LATENCY
            self._send("vla/plan", signed(replace(
                self._plan, stamp_ns=stamp, sequence=number, frame_sequence=number,
                valid_until_ns=stamp + 600_000_000,
            )))
        elif turn == 1:
            self._send("vehicle/objects", signed(ObjectList(now, number, "radar", self._objects)))
        elif turn == 2:
            camera = CameraReport(CAMERA, now, FrameStatus.OK, 0.0, 0.0)
            self._send("vla/camera_health", signed(CameraHealth(now, number, "test/1", (camera,))))
        elif turn == 3:
            self._send("vla/driver_state", signed(
                DriverState(now, True, True, True, 0.0, 0.0, number)
            ))
        elif number % 5 == 0:
            along = np.linspace(0.0, 300.0, 16, dtype=np.float32)
            self._send("vla/route", signed(
                Route(now, along, 0.0 * along, Turn.STRAIGHT, 250.0, 500.0, 20.0, number // 5)
            ))

    def _send(self, topic: str, value: object) -> None:
        self._writers[topic].publish(to_message(value))


def measure(seconds: float, logs: Path) -> tuple[float, float]:
    """User and system time of the monitor, each as a share of one core. Raises BringupError."""
    os.environ.update(own_domain(os.environ))
    rows = tuple(process for process in PROCESSES if process.name == "safety_monitor")
    options = StartOptions((paths.config("stack.yaml"),), logs)
    with Supervisor(rows, options, stop_car_first=False) as supervisor:
        supervisor.start()
        feeder = Feeder(supervisor.node)
        supervisor.watch(until=_elapsed(WARM_UP_S, "warming up"))
        feeder.approved.clear()
        monitor = psutil.Process(supervisor.pids[0])
        before, begin_s = monitor.cpu_times(), time.monotonic()
        supervisor.watch(until=_elapsed(seconds, "counting"))
        if not monitor.is_running() or supervisor.interrupted:
            raise BringupError("the monitor did not live to the end of the count")
        after, passed_s = monitor.cpu_times(), time.monotonic() - begin_s
    heard, of_model = feeder.approved.total(), feeder.approved[PlanSource.MODEL]
    if heard < RATES.approved_plan * seconds / 2 or of_model < LEAST_OF_MODEL * heard:
        raise BringupError(
            f"{heard} approved plans in {seconds:g} s, {of_model} of the model: the monitor was "
            f"not at its work; see {logs}"
        )
    return (after.user - before.user) / passed_s, (after.system - before.system) / passed_s


def _elapsed(seconds: float, what: str) -> Callable[[], bool]:
    """True once `seconds` have passed since now; says every few seconds how far it is."""
    begin_s = told_s = time.monotonic()

    def over() -> bool:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= SHOW_EVERY_S:
            told_s = now_s
            print(f"{what}: {now_s - begin_s:.0f} of {seconds:.0f} s", flush=True)
        return now_s - begin_s >= seconds

    return over


def main() -> int:
    """Print the share and write it; 1 where the monitor did not live or work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path, default=Path("out/safety/node_share.json"))
    arguments = parser.parse_args()
    logs = Path("out/safety/node_share")
    shutil.rmtree(logs, ignore_errors=True)
    try:
        user, system = measure(arguments.seconds, logs)
    except BringupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    figures = {
        "node_core_share": round(user + system, 4),
        "user": round(user, 4),
        "system": round(system, 4),
        "seconds": arguments.seconds,
        "source_hash": source_hash(),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"safety_monitor: {user + system:.1%} of a core ({user:.1%} user, {system:.1%} system)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
