"""What the stack must do about the hazards: the one table that checks, tests and evidence link to.

A test says what it shows by `@pytest.mark.requirement("SR-04")`. The build fails where a
requirement has no test that passes, a test names one that is not here, or a check of the safety
monitor belongs to none.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Requirement:
    """One row. `checks` are patterns, as of file names, of the monitor's checks that serve it.

    `faults` are further patterns of what `make faults` detects; `figures` are fields of
    out/safety.json that measure it.
    """

    identity: str
    text: str
    hazards: tuple[str, ...]
    checks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()

    def covers(self, check: str) -> bool:
        """Whether a check belongs to it."""
        return any(fnmatchcase(check, pattern) for pattern in self.checks)


REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        "SR-01", "Every command lies within the actuator envelope of the car: angle, rate, "
        "acceleration, jerk, lateral acceleration and lateral jerk, whatever is asked for.",
        ("HZ-02", "HZ-04", "HZ-05"), figures=("fuzz_escapes", "proofs"),
    ),
    Requirement(
        "SR-02", "A plan that is not sound, does not start at the car, or that this car cannot or "
        "must not drive is never approved.",
        ("HZ-02", "HZ-04", "HZ-05"),
        ("plan_finite", "plan_time", "plan_start*", "plan_steps", "plan_slip", "plan_turns",
         "plan_speeds", "plan_forward", "plan_curvature", "plan_steering_rate", "plan_lateral_*",
         "plan_acceleration", "plan_deceleration", "plan_speed"),
        figures=("fuzz_escapes",),
    ),
    Requirement(
        "SR-03", "A plan that jumps is followed only once confirmed; one that contradicts its own "
        "words, or states that it is unsure, is driven with a speed cap.",
        ("HZ-01", "HZ-02"), ("plan_shift", "plan_action_*", "plan_uncertainty"),
    ),
    Requirement(
        "SR-04", "No plan is followed on which contact that we would cause is foreseen; where it "
        "is near, the car brakes as hard as it can.",
        ("HZ-01",),
        ("collision_*", "time_to_collision", "stopping_distance"),
    ),
    Requirement(
        "SR-05", "The distance to others leaves a safe answer if the one ahead brakes fully or a "
        "neighbour cuts in; where it does not, the car slows down.",
        ("HZ-01",), ("headway", "lead_braking", "cut_in"),
    ),
    Requirement(
        "SR-06", "Objects of the model and of the independent sensor are both heeded; where they "
        "disagree on the path, or are no numbers, the car slows down or stops.",
        ("HZ-01", "HZ-06"),
        ("scene_agreement", "sensor_agreement", "scene_finite", "objects_finite"),
    ),
    Requirement(
        "SR-07", "No plan leaves the road; one that leaves its lane unannounced is driven with a "
        "speed cap.",
        ("HZ-02",), ("lane_departure", "road_edge"),
    ),
    Requirement(
        "SR-08", "The car keeps the lowest of its own, the route's, the signs' and the "
        "instruction's speed limit.",
        ("HZ-04",), ("speed_limit", "plan_limit", "speed_cap"),
    ),
    Requirement(
        "SR-09", "No plan that passes a red light is followed where the car can still stop.",
        ("HZ-12",), ("red_light",),
    ),
    Requirement(
        "SR-10", "Every input is watched for age, rate, order, gaps and form; that it never came, "
        "is too old, or is malformed are three different things, each with its own reaction.",
        ("HZ-06", "HZ-11"),
        ("*_freshness", "vehicle_state_rate", "plan_rate", "objects_rate", "route_rate",
         "driver_state_rate", "frames_rate", "*_order", "*_sequence", "*_malformed",
         "plan_validity", "plan_in_time"),
        figures=("fuzz_escapes",),
    ),
    Requirement(
        "SR-11", "A camera that is missing, frozen, dark, blinded, covered or blurred, or a set of "
        "cameras that is not this car's, ends in a stop; one lost picture alone slows down.",
        ("HZ-06", "HZ-09"), ("camera_health", "camera_late", "camera_set", "light", "visibility"),
        faults=("camera_*",),
    ),
    Requirement(
        "SR-12", "A process that is dead or stands, the monitor included, and a clock that jumps "
        "are noticed at once and end in a stop.",
        ("HZ-06",), ("*_alive", "clock", "monitor"),
        faults=("approved_plan_*", "command_timeout", "monitor_*"),
    ),
    Requirement(
        "SR-13", "A message whose checksum does not fit is refused, and a topic with a second "
        "speaker ends in a stop.",
        ("HZ-11",), ("publishers",), faults=("*_refused", "*_corrupt", "*_publishers"),
    ),
    Requirement(
        "SR-14", "The vehicle state is believed only while its two speed sources agree, its "
        "numbers move, and the car reports gear and health fit to drive.",
        ("HZ-06",), ("speed_sources", "vehicle_state_frozen", "vehicle_state_jump", "gear",
         "vehicle_faults"),
    ),
    Requirement(
        "SR-15", "A car that does not do as approved is stopped: beside the path, too fast, or "
        "moving beyond twice its limits.",
        ("HZ-02", "HZ-04", "HZ-05"),
        ("path_deviation", "speed_excess", "lateral_motion", "longitudinal_motion"),
    ),
    Requirement(
        "SR-16", "The monitor's own stop needs the last approved path and the vehicle state alone, "
        "asks for at most 4.0 m/s² where it is planned, and reaches standstill within the time and "
        "distance that it states.",
        ("HZ-01", "HZ-03", "HZ-06"), figures=("proofs",),
    ),
    Requirement(
        "SR-17", "The controller bridge stops the car by itself when approved plans or vehicle "
        "states end.",
        ("HZ-06",), faults=("vehicle_state_stale", "ego_motion_unknown"), figures=("proofs",),
    ),
    Requirement(
        "SR-18", "A stop is neither skipped nor softened: it ends at standstill or in the driver's "
        "hands.",
        ("HZ-01", "HZ-10"), figures=("proofs",),
    ),
    Requirement(
        "SR-19", "From every state in which the stack drives, a lasting fault leads to standstill.",
        ("HZ-01", "HZ-06"), figures=("proofs",),
    ),
    Requirement(
        "SR-20", "The driver wins at once, in every state and at every level: brake, wheel, "
        "accelerator and cancel.",
        ("HZ-03", "HZ-07"), figures=("proofs",),
    ),
    Requirement(
        "SR-21", "Only the driver engages, and only while every check lets the car be driven.",
        ("HZ-10",), figures=("proofs",),
    ),
    Requirement(
        "SR-22", "At L2 the driver is in the seat with eyes on the road and hands on the wheel; "
        "want of it is told in steps, then ends in a hand-over and, untaken, in a stop.",
        ("HZ-08",), ("driver_present", "driver_eyes", "driver_hands", "driver_lock_out"),
    ),
    Requirement(
        "SR-23", "Beyond the operational domain (speed, route) the driver is asked to take over.",
        ("HZ-09",), ("operating_speed", "route_deviation", "route_end"),
    ),
    Requirement(
        "SR-24", "Nothing that arrives makes a step raise; a check that is broken has failed, and "
        "a monitor that fails goes quiet, so that the bridge stops the car.",
        ("HZ-06", "HZ-11"), figures=("fuzz_escapes", "branch_coverage", "mutation_score"),
    ),
    Requirement(
        "SR-25", "Good driving is left alone.", ("HZ-03",), figures=("false_interventions",),
    ),
    Requirement(
        "SR-26", "Level, who drives and one line with check, value, limit and cause are told "
        "whenever they change.",
        ("HZ-07",),
    ),
    Requirement(
        "SR-27", "The checker shares no code, process, model or weights with the doer.",
        ("HZ-01", "HZ-06"),
    ),
    Requirement(
        "SR-28", "No check can be switched off, and a car whose limits contradict each other is "
        "refused.",
        ("HZ-01", "HZ-05", "HZ-06"),
    ),
)

BY_ID = {requirement.identity: requirement for requirement in REQUIREMENTS}
