import json
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.contract.language import Command, Intent
from vla_driving.contract.navigation import Route as Way
from vla_driving.contract.navigation import Turn
from vla_driving.contract.settings import SettingsError
from vla_driving.learning import train as module
from vla_driving.learning.clips import clip_paths
from vla_driving.learning.drive import Route
from vla_driving.learning.driving import load_setting
from vla_driving.learning.network import Pilot, PilotSettings
from vla_driving.learning.pilot_driver import PilotDriver
from vla_driving.learning.release import Provenance, release
from vla_driving.learning.tensors import TEXT, VIRTUAL_CAMERA
from vla_driving.learning.train import Recipe, Workshop, better
from vla_driving.learning.words import Words

from .synthetic_clips import write_clips

SMALL = PilotSettings(
    widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1), hidden=16, scene_hidden=16, reason_hidden=16
)


def route(seed: int, success: bool, completion: float = 1.0) -> Route:
    return Route(seed, "S", "arrived", success, completion, 100.0, 20.0, 0, 0, 0.1)


def workshop(work, **changes) -> Workshop:
    recipe = Recipe(**{"routes": 2, **changes})
    return Workshop(recipe, work, load_setting(sees=False), Words({}), "0.0.1")


@pytest.mark.parametrize("hours", [0.5, 2.0, 8.0, 24.0])
@pytest.mark.parametrize("gpu", [False, True])
def test_more_hours_are_more_of_everything(hours: float, gpu: bool) -> None:
    less, more = Recipe().within(hours, gpu), Recipe().within(2 * hours, gpu)
    assert less.teacher_frames < more.teacher_frames
    assert less.pilot_frames * less.rounds < more.pilot_frames * more.rounds
    assert 0 < less.steps <= more.steps and less.routes <= more.routes == min(40, more.routes)
    assert Recipe().within(hours, True).steps > Recipe().within(hours, False).steps


def test_better_is_more_routes_done_and_then_further() -> None:
    def figures(success: float, completion: float) -> dict[str, float]:
        return {"success": success, "route_completion": completion}

    assert better(figures(0.9, 0.9), figures(0.8, 1.0))
    assert better(figures(0.9, 0.95), figures(0.9, 0.9))
    assert not better(figures(0.9, 0.9), figures(0.9, 0.9))


def test_what_was_driven_is_not_driven_again(tmp_path, monkeypatch) -> None:
    driven = []

    def measure(rig, folder, policy, seeds, name, say):
        driven.extend(seeds)
        if len(driven) == 2:
            raise KeyboardInterrupt
        return {}, [route(seeds[0], True)]

    monkeypatch.setattr(module, "measure", measure)
    shop = workshop(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        module._figures(shop, tmp_path, "model", False)
    figures = module._figures(shop, tmp_path, "model", False)
    assert driven == [10_000, 10_001, 10_001]
    assert figures["routes"] == 2.0 and figures["success"] == 1.0


@pytest.mark.parametrize(
    ("heads_steps", "steps", "runs"),
    [
        (4, 3, [("heads_1", 4, True, "start.pt"), ("round_1", 3, False, "weights.pt")]),
        (4, 0, [("round_1", 4, True, "start.pt")]),
        (0, 3, [("round_1", 3, False, "start.pt")]),
    ],
)
def test_a_round_teaches_behind_the_encoder_and_then_all_of_it(
    tmp_path, monkeypatch, heads_steps, steps, runs
) -> None:
    asked = []

    def fit(shop, name, settings, start):
        asked.append((name, settings.steps, settings.frozen, start.name))
        return tmp_path / name / "weights.pt"

    monkeypatch.setattr(module, "_fit", fit)
    found = module._taught(
        workshop(tmp_path), 1, tmp_path / "start.pt", heads_steps, 1e-3, steps
    )
    assert asked == runs
    assert found == tmp_path / "round_1" / "weights.pt"


def test_a_round_without_steps_says_so(tmp_path) -> None:
    with pytest.raises(SettingsError, match="round 2 has no steps"):
        module._taught(workshop(tmp_path), 2, tmp_path / "start.pt", 0, 1e-3, 0)


def test_a_model_that_drives_better_stays(tmp_path, monkeypatch) -> None:
    torch.manual_seed(1)
    folder = tmp_path / "pilot"
    folder.mkdir()
    torch.save(Pilot(SMALL).state_dict(), tmp_path / "weights.pt")
    release(
        tmp_path / "weights.pt", folder, VIRTUAL_CAMERA,
        Provenance("0.0.1", "none", 0, "none", ()), SMALL,
    )
    shop = workshop(tmp_path / "work")
    theirs = {"success": 0.9, "route_completion": 1.0}
    monkeypatch.setattr(module, "_figures", lambda *a: theirs)
    worse, best = {**theirs, "success": 0.8}, {**theirs, "success": 1.0}
    assert module._place(shop, folder, worse) == tmp_path / "work" / "model"
    assert module._place(shop, folder, theirs) == folder
    assert module._place(shop, folder, best) == folder
    assert module._place(shop, tmp_path / "new", worse) == tmp_path / "new"


def test_a_run_keeps_to_the_clips_there_were(tmp_path) -> None:
    shop = workshop(tmp_path)
    write_clips(shop.data / "teacher", 4)
    first = module._clips(shop, tmp_path / "run")
    write_clips(shop.data / "pilot_1", 3)
    again = module._clips(shop, tmp_path / "run")
    other = module._clips(shop, tmp_path / "other")
    assert [c.frames for c in first] == [c.frames for c in again] == [36, 12]
    assert [c.frames for c in other] == [72, 12]
    assert len(json.loads((tmp_path / "run" / "clips.json").read_text())) == 4
    assert len(clip_paths(shop.data)) == 7


@pytest.fixture
def driver(tmp_path) -> PilotDriver:
    torch.manual_seed(2)
    torch.save(Pilot(SMALL).state_dict(), tmp_path / "weights.pt")
    release(
        tmp_path / "weights.pt", tmp_path / "model", VIRTUAL_CAMERA,
        Provenance("0.0.1", "none", 0, "none", ()), SMALL,
    )
    tokens = torch.eye(TEXT)[:4]
    return PilotDriver(tmp_path / "model", Words({Intent.STOP: tokens}), 7)


def test_the_pilot_at_the_wheel_remembers_listens_and_forgets(driver) -> None:
    chance = np.random.default_rng(3)
    images = chance.integers(0, 256, (4, 128, 256, 3)).astype(np.uint8)
    way = Way(0, np.zeros(0, np.float32), np.zeros(0, np.float32), Turn.NONE, 1e3, 1e3, 9.0)
    silent = np.zeros(0, np.float32)
    stop = Command(0, 1, 5, Intent.STOP, 0.0, 0.0, silent, 10**12)

    def drive(command: Command | None) -> list[tuple[float, float]]:
        driver.start()
        return [
            driver.act(image, types.SimpleNamespace(
                x=0.6 * k, y=0.0, heading=0.0, time_s=0.1 * k, speed=6.0, next_turn=Turn.NONE,
                distance_to_turn=1e3, speed_limit=9.0,
            ), command, way)
            for k, image in enumerate(images)
        ]

    plain = drive(None)
    assert drive(None) == plain  # started anew, it does the same
    assert drive(stop) != plain
    told = drive(stop)
    assert drive(stop) == told  # the same wording for the same instruction
    assert np.isfinite(plain).all()
