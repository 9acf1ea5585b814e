import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.learning import baseline
from vla_driving.learning.clips import clip_paths
from vla_driving.learning.windows import read_clips

from .synthetic_clips import write_clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder)
    return read_clips(clip_paths(folder), torch.device("cpu"))


def test_it_learns_goes_on_where_it_was_and_becomes_a_model(clips, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(baseline, "SAVE_EVERY", 2)
    monkeypatch.setattr(baseline, "BATCH", 16)
    _, first = baseline.fit(clips, clips, 1, tmp_path / "short")
    network, last = baseline.fit(clips, clips, 30, tmp_path / "whole")
    assert last["ade"] < first["ade"]
    feed = baseline._feed

    def dying(*arguments):
        for k, batch in enumerate(feed(*arguments)):
            if k == 5:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(baseline, "_feed", dying)
    with pytest.raises(KeyboardInterrupt):
        baseline.fit(clips, clips, 30, tmp_path / "halves")
    monkeypatch.setattr(baseline, "_feed", feed)
    _, resumed = baseline.fit(clips, clips, 30, tmp_path / "halves")
    assert resumed["ade"] == pytest.approx(last["ade"], rel=1e-4)
    manifest = baseline.release(network, tmp_path / "model", 48, last)
    assert manifest.candidates == 1 and not manifest.inputs.states
    assert {s.name for s in manifest.scores} == {"ade_6.4s", "position_error_2s"}
