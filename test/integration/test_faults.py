"""`vla-driving faults` on the real processes: three faults, who notices them, what the car does."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .rig import PATIENT

FAULTS = ("camera_to_plan is killed", "plan not a number", "event_recorder is killed")
FAULTS_IN_TABLE_ORDER = (FAULTS[0], FAULTS[2], FAULTS[1])


@pytest.mark.timeout(400)
@pytest.mark.skipif(
    find_spec("metadrive") is None, reason="MetaDrive is missing: make setup installs it"
)
def test_faults_are_detected_and_answered_and_the_report_says_how(tmp_path: Path) -> None:
    out = tmp_path / "faults.json"
    chosen = [word for name in FAULTS for word in ("--fault", name)]
    patience = [word for setting in PATIENT for word in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-m", "vla_driving.cli", "faults", "--quick", "--min-speed", "2",
         "--out", str(out), *chosen, *patience],
        capture_output=True, text=True, timeout=380, check=False,
    )
    assert out.is_file(), done.stdout + done.stderr
    rows = {r["fault"]: r for r in json.loads(out.read_text())}
    killed, spoilt, recorder = (rows[name] for name in FAULTS)
    for entry in (killed, spoilt, recorder):
        assert entry["runs"] == 1 and entry["problems"] == [], done.stdout
    assert killed["detected_as"].startswith(("camera_", "vla_inference_alive", "frames_", "plan_"))
    assert killed["command_ms_p99"] == killed["stop_ms_p99"] > 0.0
    assert killed["standstill_m"] > 0.0
    assert spoilt["detected_as"].startswith("plan_")
    assert spoilt["command_ms_p99"] < spoilt["stop_ms_p99"]
    assert recorder["pass"] and recorder["stop_ms_p99"] is None
    assert "camera_to_plan is killed" in done.stdout
    kept = (tmp_path / "faults" / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["fault"] for line in kept[1:]] == list(FAULTS_IN_TABLE_ORDER)


def test_an_unknown_fault_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vla_driving.cli", "faults", "--fault", "volcano"],
        capture_output=True, text=True, timeout=100, check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: --fault 'volcano': no fault has that in its name; see docs/faults.md\n"
    )
