"""What is kept as it travelled is the same as what is made of it, number for number."""

from dataclasses import replace

import numpy as np
import pytest

from vla_driving.contract.checksum import plan_checksum
from vla_driving.contract.plan import LateralAction, LongitudinalAction, Plan
from vla_driving.contract.scene import TRAVELLED, SceneObjects, table_of
from vla_driving.contract.trajectory import POINTS, Trajectories, Trajectory, integrate


def bend(curvature: float, probability: float = 0.5) -> Trajectory:
    return integrate(8.0, np.full(POINTS, 0.1), np.full(POINTS, curvature), probability)


def travelled(*trajectories: Trajectory) -> Trajectories:
    return Trajectories(np.stack([np.frombuffer(t.as_travelled, "<f4") for t in trajectories]))


def test_trajectories_are_made_of_their_rows() -> None:
    given = (bend(0.01), bend(-0.02, 0.25), bend(0.0))
    found = travelled(*given)
    assert len(found) == 3
    for made, trajectory in zip(found, given, strict=True):
        assert made.probability == trajectory.probability
        for ours, own in zip(made.arrays(), trajectory.arrays(), strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_array_equal(ours, own)
    assert [t.probability for t in found[1:]] == [0.25, 0.5]
    assert found[-1].as_travelled == given[-1].as_travelled


def test_numbers_travel_in_single_precision() -> None:
    doubles = replace(bend(0.01), x=np.full(POINTS, 1e300), speed=np.full(POINTS, 0.1))
    numbers = np.frombuffer(doubles.as_travelled, "<f4")
    assert len(numbers) == 1 + 7 * POINTS
    assert np.isinf(numbers[1 + POINTS : 1 + 2 * POINTS]).all()
    assert (numbers[1 + 4 * POINTS : 1 + 5 * POINTS] == np.float32(0.1)).all()


def test_arrays_of_an_odd_shape_travel_as_they_are() -> None:
    odd = replace(bend(0.01), x=np.zeros((2, 3), np.float32))
    parts = [np.float32(odd.probability), *odd.arrays()]
    assert odd.as_travelled == b"".join(np.asarray(part, "<f4").tobytes() for part in parts)


@pytest.mark.parametrize("align", [True, False])
def test_a_table_is_the_same_for_every_layout_of_the_rows(align: bool) -> None:
    assert TRAVELLED.names is not None
    layout = np.dtype([(name, TRAVELLED[name]) for name in TRAVELLED.names], align=align)
    rows = np.zeros(5, layout)
    for k, name in enumerate(TRAVELLED.names):
        rows[name] = np.arange(5) + 10 * (k % 2)
    rows["classification"] = [0, 1, 2, 3, 4]
    table = table_of(SceneObjects(rows))
    assert table.dtype == np.float32
    for k, name in enumerate(TRAVELLED.names):
        np.testing.assert_array_equal(table[:, k], rows[name])
    # Not every second one of a longer list, either.
    np.testing.assert_array_equal(table_of(SceneObjects(rows[::2])), table[::2])


def test_a_plan_has_one_checksum_however_its_candidates_are_kept() -> None:
    given = (bend(0.01), bend(-0.02, 0.25))
    plan = Plan(
        1, 2, 3, 4, "", "", "", given, (), (), (), LateralAction.KEEP_LANE,
        LongitudinalAction.CRUISE, "", (), 0.1, 0, (),
    )
    kept = replace(plan, candidates=travelled(*given))  # type: ignore[arg-type]
    assert plan_checksum(kept) == plan_checksum(plan)
    kept.candidates.numbers[1, 70] += 1.0  # type: ignore[attr-defined]
    assert plan_checksum(kept) != plan_checksum(plan)
