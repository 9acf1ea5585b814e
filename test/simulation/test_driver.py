"""The scripted driver at the wheel."""

import pytest

from vla_driving.simulation.drive_by_wire import DriverInputs
from vla_driving.simulation.driver import ScriptedDriver
from vla_driving.simulation.scenario import DriverAction, DriverScript

STEP = 0.02


def presses(
    driver: ScriptedDriver, duration: float, start: float = 0.0, **state: bool
) -> list[float]:
    """Times at which the button goes down."""
    condition = {"ready": True, "engaged": False, "standstill": True} | state
    times, before = [], False
    for k in range(round(duration / STEP)):
        now = start + k * STEP
        pressed = driver.step(now, **condition).engage_button
        if pressed and not before:
            times.append(now)
        before = pressed
    return times


def test_engages_a_second_after_ready_and_again_three_seconds_after_a_stop() -> None:
    driver = ScriptedDriver(DriverScript())
    assert presses(driver, 5.0, ready=False) == []
    assert presses(driver, 1.6, start=5.0) == [pytest.approx(6.0)]
    assert presses(driver, 20.0, start=6.6, engaged=True, standstill=False) == []
    assert presses(driver, 5.0, start=26.6, standstill=False) == []
    assert presses(driver, 3.2, start=31.6) == [pytest.approx(34.6)]


def test_negative_delays_mean_never() -> None:
    driver = ScriptedDriver(DriverScript(engage_delay=-1.0))
    assert presses(driver, 30.0) == []


def test_the_button_is_released_again() -> None:
    driver = ScriptedDriver(DriverScript(press_duration=0.4))
    down = [driver.step(k * STEP, True, False, True).engage_button for k in range(75)]
    assert sum(down) * STEP == pytest.approx(0.4, abs=2 * STEP)


def test_actions_come_on_cue() -> None:
    script = DriverScript(
        engage_delay=-1.0,
        actions=(
            DriverAction("brake", 2.0, 1.0, 3.0), DriverAction("steer", 2.5, 1.0, -0.1),
            DriverAction("accelerate", 6.0, 1.0, 1.0), DriverAction("cancel", 8.0, 0.5),
        ),
    )
    driver = ScriptedDriver(script)

    def at(now: float) -> DriverInputs:
        return driver.step(now, True, True, False)

    assert at(1.9) == DriverInputs()
    assert at(2.0) == DriverInputs(brake=3.0)
    assert at(2.7) == DriverInputs(brake=3.0, steering_angle=-0.1)
    assert at(6.5) == DriverInputs(accelerator=1.0)
    assert at(8.1) == DriverInputs(cancel_button=True)
