"""Checks of what comes in: fresh, often enough, in order, complete, well formed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vla_driving.contract.events import Severity
from vla_driving.contract.frames import CameraReport, FrameStatus
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.safety.checks.table import (
    Group,
    Limits,
    Measured,
    Situation,
    StateCheck,
    noted,
)
from vla_driving.safety.heartbeats import NODES
from vla_driving.safety.intake import Intake, Watch
from vla_driving.safety.lateness import LATE

Pick = Callable[[Intake], Watch[Any]]


def _absent(watch: Watch[Any]) -> Measured | None:
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


def _measured(
    pick: Pick, make: Callable[[Watch[Any], Situation], Measured]
) -> Callable[[Situation], Measured]:
    return lambda situation: make(pick(situation.intake), situation)


def _rate(watch: Watch[Any], situation: Situation) -> Measured:
    rate = watch.rate
    if rate is None:
        return Measured(1.0, Verdict.PASS, says=f"too few {watch.title}s yet for a rate")
    return Measured(rate / watch.rate_hz)


def _malformed(watch: Watch[Any], situation: Situation) -> Measured:
    count = watch.malformed
    if count > situation.settings.inputs.max_wrong:
        says = f"{{value}} of the last {watch.title}s are invalid: {watch.reason}"
        return Measured(float(count), Verdict.INVALID, says=says)
    return Measured(float(count), Verdict.WARN if watch.last_malformed else None)


def _order(watch: Watch[Any], situation: Situation) -> Measured:
    return Measured(float(watch.disordered))


def _sequence(watch: Watch[Any], situation: Situation) -> Measured:
    return Measured(float(watch.missing))


def _topic(
    name: str, title: str, topic: str, pick: Pick, lost: Level, hand_over: bool = False
) -> tuple[StateCheck, ...]:
    """All checks of one topic; `lost` is the reaction where nothing fit to use comes any more."""
    common = (Group.INPUTS, topic)
    warning, error = Severity.WARNING, Severity.ERROR

    def arrived(situation: Situation) -> object:
        return pick(situation.intake).version

    return (
        StateCheck(
            f"{name}_freshness", *common, lambda limits: _max_age(limits, name), "s", error, lost,
            f"{title} is {{value}} old", "deadline by topic",
            measure=_freshness(pick), hand_over=hand_over,
        ),
        StateCheck(
            f"{name}_rate", *common, lambda limits: limits.settings.inputs.min_rate_share, "",
            warning, Level.NOMINAL, f"{title}s come at {{value}} of their rate",
            "openpilot: 90 % of the rate",
            measure=_measured(pick, _rate), at_least=True,
            reads=arrived,
        ),
        StateCheck(
            f"{name}_malformed", *common, lambda limits: limits.settings.inputs.max_wrong,
            "messages", error, lost, f"{{value}} of the last {title}s are invalid",
            "opendbc: 5 wrong ones", measure=_measured(pick, _malformed), hand_over=hand_over,
            reads=arrived,
        ),
        StateCheck(
            f"{name}_order", *common, lambda limits: limits.settings.inputs.max_wrong, "messages",
            error, lost, f"{{value}} of the last {title}s came out of order: two publishers?",
            "opendbc: 5 wrong counters", measure=_measured(pick, _order), hand_over=hand_over,
            reads=arrived,
        ),
        StateCheck(
            f"{name}_sequence", *common, lambda limits: limits.settings.inputs.max_lost,
            "messages", warning, Level.NOMINAL, f"{{value}} {title}s of late were lost",
            "numbers that are left out", measure=_measured(pick, _sequence), reads=arrived,
        ),
    )


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


Concerns = Callable[[CameraReport, Situation], bool]


def _cameras(concerns: Concerns) -> Callable[[Situation], Measured]:
    """The first camera whose status is not OK and `concerns` this check."""

    def measure(situation: Situation) -> Measured:
        health = situation.intake.frames.newest
        if health is None:
            return _NO_HEALTH
        for camera in health.cameras:
            if camera.status != FrameStatus.OK and concerns(camera, situation):
                words = _WORDS.get(camera.status, f"in the unknown state {camera.status:.0f}")
                return Measured(
                    float(camera.status_value), Verdict.FAIL, float(camera.status_limit),
                    f"{camera.name} camera {words}",
                )
        return _WELL

    return measure


def _of_cameras(situation: Situation) -> object:
    return situation.intake.frames.version, situation.lost, situation.cameras


_NO_HEALTH = Measured(0.0, Verdict.PASS, says="camera health does not reach the monitor")
_WELL = Measured(0.0, Verdict.PASS)
_LIGHT = (FrameStatus.DARK, FrameStatus.OVEREXPOSED)
_VISIBILITY = (FrameStatus.BLURRED,)


def _late(camera: CameraReport, situation: Situation) -> bool:
    return camera.status in LATE and camera.name not in situation.lost


def _device(camera: CameraReport, situation: Situation) -> bool:
    if camera.status in LATE:
        return camera.name in situation.lost
    return camera.status not in _LIGHT and camera.status not in _VISIBILITY


def _light(camera: CameraReport, situation: Situation) -> bool:
    return camera.status in _LIGHT


def _visibility(camera: CameraReport, situation: Situation) -> bool:
    return camera.status in _VISIBILITY


def _camera_set(situation: Situation) -> Measured:
    """How many cameras of the set are none of this car's, or stand in it twice; 1 for no camera."""
    health, own = situation.intake.frames.newest, situation.cameras
    if health is None or not own:
        return _NO_HEALTH
    names = [camera.name for camera in health.cameras]
    wrong = len(names) - len(set(names).intersection(own))
    if names and not wrong:
        return _WELL
    says = f"the camera set is {', '.join(names) or 'empty'}, this car has {', '.join(own)}"
    return Measured(float(max(wrong, 1)), Verdict.FAIL, says=says[:_LONGEST])


