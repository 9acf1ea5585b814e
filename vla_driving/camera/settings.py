"""Parameters of camera_ingest; the values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import choice, described, quantity


@dataclass(frozen=True)
class HealthSettings:
    """Limits of one camera's image; brightness counts from 0 to 255."""

    max_age: float = quantity("s", 0.02, 2.0, "an image exposed longer ago is stale")
    max_silence: float = quantity(
        "periods", 1.2, 100.0, "of the reference without an image before it is told to be late"
    )
    frozen_after: int = quantity("images", 2, 100, "equal images in a row while the car moves")
    dark_level: float = quantity("levels", 0.0, 128.0, "darker in its 95th percentile is dark")
    overexposed_share: float = quantity("", 0.05, 1.0, "more saturated pixels is overexposed")
    covered_contrast: float = quantity(
        "levels", 0.0, 64.0, "less standard deviation of what is coarse is covered"
    )
    blurred_sharpness: float = quantity(
        "", 0.0, 10.0, "steepest edges less steep against the brightest things is blurred"
    )
    confirm: int = quantity("images", 1, 50, "bad images in a row before dark to blurred count")
    rate_tolerance: float = quantity(
        "", 0.02, 1.0, "share by which a camera's rate may be off, over the last two seconds"
    )


@dataclass(frozen=True)
class SynchronisationSettings:
    """How images of several cameras become one set."""

    tolerance: float = quantity("s", 0.001, 0.1, "exposures further apart do not belong together")
    warning: float = quantity("s", 0.001, 0.1, "exposures further apart are reported")
    wait: float = quantity("s", 0.0, 0.2, "for the other cameras after the reference's image came")


@dataclass(frozen=True)
class LiveSettings:
    """Devices and network streams that the node opens itself."""

    pixel_format: str = choice(
        "auto", "mjpeg", "yuyv422", "uyvy422", "nv12", "h264", "hevc",
        doc="that a V4L2 device is asked for",
    )
    open_timeout: float = quantity("s", 0.1, 60.0, "until a source must have been opened")
    read_timeout: float = quantity("s", 0.05, 60.0, "without data it is opened anew")
    first_retry: float = quantity("s", 0.01, 60.0, "wait before a lost source is opened again")
    longest_retry: float = quantity("s", 0.01, 60.0, "the wait doubles up to this")
    latency: float = quantity(
        "s", 0.0, 1.0, "from exposure to arrival, of sources that do not stamp by our clock"
    )


@dataclass(frozen=True)
class CameraIngestSettings:
    """Which cameras there are, where their images come from, what is wrong with an image."""

    sources: tuple[str, ...] = described(
        "one for each of `cameras`: topic, compressed_topic, video_topic, foxglove_topic,"
        " ffmpeg_topic, a V4L2 device, an address such as rtsp://..., a video file or a folder of"
        " pictures"
    )
    intrinsics: str = choice(
        "camera_file", "camera_info",
        doc="what states lens and focal length; size and mount always stand in the camera file",
    )
    reference: str = described("camera whose exposure stamps the set, by its name")
    loop: bool = described("start a file anew at its end")
    assumed_horizontal_fov: float = quantity(
        "rad", 0.3, 2.6, "of a camera whose file is named assumed"
    )
    live: LiveSettings = described("devices and streams")
    synchronisation: SynchronisationSettings = described("pairing")
    health: HealthSettings = described("limits")
