"""Checks of what comes in: fresh, often enough, in order, complete, well formed."""

from __future__ import annotations

from collections.abc import Callable

from vla_driving.contract.events import Severity
from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.safety.checks.table import Group, Limits, Measured, Situation, StateCheck
from vla_driving.safety.heartbeats import NODES
from vla_driving.safety.intake import Intake, Watch

Pick = Callable[[Intake], Watch]  # type: ignore[type-arg]


def _absent(watch: Watch) -> Measured | None:  # type: ignore[type-arg]
    """Verdict on an input that has never come, or None where it has."""
    if watch.newest is not None:
        return None
    if watch.last_malformed:
        says = f"{watch.title} is invalid: {watch.reason}"
        return Measured(float(watch.malformed), Verdict.INVALID, says=says)
    verdict = Verdict.NOT_INITIALISED if watch.required else Verdict.PASS
    return Measured(0.0, verdict, says=f"{watch.title} has never come")


def _freshness(pick: Pick) -> Callable[[Situation], Measured]:
    def measure(situation: Situation) -> Measured:
        watch = pick(situation.intake)
        absent = _absent(watch)
        if absent is not None:
            return absent
        age = watch.age_s(situation.now_ns)
        if age <= watch.max_age_s:
            return Measured(age, Verdict.PASS)
        if watch.last_malformed:
            return Measured(
                age, Verdict.INVALID,
                says=f"{watch.title} is {{value}} old, newer ones are invalid: {watch.reason}",
            )
        return Measured(age, Verdict.STALE)

    return measure


def _rate(pick: Pick) -> Callable[[Situation], Measured]:
    def measure(situation: Situation) -> Measured:
        watch = pick(situation.intake)
        rate = watch.rate
        if rate is None:
            return Measured(1.0, Verdict.PASS, says=f"too few {watch.title}s yet for a rate")
        return Measured(rate / watch.rate_hz)

    return measure


def _malformed(pick: Pick) -> Callable[[Situation], Measured]:
    def measure(situation: Situation) -> Measured:
        watch = pick(situation.intake)
        count = watch.malformed
        if count > situation.settings.inputs.max_wrong:
            says = f"{{value}} of the last {watch.title}s are invalid: {watch.reason}"
            return Measured(float(count), Verdict.INVALID, says=says)
        return Measured(float(count), Verdict.WARN if watch.last_malformed else None)

    return measure


def _order(pick: Pick) -> Callable[[Situation], Measured]:
    return lambda situation: Measured(float(pick(situation.intake).disordered))


def _sequence(pick: Pick) -> Callable[[Situation], Measured]:
    return lambda situation: Measured(float(pick(situation.intake).missing))


def _topic(
    name: str, title: str, topic: str, pick: Pick, lost: Level, numbered: bool = True,
    hand_over: bool = False,
) -> tuple[StateCheck, ...]:
    """All checks of one topic; `lost` is the reaction where nothing fit to use comes any more."""
    common = (Group.INPUTS, topic)
    warning, error = Severity.WARNING, Severity.ERROR
    rows = [
        StateCheck(
            f"{name}_freshness", *common, lambda limits: _max_age(limits, name), "s", error, lost,
            f"{title} is {{value}} old", "deadline by topic",
            measure=_freshness(pick), hand_over=hand_over,
        ),
        StateCheck(
            f"{name}_rate", *common, lambda limits: limits.settings.inputs.min_rate_share, "",
            warning, Level.NOMINAL, f"{title}s come at {{value}} of their rate",
            "openpilot: 90 % of the rate",
            measure=_rate(pick), at_least=True,
        ),
        StateCheck(
            f"{name}_malformed", *common, lambda limits: limits.settings.inputs.max_wrong,
            "messages", error, lost, f"{{value}} of the last {title}s are invalid",
            "opendbc: 5 wrong ones", measure=_malformed(pick), hand_over=hand_over,
        ),
        StateCheck(
            f"{name}_order", *common, lambda limits: limits.settings.inputs.max_wrong, "messages",
            error, lost, f"{{value}} of the last {title}s came out of order: two publishers?",
            "opendbc: 5 wrong counters", measure=_order(pick), hand_over=hand_over,
        ),
    ]
    if numbered:
        rows.append(
            StateCheck(
                f"{name}_sequence", *common, lambda limits: limits.settings.inputs.max_lost,
                "messages", warning, Level.NOMINAL, f"{{value}} {title}s of late were lost",
                "numbers that are left out", measure=_sequence(pick),
            )
        )
    return tuple(rows)


def _max_age(limits: Limits, name: str) -> float:
    return float(getattr(limits.settings.inputs, f"{name}_max_age"))


def _alive(node: str) -> StateCheck:
    """A node that has said once that it lives goes on saying so."""

    def measure(situation: Situation) -> Measured:
        age = situation.intake.heartbeats.age_s(node, situation.now_ns)
        if age is None:
            return Measured(0.0, Verdict.PASS, says=f"{node} gives no sign of life")
        within = age <= situation.settings.inputs.heartbeat_max_age
        return Measured(age, Verdict.PASS if within else Verdict.STALE)

    return StateCheck(
        f"{node}_alive", Group.INPUTS, "vla/heartbeat",
        lambda limits: limits.settings.inputs.heartbeat_max_age, "s", Severity.ERROR,
        Level.MINIMAL_RISK, f"{node} is dead or hangs: silent for {{value}}",
        "Autoware gives a heartbeat 0.5 s", measure=measure,
    )