def _publishers(situation: Situation) -> Measured:
    topic, count = situation.publishers
    return Measured(float(count), says=f"{topic} has {{value}} publishers")


def _identical(situation: Situation) -> Measured:
    return Measured(float(situation.identical))


_LONGEST = 160
"""Characters of a line that repeats names which arrived."""


_WORDS: dict[int, str] = {
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


def _jump(situation: Situation) -> Measured:
    return Measured(situation.speed_jump)


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
        reads=noted,
    ),
    StateCheck(
        "monitor", Group.INPUTS, "the monitor itself", _none, "failures", Severity.CRITICAL,
        Level.MINIMAL_RISK, "the monitor itself failed", "an exception in a step", measure=_monitor,
        reads=noted,
    ),
    *(_alive(node) for node in NODES),
    *_topic(
        "vehicle_state", "vehicle state", "vehicle/state", lambda i: i.vehicle_state,
        Level.MINIMAL_RISK,
    ),
    *_topic("plan", "plan", "vla/plan", lambda i: i.plan, Level.MINIMAL_RISK),
    *_topic("objects", "object list", "vehicle/objects", lambda i: i.objects, Level.MINIMAL_RISK),
    *_topic("route", "route", "vla/route", lambda i: i.route, Level.DEGRADED),
    *_topic(
        "driver_state", "driver state", "vla/driver_state", lambda i: i.driver_state,
        Level.DEGRADED, hand_over=True,
    ),
    *_topic("frames", "camera health", "vla/camera_health", lambda i: i.frames, Level.MINIMAL_RISK),
    *(
        StateCheck(
            name, Group.INPUTS, "vla/camera_health", _none, "", Severity.ERROR, Level.MINIMAL_RISK,
            "cameras are well", "status by camera_ingest", measure=_cameras(concerns),
            reads=_of_cameras,
        )
        for name, concerns in (
            ("camera_health", _device), ("light", _light), ("visibility", _visibility),
        )
    ),
    StateCheck(
        "camera_late", Group.INPUTS, "vla/camera_health", _none, "", Severity.WARNING,
        Level.DEGRADED, "cameras are well", "one lost picture slows down, the second one stops",
        measure=_cameras(_late), reads=_of_cameras,
    ),
    StateCheck(
        "camera_set", Group.INPUTS, "vla/camera_health", _none, "cameras", Severity.ERROR,
        Level.MINIMAL_RISK, "{value} cameras are not this car's", "parameter cameras",
        measure=_camera_set, reads=_of_cameras,
    ),
    StateCheck(
        "publishers", Group.INPUTS, "all topics of the car's control", lambda _: 1.0, "publishers",
        Severity.CRITICAL, Level.MINIMAL_RISK, "a topic has {value} publishers",
        "one node speaks on each of them", measure=_publishers, reads=noted,
    ),
    StateCheck(
        "vehicle_state_frozen", Group.INPUTS, "vehicle/state",
        lambda limits: limits.settings.inputs.max_identical, "messages", Severity.ERROR,
        Level.MINIMAL_RISK, "vehicle state repeats itself {value} times while the motion changes",
        "a moving sensor is never still", measure=_identical, reads=noted,
    ),
    StateCheck(
        "vehicle_state_jump", Group.INPUTS, "vehicle/state",
        lambda limits: limits.settings.inputs.max_speed_jump, "m/s", Severity.ERROR,
        Level.MINIMAL_RISK, "speed jumped by {value} more than tyres can change it",
        "friction: 12 m/s^2 at most", measure=_jump, reads=noted,
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
        measure=_malformed_scene, reads=noted, confirm=_confirm,
    ),
    StateCheck(
        "objects_finite", Group.INPUTS, "vehicle/objects", _none, "objects", Severity.ERROR,
        Level.MINIMAL_RISK, "{value} of the object list are not finite",
        "not a number is no position", measure=_malformed_objects, reads=noted, confirm=_confirm,
    ),
)
