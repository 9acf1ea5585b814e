import pytest

from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

import vla_driving.learning.collect as module
from vla_driving.contract.settings import SettingsError
from vla_driving.learning.collect import collect
from vla_driving.learning.dataset import read_episode
from vla_driving.learning.drive import TeacherDriver, drive
from vla_driving.learning.driving import load_setting
from vla_driving.learning.scenes import SAFETY_SEEDS, SELECT_SEEDS, TRAIN_SEEDS, scene
from vla_driving.simulation.metadrive import SimulatorError


@pytest.fixture(scope="module")
def setting():
    try:
        return load_setting()
    except SimulatorError as error:
        pytest.skip(str(error))


def silent(_: str) -> None:
    pass


def test_the_same_seed_gives_the_same_bytes_and_is_collected_once(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_S", 4.0)
    for folder in ("a", "b"):
        assert collect(tmp_path / folder, [2], setting, say=silent) == 14
    first, second = (tmp_path / f / "00" / "00002.npz" for f in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    said: list[str] = []
    assert collect(tmp_path / "a", [2], setting, say=said.append) == 14
    assert said == []
    frames = read_episode(first)
    assert frames.images.std() > 10.0
    assert frames.labels["lane_lines"][0, :2, 0].tolist() == [1.0, 1.0]


def test_seeds_that_select_or_score_never_teach(setting, tmp_path):
    assert not set(TRAIN_SEEDS) & set(SELECT_SEEDS)
    assert not set(SAFETY_SEEDS) & (set(TRAIN_SEEDS) | set(SELECT_SEEDS))
    assert max(SAFETY_SEEDS) < 20_000
    with pytest.raises(SettingsError, match="seed 10000"):
        collect(tmp_path, [10_000], setting, say=silent)


def test_the_teacher_drives_a_road_to_its_end(setting):
    seed = next(s for s in SELECT_SEEDS if scene(s).map == "C")
    route = drive(setting, TeacherDriver(setting), seed, things=False)
    assert route.success and route.ended == "arrived"
    assert route.mean_offset_m < 0.3
