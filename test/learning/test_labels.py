import numpy as np
from test_teacher import road, thing

from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectClass
from vla_driving.learning.labels import FARTHEST_LINE_M, lane_line_tensor, object_slots
from vla_driving.learning.tensors import STATIONS_M


def line(kind, x, y):
    return LaneLine(kind, 1.0, np.asarray(x, np.float32), np.asarray(y, np.float32))


def test_lines_are_read_at_the_stations():
    x = np.linspace(-5.0, 60.0, 40)
    tensor = lane_line_tensor([
        line(LaneLineKind.LANE_RIGHT, x, -1.5 - 0.1 * x),
        line(LaneLineKind.ROAD_EDGE_LEFT, x, 5.0 + 0.5 * x),
        line(LaneLineKind.LANE_LEFT, [0.0, 4.0], [1.0, 1.0]),
    ])
    assert list(tensor[:, 0]) == [0.0, 1.0, 1.0, 0.0]
    np.testing.assert_allclose(tensor[1, 1:], -1.5 - 0.1 * np.array(STATIONS_M), atol=1e-4)
    assert tensor[2, -1] == FARTHEST_LINE_M


def test_what_is_in_the_way_comes_first_and_what_is_out_of_sight_not_at_all():
    ahead = thing(ObjectClass.CAR, 30.0, 0.4, vx=5.0)
    further = thing(ObjectClass.CAR, 55.0, 3.0)
    beside = thing(ObjectClass.PEDESTRIAN, 20.0, -4.0, vy=1.0, length=0.5, width=0.5)
    behind = thing(ObjectClass.CAR, -10.0, 0.0)
    abreast = thing(ObjectClass.CAR, 4.0, 3.5)
    tensor, held = object_slots([further, behind, abreast, ahead, beside], road())
    assert held == [3, 4, 0, -1]
    np.testing.assert_allclose(tensor[0], [1, 30.0, 0.4, 5.0, 0, 4.5, 1.9, ObjectClass.CAR])
    np.testing.assert_allclose(
        tensor[1], [1, 20.0, -4.0, 0, 1.0, 0.5, 0.5, ObjectClass.PEDESTRIAN]
    )
    assert not tensor[3].any()
    tensor, held = object_slots([behind, abreast], road())
    assert not tensor.any() and held == [-1] * 4


def test_what_hides_behind_a_nearer_thing_is_left_out():
    near = thing(ObjectClass.TRUCK, 15.0, 0.0, width=2.5)
    hidden = thing(ObjectClass.CAR, 40.0, 0.0)
    _, held = object_slots([hidden, near], road())
    assert held == [1, -1, -1, -1]


def test_a_second_thing_in_the_way_is_one_of_the_others():
    near = thing(ObjectClass.OBSTACLE, 15.0, 0.8, length=0.5, width=0.5)
    far = thing(ObjectClass.CAR, 40.0, 0.0)
    _, held = object_slots([far, near], road())
    assert held == [1, 0, -1, -1]
