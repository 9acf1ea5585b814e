"""Signs of life of the nodes that frames and plans come from."""

from __future__ import annotations

from collections.abc import Iterable

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.supervision import Heartbeat

NODES = ("camera_ingest", "vla_inference")
"""Who is listened to, in the order of the data's flow."""


class Heartbeats:
    """When each node last said that it lives."""

    def __init__(self, future_tolerance_s: float) -> None:
        self._future_tolerance_s = future_tolerance_s
        self._newest: dict[str, Nanoseconds] = {}

    def take(self, beats: Iterable[Heartbeat], now_ns: Nanoseconds) -> None:
        """Take in what arrived; a beat from the future is none."""
        for beat in beats:
            ahead_s = -age_s(beat.stamp_ns, now_ns)
            if beat.node in NODES and ahead_s <= self._future_tolerance_s:
                last = self._newest.get(beat.node, beat.stamp_ns)
                self._newest[beat.node] = max(last, beat.stamp_ns)

    def age_s(self, node: str, now_ns: Nanoseconds) -> float | None:
        """Age of a node's last beat in s; None where none ever came."""
        last = self._newest.get(node)
        return None if last is None else age_s(last, now_ns)

    def forget(self) -> None:
        """Start anew after a jump of the clock."""
        self._newest.clear()
