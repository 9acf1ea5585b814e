from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.learning.clips import clip_paths
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.loss import total_loss
from vla_driving.learning.network import Pilot, PilotSettings
from vla_driving.learning.singles import read_singles
from vla_driving.learning.tensors import TEXT
from vla_driving.learning.windows import read_clips

from .synthetic_clips import write_clips

CPU = torch.device("cpu")


@pytest.fixture
def old_data(tmp_path):
    """Episodes as pilot 0.2 was taught, with the pictures of made-up clips."""
    write_clips(tmp_path / "clips", 2)
    folder = tmp_path / "old"
    for path in clip_paths(tmp_path / "clips"):
        with np.load(path) as data:
            names = ("speed", "navigation", "acceleration", "curvature", "lane_lines", "pictures")
            kept = {n: data[n] for n in names}
            objects, sizes = data["objects"][:, :2], data["sizes"]
        (folder / "teacher").mkdir(parents=True, exist_ok=True)
        np.savez(folder / "teacher" / path.name, objects=objects, size=sizes, **kept)
    return folder


def test_single_frames_are_remembered_by_none(old_data):
    singles = read_singles(old_data, 20)
    assert sum(map(len, singles)) == 24 and read_singles(old_data, 10)[0].path == singles[0].path
    clips = read_clips([], CPU, singles)
    batch = clips.take(clips.windows(6))
    assert batch.memory.max() == -1 and not batch.labels["route"].any()
    assert np.array_equal(singles[0].image(0).shape, (128, 256, 3))


def test_what_is_not_known_is_not_taught(old_data):
    clips = read_clips([], CPU, read_singles(old_data, 20))
    batch = clips.take(clips.windows(6)[:1])
    torch.manual_seed(1)
    model = Pilot(PilotSettings(
        widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1), hidden=16, scene_hidden=16, reason_hidden=16
    )).eval()
    seen = model.encoder(batch.images)
    told = batch.told(
        model.token(seen), torch.zeros(len(batch), TEXT), batch.labels["speed"],
        batch.labels["navigation"],
    )
    decoded = model.decide(seen, told)
    loss, parts = total_loss(decoded, batch.truth())
    assert torch.isfinite(loss) and parts["cause"] == 0.0
    logits = decoded.object_logits.clone()
    logits[:, 2:] += 5.0
    other = replace(decoded, object_logits=logits, cause_logits=decoded.cause_logits + 3.0)
    assert torch.equal(total_loss(other, batch.truth())[0], loss)
    logits[:, 0] += 5.0
    assert total_loss(replace(other, object_logits=logits), batch.truth())[0] != loss


def test_another_file_is_named(tmp_path):
    (tmp_path / "1.npz").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"1\.npz: not an episode"):
        read_singles(tmp_path, 10)
