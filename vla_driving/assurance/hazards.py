"""What can go wrong for people, and how bad that is: the table that the requirements answer."""

from __future__ import annotations

from dataclasses import dataclass

_CLASSES = {7: "A", 8: "B", 9: "C", 10: "D"}


@dataclass(frozen=True)
class Hazard:
    """One row, rated as in ISO 26262-3, clause 6.4.3.

    `severity` 0 (nobody is hurt) to 3 (life-threatening), `exposure` 0 (incredible) to 4 (in every
    drive), `controllability` 0 (anybody copes) to 3 (hardly anybody); each with its reason.
    """

    identity: str
    what: str
    severity: int
    exposure: int
    controllability: int
    severity_why: str
    exposure_why: str
    controllability_why: str
    goal: str

    @property
    def integrity(self) -> str:
        """A to D, QM below: table 4 of the same clause, in which the sum of the three decides."""
        if 0 in (self.severity, self.exposure, self.controllability):
            return "QM"
        return _CLASSES.get(self.severity + self.exposure + self.controllability, "QM")


HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "HZ-01", "It drives into somebody or something: brakes late or not at all, or steers there",
        3, 4, 3, "an impact at traffic speed, people on foot included",
        "somebody is ahead or beside in every drive",
        "within the last second a person who trusts the car does not brake in time",
        "No contact that braking or keeping away could have avoided.",
    ),
    Hazard(
        "HZ-02", "It leaves its lane or the road without being asked to",
        3, 4, 3, "oncoming traffic, trees, ditches", "every drive has edges and lines",
        "a lane is left within a second; hands may rest beside the wheel",
        "It stays on the road, and in its lane unless it announces to leave it.",
    ),
    Hazard(
        "HZ-03", "It brakes or stops without need",
        2, 4, 2, "the one behind may run into it, belted people as a rule survive",
        "traffic follows in most drives",
        "those behind see brake and hazard lights; the driver may accelerate at any time",
        "No intervention where none is needed; where one is, no harder than it must be.",
    ),
    Hazard(
        "HZ-04", "It accelerates, or drives faster than allowed, without being asked to",
        3, 3, 2, "impact energy grows with the square of the speed",
        "only where room ahead invites it",
        "it builds up over seconds, and the brake pedal wins at once",
        "Never faster than car, route and signs allow, never harder than ISO 15622.",
    ),
    Hazard(
        "HZ-05", "It steers or jerks so hard that tyres, passengers or the driver cannot follow",
        3, 3, 3, "a skid or a rollover at speed", "only at speed",
        "faster than a person reacts",
        "Lateral acceleration and jerk within ISO 11270 at every speed.",
    ),
    Hazard(
        "HZ-06", "It drives on although a camera, a sensor, a process or the clock has failed",
        3, 3, 3, "it drives into what it does not see", "parts fail in a small share of drives",
        "nothing tells the driver but the car itself",
        "Whatever driving needs is watched, the watcher included; without it the car stops.",
    ),
    Hazard(
        "HZ-07", "The driver cannot take over, or does not know who drives and why",
        3, 3, 3, "car and driver work against each other, or nobody drives",
        "people take over in many drives", "who is not heard by the car has no other means",
        "The driver wins at once, always; state, reason and limit are told in one line.",
    ),
    Hazard(
        "HZ-08", "Nobody supervises the car where it needs that (L2)",
        3, 4, 2, "an error of the stack meets nobody", "attention wanes in every longer drive",
        "alerts wake most people in time",
        "Want of attention is told in steps and ends in a hand-over, then in a stop.",
    ),
    Hazard(
        "HZ-09", "It drives where it was not made for: too fast, off its route, in dark or fog",
        3, 3, 2, "errors are likelier there", "borders of the domain are met now and then",
        "the driver sees the border as well",
        "Borders of the operational domain are known and watched; beyond them the driver is asked.",
    ),
    Hazard(
        "HZ-10", "It starts, or drives on after a stop, on its own",
        2, 3, 2, "people may stand before a car that they believe to be parked",
        "after every stop", "it starts gently and the brake pedal wins",
        "Only the driver engages, and after a stop engages anew.",
    ),
    Hazard(
        "HZ-11", "Messages are lost, late, mixed up, damaged, or come from somebody else",
        3, 2, 3, "wrong commands do anything of the above", "rare on a wired network",
        "nobody sees messages",
        "A message counts only if it is whole, in time, in order, and its topic has one speaker.",
    ),
    Hazard(
        "HZ-12", "It drives through a red light",
        3, 3, 2, "crossing traffic relies on it", "lights are on many routes, red now and then",
        "the driver sees the light as well",
        "No plan that passes a red light in front of which the car can stop is followed.",
    ),
)

BY_ID = {hazard.identity: hazard for hazard in HAZARDS}
