from __future__ import annotations

import math

import openvino
import pytest

from vla_driving import paths
from vla_driving.bench import model as bench
from vla_driving.vla.engines.verify import samples
from vla_driving.vla.manifest import Model, load_model


@pytest.fixture(scope="module")
def pilot() -> Model:
    return load_model(paths.model("pilot"))


def test_multiply_accumulates_are_those_of_the_layers(pilot: Model) -> None:
    """The first convolution and a head, by hand: 32 x 64 x 128 x 3 x 5 x 5 and 54 x 512."""
    macs = bench.operation_macs(openvino.Core().read_model(pilot.network_path))
    assert 32 * 64 * 128 * 3 * 5 * 5 in macs
    assert 54 * 512 in macs
    assert bench.multiply_accumulates(pilot) == sum(macs) > 1e8


def test_the_peak_runs_in_int8() -> None:
    assert bench.PeakConvolution(channels=64, size=16).macs_a_second(2) > 1e8


def test_the_profile_names_layers_and_what_limits(pilot: Model) -> None:
    layers = bench.layer_times(pilot.at("int8"), samples(pilot, 1)[0])
    assert len([name for name in layers if name.endswith("I8)")]) >= 22
    assert list(layers.values()) == sorted(layers.values(), reverse=True)
    words = bench.limit(layers, 0.5)
    assert words.startswith("50 % of the int8 peak")
    assert next(iter(layers)) in words


def test_figures_agree_with_each_other(pilot: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PASSES", 8)
    monkeypatch.setattr(bench, "PEAK_PASSES", 1)
    lines: list[str] = []
    found = bench.measure(1, lines.append)
    assert len(lines) == 1
    rate = float(found["forward_mmacs"]) * 1e6 / (float(found["forward_ms_p50"]) * 1e-3)  # type: ignore[arg-type]
    expected = rate / (float(found["int8_peak_gops"]) * 0.5e9)  # type: ignore[arg-type]
    assert math.isclose(float(found["forward_peak_ratio"]), expected, rel_tol=1e-9)  # type: ignore[arg-type]
