"""What may arrive instead of a sensor's list of objects, and instead of an approved plan.

As in `adversary`: one small function a kind. Lists go to the monitor. Approved plans go from the
monitor to the bridge; there `sent` are all that the monitor sent so far, and None is what gets
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from vla_driving.assurance.fuzzing.adversary import (
    NUMBERS,
    SEQUENCES,
    STAMPS_S,
    TRAJECTORIES,
    Rng,
    crowd,
    pick,
    some,
)
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.plan import ApprovedPlan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.trajectory import Trajectory

# -- lists of objects --------------------------------------------------------------------------


def list_crowded(rng: Rng, old: ObjectList, path: Trajectory) -> ObjectList:
    """Objects on and beside the path, odd ones, and far too many."""
    return signed(replace(old, objects=crowd(rng, path)))


def list_in_the_way(rng: Rng, old: ObjectList, path: Trajectory) -> ObjectList:
    """One thing that stands on the path."""
    item = replace(
        crowd(rng, path)[0], probability=0.9, y=float(path.y[10]), velocity_x=0.0, velocity_y=0.0,
        x=float(path.x[int(rng.integers(10, 60))]), length=4.0, width=1.8,
    )
    return signed(replace(old, objects=(*old.objects, item)))


def list_stamped(rng: Rng, old: ObjectList, path: Trajectory) -> ObjectList:
    """From another time."""
    return signed(replace(old, stamp_ns=old.stamp_ns + nanoseconds(pick(rng, STAMPS_S))))


def list_numbered(rng: Rng, old: ObjectList, path: Trajectory) -> ObjectList:
    """A number that jumps."""
    return signed(replace(old, sequence=max(0, old.sequence + int(pick(rng, SEQUENCES)))))


def list_unsigned(rng: Rng, old: ObjectList, path: Trajectory) -> ObjectList:
    """Changed, under another checksum."""
    changed = replace(old, objects=crowd(rng, path))
    return replace(changed, checksum=int(pick(rng, (old.checksum, *NUMBERS))))


def list_emptied(rng: Rng, old: ObjectList, path: Trajectory) -> ObjectList:
    """Nothing is seen any more."""
    return signed(replace(old, objects=()))


def no_list(rng: Rng, old: ObjectList, path: Trajectory) -> Any:
    """Something that is no list at all, or one with a hole in it."""
    if rng.random() < 0.5:
        return pick(rng, (None, 7, "list", (), object()))
    hole: dict[str, Any] = {pick(rng, ("stamp_ns", "sequence", "objects", "checksum")): None}
    return replace(old, **hole)


LISTS: dict[str, Callable[[Rng, ObjectList, Trajectory], Any]] = {
    change.__name__: change for change in (
        list_crowded, list_in_the_way, list_stamped, list_numbered, list_unsigned, list_emptied,
        no_list,
    )
}

# -- approved plans ----------------------------------------------------------------------------


def link_lost(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """It does not arrive."""
    return None


def link_late(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """One of before arrives, late or again."""
    return sent[-int(rng.integers(1, min(len(sent), 60) + 1))]


def link_altered(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """Another trajectory under the checksum of before, or under any checksum."""
    changed = pick(rng, TRAJECTORIES)(rng, sent[-1].trajectory)
    checksum = int(pick(rng, (sent[-1].checksum, sent[-1].checksum, *NUMBERS)))
    return replace(sent[-1], trajectory=changed, checksum=checksum)


def link_flags_altered(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """Engaged, hold or the cap, under the checksum of before."""
    name = pick(rng, ("engaged", "hold", "speed_cap"))
    changed: dict[str, Any] = {name: some(rng)} if name == "speed_cap" else {
        name: not getattr(sent[-1], name)
    }
    return replace(sent[-1], **changed)


def link_forged(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """Another trajectory with the checksum that fits: only the envelope is left."""
    return signed(replace(
        sent[-1], trajectory=pick(rng, TRAJECTORIES)(rng, sent[-1].trajectory),
    ))


def link_flags_forged(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """Flags, source and cap with the checksum that fits."""
    return signed(replace(
        sent[-1], engaged=bool(rng.random() < 0.8), hold=bool(rng.random() < 0.3),
        source=pick(rng, (0, 1, 1, 255)), speed_cap=some(rng),
    ))


def link_stamped(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """From another time, or valid until another time."""
    old = sent[-1]
    moved = nanoseconds(pick(rng, STAMPS_S))
    until_ns = old.valid_until_ns + (moved if rng.random() < 0.5 else 0)
    stamp_ns = old.stamp_ns + (moved if rng.random() < 0.5 else 0)
    return signed(replace(old, stamp_ns=stamp_ns, valid_until_ns=until_ns))


def link_numbered(rng: Rng, sent: Sequence[ApprovedPlan]) -> ApprovedPlan | None:
    """A number that jumps."""
    sequence = max(0, sent[-1].sequence + int(pick(rng, SEQUENCES)))
    return signed(replace(sent[-1], sequence=sequence))


LINKS: dict[str, Callable[[Rng, Sequence[ApprovedPlan]], ApprovedPlan | None]] = {
    change.__name__: change for change in (
        link_lost, link_late, link_altered, link_flags_altered, link_forged, link_flags_forged,
        link_stamped, link_numbered,
    )
}
SECOND_PUBLISHER = "link_second_publisher"
"""Another node speaks on the topic of approved plans: for that step the bridge follows neither."""
