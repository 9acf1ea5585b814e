"""What the network makes of numbers it is told."""

import torch

from vla_driving.learning.network import wider
from vla_driving.learning.teacher import Manner


def test_less_and_more_distance_pull_to_different_sides_of_no_wish() -> None:
    none, less, usual, more = wider(torch.tensor([0.0, 1.0, Manner().time_gap_s, 3.0])).tolist()
    assert none == usual == 0.0
    assert less == -1.0 and more == 1.0
