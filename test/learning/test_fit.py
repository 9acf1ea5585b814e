import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.contract.language import Intent
from vla_driving.learning.augment import augment, mirror_images, mirror_labels
from vla_driving.learning.clips import clip_paths
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.features import features
from vla_driving.learning.fit import (
    FitSettings,
    answers,
    blur_navigation,
    calibrate_doubt,
    fit,
    split,
)
from vla_driving.learning.loss import TWO_SECONDS, chosen_error
from vla_driving.learning.network import (
    KNOTS_S,
    Pilot,
    PilotSettings,
    interpolation,
    start_from,
)
from vla_driving.learning.tensors import TEXT
from vla_driving.learning.windows import Clips, batches, read_clips
from vla_driving.learning.words import IDLE, MANOEUVRES, Words

from .synthetic_clips import write_clips

TINY = PilotSettings(
    widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1), hidden=16, scene_hidden=16, reason_hidden=16,
    queries=1,
)
SETTINGS = FitSettings(
    steps=12, frames=12, window=6, learning_rate=1e-2, average=0.5, save_every=1, measure_every=12,
    measured=24,
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Clips:
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder)
    return read_clips(clip_paths(folder), CPU)


@pytest.fixture(scope="module")
def words() -> Words:
    chance = torch.Generator().manual_seed(8)
    made = {i: torch.randn(3, TEXT, generator=chance) for i in Intent}
    return Words({i: t / t.norm(dim=1, keepdim=True) for i, t in made.items()})


def test_loss_decreases_and_weights_are_written(clips, words, tmp_path):
    last = fit(clips, clips, words, SETTINGS, tmp_path / "run", TINY)
    first = fit(clips, clips, words, replace(SETTINGS, steps=1), tmp_path / "short", TINY)
    assert last["held_out_loss"] < 0.9 * first["held_out_loss"]
    assert last["train_heard"] < first["train_heard"]
    assert {"held_out_wished_2s", "held_out_velocity", "held_out_cause_right"} <= set(last)
    assert (tmp_path / "run" / "weights.pt").is_file()


@pytest.mark.parametrize("frozen", [False, True])
def test_a_killed_run_goes_on_where_it_was(clips, words, tmp_path, monkeypatch, frozen):
    import vla_driving.learning.fit as module

    settings = replace(SETTINGS, steps=4, frozen=frozen, views=2)
    whole = fit(clips, clips, words, settings, tmp_path / "whole", TINY)
    learn, taught = module._learn, []

    def die_in_the_third(*arguments):
        taught.append(1)
        if len(taught) == 3:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(module, "_learn", die_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        fit(clips, clips, words, settings, tmp_path / "halves", TINY)
    monkeypatch.setattr(module, "_learn", learn)
    resumed = fit(clips, clips, words, settings, tmp_path / "halves", TINY)
    assert resumed["held_out_loss"] == pytest.approx(whole["held_out_loss"], rel=1e-4)


def test_a_frozen_encoder_stays_as_it_is_and_its_features_are_kept(clips, words, tmp_path):
    torch.manual_seed(5)
    start = tmp_path / "start.pt"
    torch.save(Pilot(TINY).state_dict(), start)
    settings = replace(SETTINGS, steps=2, frozen=True, views=2)
    fit(clips, clips, words, settings, tmp_path / "a", TINY, start)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "features").glob("*.npy")}
    assert len(kept) == 2 * len(clips.clips)
    fit(clips, clips, words, replace(settings, steps=3), tmp_path / "b", TINY, start)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    before = torch.load(start, weights_only=True)
    after = torch.load(tmp_path / "a" / "weights.pt", weights_only=True)
    for name, value in before.items():
        same = torch.equal(value, after[name])
        assert same or not name.startswith("encoder."), name
    assert not torch.equal(before["control_head.weight"], after["control_head.weight"])


