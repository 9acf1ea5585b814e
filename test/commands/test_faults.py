"""What is wrong with the command line of `vla-driving faults` is said before anything starts."""

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from vla_driving.cli import main


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--runs", "0"], "--runs 0: expected at least 1"),
        (["--fault", "no such fault"], "no such fault"),
    ],
)
def test_a_wrong_option_is_one_line(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["faults", *options])
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


@pytest.mark.parametrize("name", ["", "results", "results.txt", "folder.json"])
def test_results_go_to_a_json_file_and_nothing_beside_them_is_touched(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Logs go to a folder named as the file; a folder called log is the user's."""
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        main(["faults", "--out", str(tmp_path / name)])
    wrong = f"--out {tmp_path / name}: expected a file that ends with .json"
    assert wrong in capsys.readouterr().err
    assert (tmp_path / "log" / "mine.txt").read_text() == "mine"
