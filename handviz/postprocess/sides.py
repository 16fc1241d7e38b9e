"""Whether a hand is left or right: by the network's beliefs over a track's frames, or by a collection's other pictures."""

from __future__ import annotations

from dataclasses import dataclass

from handviz.hand.mirror import Side

# The weight of a new frame against those before it.
NEWEST = 0.4
# A hand whose crops are this unlikely to show the side they are cut for is tried as one of the other side.
UNLIKELY = 0.25
# It keeps that side if it is likelier by this much. Either way no trial follows for this many frames (five seconds of video).
LIKELIER = 0.2
SETTLED_FRAMES = 150
# For pictures: a side that is at least this likely counts as known. At the start this many of each side are taken as seen, and
# the habit's share is limited to this much.
TOLD = 0.9
UNDECIDED = 4
MOST_HABIT = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBelief:
    """What is known about a track's side: the smoothed chance that it is correct, or None before the network said anything.

    ``before`` is that chance for the other side while this one is on trial; ``wait`` the frames until the next trial.
    """

    chance: float | None = None
    before: float | None = None
    wait: int = 0

    def seen(self, chance: float | None) -> tuple[SideBelief, bool]:
        """Take a frame's chance that the crop's side is correct; return the new belief and whether to change the side."""
        if chance is None:
            # Another estimator runs now: what the last one believed no longer counts.
            return SideBelief(), False
        if self.before is not None:
            if chance <= self.before + LIKELIER:
                return self.turned_back(), True
            return SideBelief(chance=chance, wait=SETTLED_FRAMES), False
        if self.chance is None:
            # A single frame may be blurred.
            return SideBelief(chance=chance), False
        mean = self.chance + NEWEST * (chance - self.chance)
        if mean < UNLIKELY and self.wait == 0:
            return SideBelief(before=mean), True
        return SideBelief(chance=mean, wait=max(self.wait - 1, 0)), False

    def turned_back(self) -> SideBelief:
        """Return the belief after a failed trial."""
        return SideBelief(chance=self.before, wait=SETTLED_FRAMES)

    @property
    def sure(self) -> bool:
        """Whether the network knows the side."""
        return self.chance is not None and self.chance > 0.5

    @property
    def settled(self) -> bool:
        """Whether the detector is not asked: the network knows the side, is trying the other one, or has just tried both."""
        return self.sure or self.wait > 0 or self.before is not None


class SideHabit:
    """Which side the hands in a collection's pictures were so far: the likely side of a hand whose own picture does not show it.

    Photographs of one session mostly show the same hand. If they show both equally, this says nothing. Of 300 webcam-like
    pictures of left hands 93.8 % were taken for left when judged alone, 98.6 % together; with every tenth a right hand 94.2
    and 98.6 %, at the cost of one of 29 right ones; with equal numbers 94.2 % either way. Of 300 photographs 99.7 and 100 %.
    """

    def __init__(self) -> None:
        self._seen: dict[Side, int] = {"left": 0, "right": 0}

    def saw(self, side: Side, chance: float) -> None:
        """Take a hand of this side, for which its picture alone gave this chance."""
        if chance >= TOLD:
            self._seen[side] += 1

    def belief(self, side: Side, chance: float) -> float:
        """Return the chance that a hand is of this side, given the chance from its picture alone."""
        share = (self._seen[side] + UNDECIDED) / (sum(self._seen.values()) + 2 * UNDECIDED)
        prior = min(max(share, 1 - MOST_HABIT), MOST_HABIT)
        return prior * chance / (prior * chance + (1 - prior) * (1 - chance))
