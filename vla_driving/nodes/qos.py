"""Quality of service of each way of delivery in the topic table."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from vla_driving.contract.topics import Delivery

_RELIABLE, _BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
_VOLATILE, _LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


def profile(delivery: Delivery, depth: int | None = None) -> QoSProfile:
    """QoS profile of a delivery; see Delivery for what each means. A reader may keep more."""
    reliability, durability, own_depth = {
        Delivery.LATEST: (_BEST_EFFORT, _VOLATILE, 1),
        Delivery.STREAM: (_BEST_EFFORT, _VOLATILE, 30),
        Delivery.STATE: (_RELIABLE, _VOLATILE, 1),
        Delivery.LATCHED: (_RELIABLE, _LATCHED, 1),
        Delivery.EVENT: (_RELIABLE, _VOLATILE, 100),
    }[delivery]
    return QoSProfile(
        reliability=reliability,
        durability=durability,
        history=HistoryPolicy.KEEP_LAST,
        depth=depth or own_depth,
    )
