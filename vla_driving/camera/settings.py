"""Parameters of camera_ingest; the values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import described, quantity


@dataclass(frozen=True)
class HealthSettings:
    """Limits of one camera's image; brightness counts from 0 to 255."""

    max_age: float = quantity("s", 0.02, 2.0, "an older newest image is stale")
    frozen_after: int = quantity("images", 2, 100, "equal images in a row while the car moves")
    dark_level: float = quantity("levels", 0.0, 128.0, "darker on average is dark")
    overexposed_share: float = quantity("", 0.05, 1.0, "more saturated pixels is overexposed")
    covered_contrast: float = quantity(
        "levels", 0.0, 64.0, "less standard deviation of brightness is covered"
    )
    blurred_sharpness: float = quantity(
        "levels", 0.0, 100.0, "less standard deviation of the Laplacian is blurred"
    )
    confirm: int = quantity("images", 1, 50, "bad images in a row before dark to blurred count")


@dataclass(frozen=True)
class SynchronisationSettings:
    """How images of several cameras become one set."""

    tolerance: float = quantity("s", 0.001, 0.1, "exposures further apart do not belong together")
    warning: float = quantity("s", 0.001, 0.1, "exposures further apart are reported")
    wait: float = quantity("s", 0.0, 0.2, "for the other cameras after the reference's image came")


@dataclass(frozen=True)
class CameraIngestSettings:
    """Which cameras there are, where their images come from, what is wrong with an image."""

    sources: tuple[str, ...] = described(
        "one for each of `cameras`: topic, compressed_topic, or a video file or folder of pictures"
    )
    reference: str = described("camera whose exposure stamps the set, by its name")
    loop: bool = described("start a file anew at its end")
    assumed_horizontal_fov: float = quantity(
        "rad", 0.3, 2.6, "of a camera whose file is named assumed"
    )
    synchronisation: SynchronisationSettings = described("pairing")
    health: HealthSettings = described("limits")
