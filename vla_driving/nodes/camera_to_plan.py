"""camera_ingest and vla_inference in one process: frames go from one to the other in memory."""

from __future__ import annotations

from typing import Any

import cv2

from vla_driving.nodes.camera_ingest import CameraIngestNode
from vla_driving.nodes.process import run
from vla_driving.nodes.vla_inference import VlaInference

HANDED_OVER = ("vla/frames",)


def main(_args: Any = None) -> None:
    """Run both, each as the lifecycle node that it is alone."""
    cv2.setNumThreads(1)
    run(CameraIngestNode, VlaInference, handed_over=HANDED_OVER)


if __name__ == "__main__":
    main()
