"""The bench runs in a ROS domain of its own, so that no other stack on the machine is met."""

from __future__ import annotations

import os
from collections.abc import Mapping


def own_domain(surroundings: Mapping[str, str]) -> dict[str, str]:
    """The environment with a domain between 100 and 199 that never leaves this machine."""
    return {
        **surroundings,
        "ROS_DOMAIN_ID": str(100 + os.getpid() % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