def _camera_health(situation: Situation) -> Measured:
    frames = situation.intake.frames.newest
    if frames is None:
        return Measured(0.0, Verdict.PASS, says="camera health does not reach the monitor")
    bad = [frame for frame in frames.cameras if frame.status != FrameStatus.OK]
    if not bad:
        return Measured(0.0)
    worst = bad[0]
    says = f"{worst.name} camera {_WORDS[worst.status]}"
    value, limit = float(worst.status_value), float(worst.status_limit)
    return Measured(value, Verdict.FAIL, limit=limit, says=says)


_WORDS = {
    FrameStatus.STALE: "stale for {value} s",
    FrameStatus.MISSING: "missing for {value} s",
    FrameStatus.FROZEN: "frozen for {value} s",
    FrameStatus.DARK: "dark, brightness {value}",
    FrameStatus.OVEREXPOSED: "overexposed, brightness {value}",
    FrameStatus.COVERED: "covered, contrast {value}",
    FrameStatus.BLURRED: "blurred, sharpness {value}",
}


def _clock(situation: Situation) -> Measured:
    error = situation.clock_error_s
    if error < 0.0:
        return Measured(error, Verdict.FAIL, says="the clock ran back: {value}")
    return Measured(error)


def _monitor(situation: Situation) -> Measured:
    error = situation.monitor_error
    return Measured(float(error is not None), says=error)


def _speed_sources(situation: Situation) -> Measured:
    state = situation.state
    if state is None:
        return Measured(0.0, Verdict.NOT_INITIALISED, says="vehicle state has never come")
    return Measured(abs(state.speed - state.wheel_speed))


def _malformed_scene(situation: Situation) -> Measured:
    return Measured(float(situation.malformed_scene))


def _malformed_objects(situation: Situation) -> Measured:
    return Measured(float(situation.malformed_objects))


def _none(limits: Limits) -> float:
    return 0.0


def _confirm(limits: Limits) -> float:
    return limits.settings.following.confirm


CHECKS: tuple[StateCheck, ...] = (
    # First of all: among failures of one rank the first is named, and these explain the others.
    StateCheck(
        "clock", Group.INPUTS, "clock", lambda limits: limits.settings.inputs.max_clock_step, "s",
        Severity.ERROR, Level.MINIMAL_RISK, "the clock jumped, or the monitor stood, for {value}",
        "no step may take this long, none may run back", measure=_clock,
    ),
    StateCheck(
        "monitor", Group.INPUTS, "the monitor itself", _none, "failures", Severity.CRITICAL,
        Level.MINIMAL_RISK, "the monitor itself failed", "an exception in a step", measure=_monitor,
    ),
    *(_alive(node) for node in NODES),
    *_topic(
        "vehicle_state", "vehicle state", "vehicle/state", lambda i: i.vehicle_state,
        Level.MINIMAL_RISK,
    ),
    *_topic("plan", "plan", "vla/plan", lambda i: i.plan, Level.MINIMAL_RISK),
    *_topic("objects", "object list", "vehicle/objects", lambda i: i.objects, Level.MINIMAL_RISK),
    *_topic("route", "route", "vla/route", lambda i: i.route, Level.DEGRADED, numbered=False),
    *_topic(
        "driver_state", "driver state", "vla/driver_state", lambda i: i.driver_state,
        Level.DEGRADED, numbered=False, hand_over=True,
    ),
    *_topic("frames", "camera health", "vla/camera_health", lambda i: i.frames, Level.MINIMAL_RISK),
    StateCheck(
        "camera_health", Group.INPUTS, "vla/camera_health", _none, "", Severity.ERROR,
        Level.MINIMAL_RISK, "cameras are well", "status by camera_ingest", measure=_camera_health,
        confirm=_confirm,
    ),
    StateCheck(
        "speed_sources", Group.INPUTS, "vehicle/state",
        lambda limits: limits.settings.inputs.max_speed_difference, "m/s", Severity.ERROR,
        Level.MINIMAL_RISK, "speed and wheel speed differ by {value}", "opendbc: 2 m/s",
        measure=_speed_sources, confirm=_confirm,
    ),
    StateCheck(
        "scene_finite", Group.INPUTS, "vla/plan", _none, "objects", Severity.WARNING,
        Level.DEGRADED, "{value} of the scene are not finite", "not a number is no position",
        measure=_malformed_scene, confirm=_confirm,
    ),
    StateCheck(
        "objects_finite", Group.INPUTS, "vehicle/objects", _none, "objects", Severity.ERROR,
        Level.MINIMAL_RISK, "{value} of the object list are not finite",
        "not a number is no position", measure=_malformed_objects, confirm=_confirm,
    ),
)
