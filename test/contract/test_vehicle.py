"""Cars that cannot be: refused when their file is read."""

from pathlib import Path

import pytest

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.vehicle import load_vehicle

SHIPPED = sorted(paths.config("vehicles").glob("*.yaml"))
CARS = [path for path in SHIPPED if not path.stem.endswith("_actuators")]


@pytest.mark.parametrize("path", CARS, ids=lambda path: path.stem)
def test_shipped_cars_can_be_read(path: Path) -> None:
    assert load_vehicle(path).name == path.stem


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("comfort_deceleration", "4.0", "comfort_deceleration: 4.0 is above max_deceleration, 3.5"),
        ("emergency_deceleration", "3.0", "max_deceleration: 3.5 is above emergency_deceleration"),
    ],
)
@pytest.mark.requirement("SR-28")
def test_braking_harder_must_be_harder(
    tmp_path: Path, field: str, value: str, words: str
) -> None:
    lines = (paths.config("vehicles") / "default.yaml").read_text().splitlines()
    changed = [f"{field}: {value}" if line.startswith(f"{field}:") else line for line in lines]
    path = tmp_path / "car.yaml"
    path.write_text("\n".join(changed))
    with pytest.raises(SettingsError, match=words):
        load_vehicle(path)
