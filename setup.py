"""Build of vla_driving by colcon (ament_python) and by pip."""

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "vla_driving"
NODES = (
    "camera_ingest",
    "vla_inference",
    "slow_model",
    "reasoner",
    "camera_to_plan",
    "safety_monitor",
    "controller_bridge",
    "event_recorder",
    "simulator",
    "bench_vehicle",
)
# Found at run time by vla_driving/paths.py.
SHARED_FOLDERS = ("launch", "config", "models")


def shared_files() -> list[tuple[str, list[str]]]:
    """The data files: (folder under the install prefix, files), folder by folder."""
    by_folder: dict[str, list[str]] = {
        "share/ament_index/resource_index/packages": [f"resource/{PACKAGE}"],
        f"share/{PACKAGE}": ["package.xml"],
    }
    for shared in SHARED_FOLDERS:
        for path in sorted(Path(shared).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                by_folder.setdefault(f"share/{PACKAGE}/{path.parent}", []).append(str(path))
    return sorted(by_folder.items())


version = re.search(r'__version__ = "(.+)"', Path(PACKAGE, "__init__.py").read_text())
assert version

setup(
    name=PACKAGE,
    version=version[1],
    description="An open in-vehicle autonomy stack on ROS 2: cameras in, checked commands out",
    license="Apache-2.0",
    author="vla_driving maintainers",
    maintainer="vla_driving maintainers",
    maintainer_email="maintainers@vla-driving.invalid",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed"], f"{PACKAGE}.vla.language": ["texts/*.txt", "head.*"]},
    data_files=shared_files(),
    python_requires=">=3.11",
    # As with every ROS package: what it needs comes with the distribution (package.xml) or, pinned,
    # from requirements/; a list here would be checked at the start of each node.
    install_requires=["setuptools"],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            f"vla-driving = {PACKAGE}.cli:main",
            *(f"{node} = {PACKAGE}.nodes.{node}:main" for node in NODES),
        ],
    },
)