def test_features_are_made_for_clips_that_have_none(clips, tmp_path, monkeypatch):
    module = sys.modules[features.__module__]
    encoder, encode, asked = Pilot(TINY).encoder, module._clip, []
    fewer = Clips(clips.clips[1:], CPU)

    def die_in_the_second(*arguments):
        asked.append(arguments[2])
        if asked == [0, 1]:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(module, "_clip", die_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        features(encoder, fewer, 1, 0.0, 1, tmp_path / "a")
    (resumed,) = features(encoder, clips, 1, 0.0, 1, tmp_path / "a").views
    others = [k for k in range(len(clips.clips)) if k != 1]
    assert asked == [0, 1, *others]
    (whole,) = features(encoder, clips, 1, 0.0, 1, tmp_path / "b").views
    assert all(map(torch.equal, resumed, whole))


@pytest.mark.parametrize("part", ["memory", "text", "route"])
def test_each_part_can_be_left_out(clips, words, tmp_path, part):
    size = replace(TINY, memory=part != "memory", text=part != "text", route=part != "route")
    fit(clips, clips, words, replace(SETTINGS, steps=1, scene=False), tmp_path, size)
    model = Pilot(size).eval()
    model.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    batch, decoded = next(answers(model, clips, words, 10))
    told = batch.told(
        model.token(model.encoder(batch.images)), torch.ones(len(batch), TEXT) / TEXT**0.5,
        batch.labels["speed"], batch.labels["navigation"],
    )
    changed = {
        "memory": replace(told, poses=told.poses + 1.0), "text": told,
        "route": replace(told, route=told.route + 1.0),
    }[part]
    plain = replace(told, text=batch.words(words, 0.0, torch.Generator().manual_seed(0)))
    other = replace(changed, text=told.text if part == "text" else plain.text)
    seen = model.encoder(batch.images)
    with torch.no_grad():
        assert torch.equal(
            model.decide(seen, plain).acceleration, model.decide(seen, other).acceleration
        )
    assert torch.isfinite(decoded.acceleration).all()


def test_a_larger_pilot_begins_as_the_smaller_one(clips, words):
    torch.manual_seed(6)
    small = Pilot(TINY)
    old = {n: v for n, v in small.state_dict().items() if not n.startswith(("recall", "reason"))}
    old["trunk.0.weight"] = old["trunk.0.weight"][:, :1088]
    new = Pilot(replace(TINY, hidden=24)).eval()
    fresh = start_from(new, old)
    assert "recall.ask.weight" in fresh and "trunk.0.weight" not in fresh
    batch, _ = next(answers(new, clips, words, 10))
    seen = new.encoder(batch.images)
    told = batch.told(new.token(seen), torch.zeros(len(batch), TEXT), batch.labels["speed"],
                      batch.labels["navigation"])
    with torch.no_grad():
        first = new.decide(seen, told)
        second = new.decide(seen, replace(told, poses=told.poses * 2.0, route=told.route + 1.0))
    assert torch.equal(first.acceleration, second.acceleration)
    assert torch.equal(first.curvature, second.curvature)


def test_augmentation_is_seeded_alike_in_a_clip_and_stays_an_image(clips):
    images = clips.take(clips.windows(8)[:2]).images[:4]
    images = images[:1].repeat(4, 1, 1, 1)
    first = augment(images, torch.Generator().manual_seed(5))
    again = augment(images, torch.Generator().manual_seed(5))
    other = augment(images, torch.Generator().manual_seed(6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == images.shape and first.min() >= 0.0 and first.max() <= 1.0
    alike = augment(images, torch.Generator().manual_seed(5), torch.tensor([0, 0, 1, 1]))
    level = alike.mean((1, 2, 3))
    assert (level[0] - level[1]).abs() < 1e-3 < (level[0] - level[2]).abs()


def test_a_mirrored_mirror_image_is_the_frame_itself(clips):
    batch = clips.take(clips.windows(8)[:2])
    labels = {**batch.labels, "navigation": torch.eye(8)[1].repeat(len(batch), 1)}
    labels["intent"] = torch.full((len(batch),), float(Intent.CHANGE_LEFT))
    all_of_them = torch.ones(len(batch), dtype=torch.bool)
    once = mirror_labels(labels, all_of_them)
    assert torch.equal(once["curvature"], -labels["curvature"])
    assert (once["navigation"][:, 2] == 1.0).all()
    assert (once["intent"] == float(Intent.CHANGE_RIGHT)).all()
    assert once["lane_lines"][0, 1, 1] == -labels["lane_lines"][0, 0, 1]
    assert torch.equal(once["pose"][:, 1:], -labels["pose"][:, 1:])
    twice = mirror_labels(once, all_of_them)
    for name, value in labels.items():
        assert torch.equal(twice[name], value), name
    turned = mirror_images(batch.images, all_of_them)
    assert torch.equal(mirror_images(turned, all_of_them), batch.images)
    assert mirror_labels(labels, ~all_of_them).keys() == labels.keys()


def test_words_fit_the_intent_and_are_one_in_a_window(words):
    intents = torch.tensor([0.0, 0.0, 6.0, 6.0, 3.0])
    said = words.draw(intents, 0.0, torch.Generator().manual_seed(1))
    assert not said[[0, 1, 4]].any()
    assert torch.equal(said[2], said[3])
    assert any(torch.equal(said[2], t) for t in words.tokens[Intent.STOP])
    idle = words.draw(intents, 1.0, torch.Generator().manual_seed(1))
    known = [t for i in IDLE for t in words.tokens[i]]
    assert all(any(torch.equal(row, t) for t in known) for row in idle[[0, 1, 4]])
    assert Intent.SPEED_UP not in MANOEUVRES
    tokens, meant = words.sample(40, torch.Generator().manual_seed(2))
    assert tokens.shape == (40, TEXT) and len(meant.unique()) > 8


def test_windows_cover_every_clip_and_do_not_cross_into_another(clips):
    for generator in (None, torch.Generator().manual_seed(4)):
        windows = clips.windows(5, generator)
        for k, clip in enumerate(clips.clips):
            frames = {i for w in windows if w.clip == k for i in range(w.first, w.last)}
            assert frames <= set(range(len(clip))) and len(frames) >= len(clip) - 6
    assert sum(map(len, batches(clips.windows(5), 12))) == len(clips.windows(5))
    batch = clips.take(clips.windows(12)[:2])
    assert batch.memory[12].max() == -1  # the second clip remembers nothing of the first
    assert (batch.memory[13:] >= 12).any() and batch.memory[:12].max() < 12


def test_doubt_is_scaled_to_the_errors_on_held_out_frames(clips, words):
    torch.manual_seed(4)
    model = Pilot(TINY)
    calibrate_doubt(model, clips, words, 1000)
    ratios = []
    for batch, decoded in answers(model, clips, words, 1000):
        error = chosen_error(decoded, batch.truth())[:, TWO_SECONDS].clamp(max=10.0)
        ratios.append(0.5 * error**2 / decoded.uncertainty**2)
    assert torch.cat(ratios).mean().item() == pytest.approx(1.0, rel=1e-3)


def test_some_clips_are_held_out():
    paths = [Path(f"{k:03d}.npz") for k in range(45)]
    train, held = split(paths[::-1])
    assert held == [paths[19], paths[39]] and split(paths[5:])[1] == held
    assert sorted(train + held) == paths
    assert split(paths[:2]) == (paths[:1], paths[1:2])


def test_nothing_to_train_on_is_one_line():
    with pytest.raises(DatasetError, match="no frames to train on"):
        read_clips([], CPU)


def test_no_turn_in_range_stays_so():
    navigation = torch.zeros(200, 8)
    navigation[:, 1] = navigation[:, 6] = 1.0
    blurred, silent = blur_navigation(navigation, torch.Generator().manual_seed(1))
    assert torch.equal(silent, blurred[:, 0] == 1.0)
    assert torch.equal(blurred[~silent], navigation[~silent])
    assert 0 < silent.sum() < 30 and (blurred[silent, 6] == 1.0).all()


def test_controls_are_linear_between_knots():
    matrix = interpolation()
    times = np.arange(1, 65) * 0.1
    np.testing.assert_allclose(np.array(KNOTS_S) @ matrix, times, atol=1e-6)
    np.testing.assert_allclose(matrix.sum(0), 1.0, atol=1e-6)
