from __future__ import annotations

from pathlib import Path

import pytest

from vla_driving.cli import main

from .tiny_model import ModelFactory


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[object, str]:
    """Exit code and everything that was printed."""
    with pytest.raises(SystemExit) as caught:
        main(["engine", *map(str, arguments)])
    captured = capsys.readouterr()
    return caught.value.code, captured.out + captured.err


def test_an_engine_is_built_verified_listed_and_inspected(
    make_model: ModelFactory, tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, cache = make_model(), tmp_path_factory.mktemp("engines")
    chosen = ("--model", model.folder, "--precision", "float32", "--cache", cache)
    code, text = run(capsys, "build", "--runtime", "openvino/CPU", *chosen)
    assert code == 0
    assert "tiny/0.1.0 on openvino/CPU float32 against ONNX Runtime" in text
    assert "TOO FAR" not in text
    (engine,) = cache.glob("*.engine")
    code, text = run(capsys, "list", "--cache", cache)
    assert code == 0
    assert text.startswith(f"sound  {engine.name}: tiny/0.1.0 float32, openvino")
    code, text = run(capsys, "inspect", engine, "--layers")
    assert code == 0
    assert f"network_sha256: {model.network.sha256}" in text
    assert "precision: float32" in text
    code, text = run(capsys, "verify", "--runtime", "onnxruntime/CPU", "--samples", "2", *chosen)
    assert code == 0


def test_a_damaged_engine_is_named_and_built_anew_where_it_is_needed(
    make_model: ModelFactory, tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, cache = make_model(), tmp_path_factory.mktemp("engines")
    chosen = ("--model", model.folder, "--precision", "float32", "--cache", cache)
    run(capsys, "build", "--runtime", "openvino/CPU", *chosen)
    (engine,) = cache.glob("*.engine")
    engine.write_bytes(engine.read_bytes()[:1000])
    code, text = run(capsys, "inspect", engine)
    assert code == 2
    assert text.startswith(f"error: {engine}: sha256 expected ")
    code, text = run(capsys, "list", "--cache", cache)
    assert code == 0
    assert text.startswith("unfit  ")
    code, text = run(capsys, "verify", "--runtime", "openvino/CPU", "--samples", "2", *chosen)
    assert code == 0
    assert f"{engine}: sha256 expected " in text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("build", "--runtime", "openvino/CPU", "--precision", "int8"), "no network in int8"),
        (("build", "--runtime", "openvino/CPU", "--target", "SM89"), "--target: tensorrt_rtx/GPU"),
        (("build", "--runtime", "openvino/CPU", "--model", "absent"), "no such file"),
        (("inspect", "absent.engine"), "absent.json: cannot be read: No such file"),
    ],
)
def test_mistakes_are_one_line(
    arguments: tuple[str, ...], line: str, make_model: ModelFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[0] == "build" and "--model" not in arguments:
        arguments = (*arguments, "--model", str(make_model().folder))
    if arguments[0] == "build" and "--precision" not in arguments:
        arguments = (*arguments, "--precision", "float32")
    code, text = run(capsys, *arguments)
    assert code == 2
    assert line in text
    assert len(text.splitlines()) == 1
