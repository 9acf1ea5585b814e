from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_driving.contract.scene import LaneLineKind, ObjectClass
from vla_driving.contract.trajectory import integrate
from vla_driving.vla.feasible import feasible
from vla_driving.vla.halting import halting
from vla_driving.vla.outputs import OutputError, decode

from .tiny_model import (
    CANDIDATES,
    LANE_LINES,
    OBJECTS,
    PROBABILITY,
    STATIONS,
    VEHICLE,
    manifest,
)

Answer = dict[str, np.ndarray]


def answer(**changes: np.ndarray) -> Answer:
    steady = np.zeros((1, CANDIDATES, 64), np.float32)
    return {
        "acceleration": steady, "curvature": steady, "probability": PROBABILITY,
        "uncertainty": np.array([0.4], np.float32), "lane_lines": LANE_LINES, "objects": OBJECTS,
        "next_state_count": np.ones((1, 1), np.float32), **changes,
    }


NUMBERS = st.floats(-4.0, 4.0, width=32)


@given(
    hnp.arrays(np.float32, (1, CANDIDATES, 64), elements=NUMBERS),
    hnp.arrays(np.float32, (1, CANDIDATES, 64), elements=st.floats(-0.125, 0.125, width=32)),
    hnp.arrays(np.float32, (1, CANDIDATES), elements=st.floats(0.0, 1.0, width=32)),
    st.floats(0.0, 40.0) | st.floats(0.0, 1.2),
)
@example(
    np.full((1, CANDIDATES, 64), -0.2, np.float32), np.zeros((1, CANDIDATES, 64), np.float32),
    np.ones((1, CANDIDATES), np.float32), 1.0,
)
def test_candidates_are_the_outputs_within_the_limits_best_first(
    acceleration: np.ndarray, curvature: np.ndarray, probability: np.ndarray, speed: float
) -> None:
    decoded = decode(
        answer(acceleration=acceleration, curvature=curvature, probability=probability),
        manifest(), speed, VEHICLE, 0.5, 0.5,
    )
    found = [t.probability for t in decoded.candidates]
    assert found == sorted(found, reverse=True)
    assert sorted(found) == sorted(map(float, probability[0]))
    best = int(np.argmax(probability[0]))
    wanted = integrate(speed, acceleration[0, best], curvature[0, best], probability[0, best])
    expected = feasible(halting(wanted, speed), speed, VEHICLE)
    for got, held in zip(decoded.candidates[0].arrays(), expected.arrays(), strict=True):
        np.testing.assert_array_equal(got, held)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("tensor", sorted(answer()))
def test_nothing_that_is_not_finite_passes(tensor: str, bad: float) -> None:
    spoilt = answer()[tensor].copy()
    spoilt.flat[-1] = bad
    with pytest.raises(OutputError, match=f"{tensor}: 1 of .* not finite"):
        decode(answer(**{tensor: spoilt}), manifest(), 5.0, VEHICLE, 0.5, 0.5)


def test_a_trajectory_that_overflows_is_refused() -> None:
    huge = np.full((1, CANDIDATES, 64), 3e38, np.float32)
    with pytest.raises(OutputError, match="trajectory is not finite"):
        decode(answer(acceleration=huge), manifest(), 5.0, VEHICLE, 0.5, 0.5)


@pytest.mark.parametrize("tensor", ["probability", "lane_lines", "objects"])
@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_probabilities_stay_within_0_and_1(tensor: str, bad: float) -> None:
    spoilt = answer()[tensor].copy()
    spoilt.flat[0] = bad
    with pytest.raises(OutputError, match=f"{tensor}: probabilities from"):
        decode(answer(**{tensor: spoilt}), manifest(), 5.0, VEHICLE, 0.5, 0.5)


def test_negative_uncertainty_and_wrong_shape_are_refused() -> None:
    with pytest.raises(OutputError, match="uncertainty: -1 m is below 0"):
        decode(answer(uncertainty=np.array([-1.0], np.float32)), manifest(), 5.0, VEHICLE, 0.5, 0.5)
    with pytest.raises(OutputError, match="objects: shape"):
        decode(answer(objects=OBJECTS[:, :1]), manifest(), 5.0, VEHICLE, 0.5, 0.5)


def test_scene_holds_what_is_probable_enough() -> None:
    decoded = decode(answer(), manifest(), 5.0, VEHICLE, 0.5, 0.5)
    assert [line.kind for line in decoded.lane_lines] == [
        LaneLineKind.LANE_LEFT, LaneLineKind.LANE_RIGHT, LaneLineKind.ROAD_EDGE_RIGHT
    ]
    np.testing.assert_allclose(decoded.lane_lines[0].x, STATIONS)
    np.testing.assert_allclose(decoded.lane_lines[0].y, 1.8)
    (car,) = decoded.objects
    assert car.classification == ObjectClass.CAR
    assert (car.x, car.velocity_x) == (18.0, 6.0)
    assert len(decode(answer(), manifest(), 5.0, VEHICLE, 0.1, 0.5).objects) == 2


def test_an_unknown_class_is_unknown() -> None:
    spoilt = OBJECTS.copy()
    spoilt[0, 1, 7] = 1e9
    (thing,) = decode(answer(objects=spoilt), manifest(), 5.0, VEHICLE, 0.5, 0.5).objects
    assert thing.classification == ObjectClass.UNKNOWN


def test_a_model_without_scene_has_an_empty_scene() -> None:
    bare = dataclasses.replace(manifest().outputs, lane_lines=None, objects=None)
    few = {k: v for k, v in answer().items() if k not in ("lane_lines", "objects")}
    decoded = decode(few, manifest(outputs=bare), 5.0, VEHICLE, 0.5, 0.5)
    assert decoded.objects == ()
    assert decoded.lane_lines == ()
