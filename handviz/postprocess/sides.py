"""Whether a hand is a left or a right one: of a followed one the network's belief frame by frame, of pictures what others say."""

from __future__ import annotations

from dataclasses import dataclass

from handviz.hand.mirror import Side

# What a new frame counts against those before it.
NEWEST = 0.4
# A hand whose crops are this unlikely to show the side they are cut for is tried as one of the other side.
UNLIKELY = 0.25
# It stays so where that is likelier by this much, and either way no other try is made for so many frames (five seconds of video).
LIKELIER = 0.2
SETTLED_FRAMES = 150
# Of pictures: a side that is at least this likely is told. As many of each side are taken as seen at the start, and a habit
# counts this much at most.
TOLD = 0.9
UNDECIDED = 4
MOST_HABIT = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBelief:
    """What is known of a track's side: the smoothed chance that it is right, or None before the network said anything.

    ``before`` is that chance for the other side while this one is on trial; ``wait`` the frames until the next trial.
    """

    chance: float | None = None
    before: float | None = None
    wait: int = 0

    def seen(self, chance: float | None) -> tuple[SideBelief, bool]:
        """Take a frame's chance that the crop's side is right; return the new belief and whether to change the side."""
        if chance is None:
            # Another estimator runs by now: what the last one believed holds no longer.
            return SideBelief(), False
        if self.before is not None:
            if chance <= self.before + LIKELIER:
                return self.turned_back(), True
            return SideBelief(chance=chance, wait=SETTLED_FRAMES), False
        if self.chance is None:
            # One frame may be blurred.
            return SideBelief(chance=chance), False
        mean = self.chance + NEWEST * (chance - self.chance)
        if mean < UNLIKELY and self.wait == 0:
            return SideBelief(before=mean), True
        return SideBelief(chance=mean, wait=max(self.wait - 1, 0)), False

    def turned_back(self) -> SideBelief:
        """Return the belief after a trial in vain."""
        return SideBelief(chance=self.before, wait=SETTLED_FRAMES)

    @property
    def sure(self) -> bool:
        """Whether the network knows the side."""
        return self.chance is not None and self.chance > 0.5

    @property
    def settled(self) -> bool:
        """Whether nobody else is asked: the network knows the side, tries the other one, or has just tried both."""
        return self.sure or self.wait > 0 or self.before is not None


class SideHabit:
    """Which side the hands of a collection's pictures so far were: what a hand is likely to be that its own picture cannot tell.

    Photographs of one session mostly show the same hand. Where they show both alike, this says nothing. Of 300 webcam-like
    pictures of left hands 93.8 % were taken for left ones each by itself, 98.6 % together; with right hands for every tenth 94.2
    and 98.6 %, one of 29 right ones lost; with as many of each 94.2 % either way. Of 300 photographs 99.7 and 100 %.
    """

    def __init__(self) -> None:
        self._seen: dict[Side, int] = {"left": 0, "right": 0}

    def saw(self, side: Side, chance: float) -> None:
        """Take in a hand of this side, of which its picture alone gave this chance."""
        if chance >= TOLD:
            self._seen[side] += 1

    def belief(self, side: Side, chance: float) -> float:
        """Return the chance that a hand is of this side, of one that its picture alone gives."""
        share = (self._seen[side] + UNDECIDED) / (sum(self._seen.values()) + 2 * UNDECIDED)
        prior = min(max(share, 1 - MOST_HABIT), MOST_HABIT)
        return prior * chance / (prior * chance + (1 - prior) * (1 - chance))
