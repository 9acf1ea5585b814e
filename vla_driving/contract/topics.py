"""The one table of topics: type, who speaks, who listens, QoS, rate and deadline.

Names are relative, so that an integrator can remap them or push them into a namespace. Rates are
names of the `rates` group in config/stack.yaml; the deadline is `deadline_periods` times that
rate's period.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Delivery(Enum):
    """Quality of service, chosen per topic.

    LATEST: best effort, depth 1: large and soon replaced. STREAM: best effort, depth 30: each
    continues the one before. STATE: reliable, depth 1: small, latest
    wins. LATCHED: reliable, transient local, depth 1: late joiners get the newest. EVENT: reliable,
    depth 100: nothing is to be lost.
    """

    LATEST = "latest"
    STREAM = "stream"
    STATE = "state"
    LATCHED = "latched"
    EVENT = "event"


@dataclass(frozen=True)
class Topic:
    """One row; `rate` is None for topics that speak when something happens.

    Deadlines are measured by the listener's own clock, not asked for in DDS: a reader that asks for
    a deadline would refuse every camera driver and tool that does not offer one.
    """

    name: str
    type: str
    publisher: str
    subscribers: tuple[str, ...]
    delivery: Delivery
    rate: str | None
    deadline_periods: float | None
    meaning: str

    def rate_hz(self, rates: Mapping[str, float]) -> float | None:
        """Nominal rate in Hz, or None."""
        return rates[self.rate] if self.rate else None

    def deadline_s(self, rates: Mapping[str, float]) -> float | None:
        """Longest time between two messages that is not a missed deadline, s, or None."""
        if self.rate is None or self.deadline_periods is None:
            return None
        return self.deadline_periods / rates[self.rate]


_MSGS = "vla_driving_msgs/msg/"

TOPICS: tuple[Topic, ...] = (
    Topic("camera/{camera}/image", "sensor_msgs/msg/Image", "camera driver", ("camera_ingest",),
          Delivery.LATEST, "camera", 2.0, "raw images, one topic a camera"),
    Topic("camera/{camera}/image/compressed", "sensor_msgs/msg/CompressedImage", "camera driver",
          ("camera_ingest",), Delivery.LATEST, "camera", 2.0, "jpeg or png instead of raw images"),
    Topic("camera/{camera}/video", _MSGS + "CompressedVideo", "camera driver", ("camera_ingest",),
          Delivery.STREAM, "camera", 2.0, "H.264 or H.265 instead of images"),
    Topic("camera/{camera}/image/foxglove", "foxglove_msgs/msg/CompressedVideo", "camera driver",
          ("camera_ingest",), Delivery.STREAM, "camera", 2.0,
          "the same, where foxglove_msgs is installed"),
    Topic("camera/{camera}/image/ffmpeg", "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
          "camera driver", ("camera_ingest",), Delivery.STREAM, "camera", 2.0,
          "the same, where ffmpeg_image_transport_msgs is installed"),
    Topic("camera/{camera}/camera_info", "sensor_msgs/msg/CameraInfo", "camera driver",
          ("camera_ingest", "event_recorder"), Delivery.LATEST, "camera", None,
          "intrinsics, held against the camera file and kept in the bag"),
    Topic("vla/frames", _MSGS + "FrameSet", "camera_ingest", ("vla_inference",),
          Delivery.LATEST, "frames", 2.0, "images at the model's size"),
    Topic("vla/large_frames", _MSGS + "FrameSet", "camera_ingest", ("slow_model",),
          Delivery.LATEST, "frames", 2.0, "images at the size of the large model, if there is one"),
    Topic("vla/camera_health", _MSGS + "CameraHealth", "camera_ingest", ("safety_monitor",),
          Delivery.STATE, "frames", 2.0, "health of the images in every FrameSet, no pixels"),
    Topic("vla/plan", _MSGS + "Plan", "vla_inference", ("safety_monitor", "reasoner"),
          Delivery.STATE, "plan", 2.0, "what the model proposes"),
    Topic("vla/thought", _MSGS + "Plan", "slow_model", ("vla_inference",),
          Delivery.STATE, None, None, "what a large model makes of frames of a while ago"),
    Topic("vla/approved_plan", _MSGS + "ApprovedPlan", "safety_monitor", ("controller_bridge",),
          Delivery.STATE, "approved_plan", 2.5, "what the car is to follow"),
    Topic("vla/safety_state", _MSGS + "SafetyState", "safety_monitor",
          ("vehicle", "reasoner"), Delivery.STATE, "safety_state", 2.5,
          "level, engagement, every check"),
    Topic("vla/control_command", _MSGS + "ControlCommand", "controller_bridge", ("vehicle",),
          Delivery.STATE, "command", 2.5, "what the actuators are to do"),
    Topic("vehicle/state", _MSGS + "VehicleState", "vehicle",
          ("camera_ingest", "vla_inference", "slow_model", "safety_monitor", "controller_bridge",
           "reasoner"),
          Delivery.STATE, "vehicle_state", 2.5, "speed, steering, driver's inputs"),
    Topic("vehicle/objects", _MSGS + "ObjectList", "vehicle", ("safety_monitor",),
          Delivery.STATE, "objects", 2.5, "radar or any detector, independent of the model"),
    Topic("vla/instruction", _MSGS + "Instruction", "cockpit", ("reasoner", "event_recorder"),
          Delivery.LATCHED, None, None, "a wish or a question in free words"),
    Topic("vla/command", _MSGS + "Command", "reasoner", ("vla_inference", "navigation"),
          Delivery.LATCHED, None, None, "what was understood of the instructions that hold"),
    Topic("vla/answer", _MSGS + "Answer", "reasoner", ("cockpit", "event_recorder"),
          Delivery.EVENT, None, None, "what became of an instruction, answers, remarks"),
    Topic("vla/route", _MSGS + "Route", "navigation",
          ("vla_inference", "slow_model", "safety_monitor", "reasoner"),
          Delivery.STATE, "route", 2.5, "next turn and a few points"),
    Topic("vla/driver_state", _MSGS + "DriverState", "driver monitoring", ("safety_monitor",),
          Delivery.STATE, "driver_state", 2.5, "eyes and hands"),
    Topic("vla/engagement_request", _MSGS + "EngagementRequest", "cockpit", ("safety_monitor",),
          Delivery.EVENT, None, None, "engage or disengage"),
    Topic("vla/event", _MSGS + "DriveEvent", "every node", ("event_recorder",),
          Delivery.EVENT, None, None, "faults, interventions, changes of engagement"),
    Topic("vla/heartbeat", "std_msgs/msg/Header", "camera_ingest, vla_inference",
          ("safety_monitor",), Delivery.EVENT, "heartbeat", None,
          "sign of life; frame_id names the node"),
    Topic("simulation/state", _MSGS + "SimulationState", "simulator", ("event_recorder",),
          Delivery.STATE, "simulation_state", 2.5, "the simulator's truth, for scores alone"),
    Topic("diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "every node", ("event_recorder",),
          Delivery.EVENT, None, None, "health of every node, once a second"),
)

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}


def camera_topic(name: str, camera: str) -> str:
    """Topic of one camera, for instance camera_topic("camera/{camera}/image", "front")."""
    return name.format(camera=camera)
