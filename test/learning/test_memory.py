import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.learning.memory import gather, kept, moved, step
from vla_driving.learning.tensors import MEMORY, MEMORY_INTERVAL_S, MEMORY_POSE


def drive(frames: int, period: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) poses of a winding drive and (T,) times."""
    chance = np.random.default_rng(seed)
    time = period * np.arange(frames)
    heading = np.cumsum(chance.normal(0.0, 0.05, frames))
    speed = chance.uniform(0.0, 12.0, frames) * period
    x, y = np.cumsum(speed * np.cos(heading)), np.cumsum(speed * np.sin(heading))
    return np.stack([x, y, heading], 1), time


def motions(pose: np.ndarray, time: np.ndarray) -> np.ndarray:
    """(T, 4) motion since the frame before, zeros at the first."""
    rows = [np.zeros(4)]
    for then, now, passed in zip(pose[:-1], pose[1:], np.diff(time), strict=True):
        c, s = np.cos(then[2]), np.sin(then[2])
        dx, dy = now[:2] - then[:2]
        rows.append(np.array([c * dx + s * dy, c * dy - s * dx, now[2] - then[2], passed]))
    return np.array(rows)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.sampled_from([0.05, 0.1, 0.2, 0.27, 0.5]), st.integers(0, 99))
def test_what_is_carried_is_what_is_gathered(frames: int, period: float, seed: int) -> None:
    pose, time = drive(frames, period, seed)
    tokens = torch.randn(frames, 3, generator=torch.Generator().manual_seed(seed))
    fresh = torch.zeros(frames, dtype=torch.bool)
    times = torch.from_numpy(time)
    expected, places = gather(
        tokens.double(), torch.from_numpy(pose), times, kept(times, fresh)
    )
    held = torch.zeros(1, MEMORY, 3, dtype=torch.float64)
    poses = torch.zeros(1, MEMORY, MEMORY_POSE, dtype=torch.float64)
    for k, motion in enumerate(motions(pose, time)):
        poses = moved(poses, torch.from_numpy(motion)[None])
        torch.testing.assert_close(held[0], expected[k])
        torch.testing.assert_close(poses[0], places[k])
        held, poses = step(held, poses, tokens[k:k + 1].double())


def test_one_frame_an_interval_is_kept_whatever_the_rate() -> None:
    for period in (0.05, 0.1, 0.2):
        times = period * torch.arange(round(8.0 / period))
        table = kept(times, torch.zeros(len(times), dtype=torch.bool))
        ages = times[-1] - times[table[-1]]
        assert (table[-1] >= 0).all()
        assert torch.allclose(ages.diff(), torch.full((MEMORY - 1,), MEMORY_INTERVAL_S), atol=1e-3)


def test_a_fresh_start_forgets() -> None:
    times = 0.2 * torch.arange(12)
    fresh = torch.zeros(12, dtype=torch.bool)
    fresh[6] = True
    table = kept(times, fresh)
    assert (table[6] == -1).all() and (table[7:][table[7:] >= 0] >= 6).all()
    assert (table[5] >= 0).sum() == 3


def test_a_place_stays_where_it_is_while_the_car_turns_round_it() -> None:
    # A quarter turn left on the spot: what was 10 m ahead is 10 m to the right.
    poses = torch.tensor([[[10.0, 0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 0.0, 0.0, 0.0]]])
    after = moved(poses, torch.tensor([[0.0, 0.0, torch.pi / 2, 0.5]]))
    torch.testing.assert_close(after[0, 0], torch.tensor([0.0, -10.0, -torch.pi / 2, 1.5, 1.0]))
    assert not after[0, 1].any()
