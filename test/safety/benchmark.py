"""Times one step of the monitor: `python test/safety/benchmark.py [--steps N] [--json FILE]`.

64 sensor objects, and plans of 6 candidates with a scene of 64 objects and 4 lines, in every fifth
step as on the car and in every step. Three cases: the road is free; every second plan is blocked,
so that all six candidates are refused and the approved one is judged as well; every plan is
blocked, so that the monitor stops by itself, which it judges, too.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from pathlib import Path

import numpy as np
from drive import (
    LATENCY,
    RATES,
    SETTINGS,
    START,
    STATE,
    STEP,
    VEHICLE,
    car,
    constant,
    plan_of,
    signed_state,
)

from vla_driving.assurance.sources import source_hash
from vla_driving.contract.checksum import signed
from vla_driving.contract.frames import CameraHealth
from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectList
from vla_driving.contract.vehicle import DriverState
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor

SPEED = 12.0


def inputs(
    steps: int, every: int, share: float, random: np.random.Generator
) -> list[MonitorInputs]:
    """Inputs of consecutive steps, with a plan in each `every`-th."""
    lines = tuple(
        LaneLine(kind, 0.9, np.linspace(0, 80, 40, dtype=np.float32), np.full(40, y, np.float32))
        for kind, y in zip(LaneLineKind, (1.8, -1.8, 5.4, -5.4), strict=True)
    )
    made = []
    for k in range(steps):
        now = START + k * STEP
        state = signed_state(
            STATE, stamp_ns=now, sequence=k, speed=SPEED, wheel_speed=SPEED, standstill=False,
            engage_button=k % 100 == 60,
        )
        beside = tuple(
            car(float(random.uniform(-80, 120)), float(random.choice([-8, -4, 4, 8])),
                float(random.uniform(0, 20)))
            for _ in range(64)
        )
        on_road = tuple(car(float(x), float(random.normal(0, 1.0)), 0.0) for x in range(12, 140, 2))
        plans: tuple[Plan, ...] = ()
        if k % every == 0 and k >= 4:
            stamp = now - LATENCY
            bends = (0.0, 0.0005, -0.0005, 0.001, -0.001, 0.002)
            blocked = bool(random.random() < share) and k > 200
            plans = (
                plan_of(
                    tuple(constant(SPEED, 0.0, bend) for bend in bends), stamp, k // every + 1,
                    objects=on_road if blocked else beside, lane_lines=lines,
                ),
            )
        listed = (signed(ObjectList(now, k // 5, "radar", beside)),) if k % 5 == 0 else ()
        driver = (signed(DriverState(now, True, True, True, 0.0, 0.0, k // 5)),)
        made.append(
            MonitorInputs(
                vehicle_states=(state,), plans=plans, objects=listed,
                driver_states=driver if k % 5 == 0 else (),
                frames=(signed(CameraHealth(now, k // 5, "test/1", ())),) if k % 5 == 0 else (),
            )
        )
    return made


def measure(steps: int, every: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """CPU times of the steps in ms: all, and those with a plan."""
    random = np.random.default_rng(1)
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    times, with_plan = [], []
    arriving = inputs(steps, every, share, random)
    # As the node does once it is made: what is collected later is young.
    gc.collect()
    gc.freeze()
    for k, arrived in enumerate(arriving):
        now = START + k * STEP
        begin = time.thread_time_ns()
        monitor.step(arrived, now)
        times.append((time.thread_time_ns() - begin) * 1e-6)
        with_plan.append(bool(arrived.plans))
    return np.array(times[250:]), np.array(with_plan[250:])


def main() -> None:
    """Print p50, p99 and the worst step, in CPU time; write the figures that are published."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write step_ms_p99 and others")
    options = parser.parse_args()
    all_steps, plan_steps = [], []
    for share in (0.0, 0.5, 1.0):
        for every in (5, 1):
            times, with_plan = measure(options.steps, every, share)
            for what, chosen in (("all steps", times), ("steps with a plan", times[with_plan])):
                p50, p99 = np.percentile(chosen, [50, 99])
                print(
                    f"{share:4.0%} of the plans blocked, a plan in every {every}. step, {what}: "
                    f"p50 {p50:.2f}, p99 {p99:.2f}, max {chosen.max():.2f} ms; "
                    f"{times.mean() * 5:.1f} % of a core at 50 Hz",
                    flush=True,
                )
            if every == 5:
                all_steps.append(times)
                plan_steps.append(times[with_plan])
    steps, plans = np.concatenate(all_steps), np.concatenate(plan_steps)
    figures = {
        "step_ms_p50": round(float(np.percentile(steps, 50)), 3),
        "step_ms_p99": round(float(np.percentile(steps, 99)), 3),
        "plan_step_ms_p50": round(float(np.percentile(plans, 50)), 3),
        "plan_step_ms_p99": round(float(np.percentile(plans, 99)), 3),
        "steps": len(steps),
        "source_hash": source_hash(),
    }
    print(
        f"a plan in every 5. step, as on the car: p50 {figures['step_ms_p50']} ms, "
        f"p99 {figures['step_ms_p99']} ms of {len(steps)} steps"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
