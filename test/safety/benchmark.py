"""Times one step of the monitor: `python test/safety/benchmark.py [--rounds N] [--json FILE]`.

64 sensor objects, and plans of 6 candidates with a scene of 64 objects and 4 lines, in every fifth
step as on the car and in every step. Three cases: the road is free; every second plan is blocked,
so that all six candidates are refused and the approved one is judged as well; every plan is
blocked, so that the monitor stops by itself, which it judges, too. Each case is run for several
rounds; a figure is the median of the rounds' figures, with the least beside it, since whatever else
runs on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from dataclasses import astuple
from pathlib import Path
from typing import Any

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
from vla_driving.contract.scene import (
    TRAVELLED,
    LaneLine,
    LaneLineKind,
    ObjectList,
    SceneObject,
    SceneObjects,
)
from vla_driving.contract.trajectory import Trajectories, Trajectory
from vla_driving.contract.vehicle import DriverState
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor

SPEED = 12.0


def travelled(objects: tuple[SceneObject, ...]) -> Any:
    """The objects as the node reads them from the bytes of a message."""
    return SceneObjects(np.array([astuple(item) for item in objects], TRAVELLED))


def proposed(trajectories: tuple[Trajectory, ...]) -> Any:
    """The candidates as the node reads them from the bytes of a message."""
    rows = [np.frombuffer(trajectory.as_travelled, np.float32) for trajectory in trajectories]
    return Trajectories(np.stack(rows))


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
        beside, on_road = travelled(beside), travelled(on_road)
        plans: tuple[Plan, ...] = ()
        if k % every == 0 and k >= 4:
            stamp = now - LATENCY
            bends = (0.0, 0.0005, -0.0005, 0.001, -0.001, 0.002)
            blocked = bool(random.random() < share) and k > 200
            plans = (
                plan_of(
                    proposed(tuple(constant(SPEED, 0.0, bend) for bend in bends)), stamp,
                    k // every + 1, objects=on_road if blocked else beside, lane_lines=lines,
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


def figures_of(times: np.ndarray) -> dict[str, float]:
    """Percentiles and the worst of one round, ms."""
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50": float(p50), "p99": float(p99), "max": float(times.max())}


def over_rounds(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median and least of the rounds' figures, ms."""
    return {
        name: {
            "median": round(float(np.median([r[name] for r in rounds])), 3),
            "least": round(min(r[name] for r in rounds), 3),
        }
        for name in rounds[0]
    }


def main() -> None:
    """Print p50, p99 and the worst step, in CPU time; write the figures that are published."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1200, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write step_ms_p99 and others")
    options = parser.parse_args()
    cases: dict[str, list[dict[str, float]]] = {}
    count, shares = 0, []
    for k in range(options.rounds):
        of_round: dict[str, list[np.ndarray]] = {}
        for share in (0.0, 0.5, 1.0):
            for every in (5, 1):
                times, with_plan = measure(options.steps, every, share)
                title = f"{share:.0%} of the plans blocked, a plan in every {every}. step"
                parts = {f"{title}: steps with a plan": times[with_plan]}
                if every == 5:
                    parts[f"{title}: steps without"] = times[~with_plan]
                    of_round.setdefault("all steps", []).append(times)
                    of_round.setdefault("steps with a plan", []).append(times[with_plan])
                    of_round.setdefault("steps without a plan", []).append(times[~with_plan])
                for name, chosen in parts.items():
                    cases.setdefault(name, []).append(figures_of(chosen))
        for name, chosen_of_all in of_round.items():
            cases.setdefault(name, []).append(figures_of(np.concatenate(chosen_of_all)))
        every_step = np.concatenate(of_round["all steps"])
        count += len(every_step)
        shares.append(float(every_step.mean()) * 0.05)
        print(f"round {k + 1} of {options.rounds}: p99 {cases['all steps'][-1]['p99']:.2f} ms",
              flush=True)
    found = {name: over_rounds(rounds) for name, rounds in cases.items()}
    for name, figure in found.items():
        print(f"{name}: " + ", ".join(
            f"{key} {value['median']:.2f} (least {value['least']:.2f})"
            for key, value in figure.items()
        ) + " ms")
    figures = {
        "step_ms_p50": found["all steps"]["p50"]["median"],
        "step_ms_p99": found["all steps"]["p99"]["median"],
        "plan_step_ms_p50": found["steps with a plan"]["p50"]["median"],
        "plan_step_ms_p99": found["steps with a plan"]["p99"]["median"],
        "core_share_at_50_hz": round(float(np.median(shares)), 4),
        "steps": count,
        "rounds": options.rounds,
        "cases": found,
        "source_hash": source_hash(),
    }
    print(
        f"a plan in every 5. step, as on the car: p50 {figures['step_ms_p50']} ms, "
        f"p99 {figures['step_ms_p99']} ms of {count} steps"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
