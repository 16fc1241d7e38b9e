"""Following hands: which detection is which hand, where to look next, and when a hand is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side, other_side
from handviz.postprocess.sides import SideBelief
from handviz.records import HandDetection

# A track ends when the estimator's belief falls below this.
LOST_SCORE = 0.5
# Below this the estimator is unsure where the hand is, and the detector is run, at most every ``UNSURE_EVERY`` frames.
UNSURE_SCORE = 0.9
# The belief in a hand and in its joints that a hand detected in a part of the picture needs at first. In nine parts of each of
# 240 cuts of panoramas seven things were found and believed in as other hands must be; none as much as this.
PART_SCORE = 0.8
# A track whose joints are farther from the detector's than this fraction of the hand's extent has slipped.
SLIPPED = 0.2
UNSURE_EVERY = 3
# A hand that moved by less than this fraction of its extent counts as still.
STILL = 0.1
# A detection that overlaps a track by this much is the tracked hand.
MATCH_IOU = 0.25
# Two tracks whose joints are closer than this fraction of the hand's extent follow one hand. Two real hands of the same side that
# close belong to two people, so the limit for one side is larger; off-centre crops of one hand give joints that far apart.
SAME_HAND = 0.3
SAME_SIDED_HAND = 0.5
# A hand that is found again in its old place within this many frames keeps its id.
REMEMBERED_FRAMES = 15
# So does one that moved out of its crop and is found elsewhere: at most this many extents away per frame, within so many frames.
SWIFT, SWIFT_FRAMES = 1.5, 3
# A hand that is lost while another is followed is searched for on this many frames in a row, the first few without delay: one
# that moves fast is seen again within a few frames, or returns after it was blurred.
LOOKS_FOR_LOST = 15
URGENT_LOOKS = 3
# If the network does not tell sides, a track's side follows the detector's only after it disagreed this often in a row.
SIDE_VOTES = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """A tracked hand, with its last joints (21, 2) in pixels of the full picture.

    ``age`` counts the frames in which an estimator saw it; ``resumed`` means that it was lost before; ``in_part`` that it
    is new and was detected in a part of the picture alone.
    """

    track_id: int
    side: Side
    joints_px: FloatArray
    score: float
    age: int = 0
    resumed: bool = False
    in_part: bool = False
    side_doubts: int = 0
    side_belief: SideBelief = field(default_factory=SideBelief)

    @property
    def known(self) -> bool:
        """Whether an estimator ever saw this hand."""
        return self.age > 0 or self.resumed


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingConfig:
    """While fewer than ``max_hands`` are followed, the detector looks for further hands every ``detect_every`` frames.

    With eight, a hand that enters is seen within a quarter of a second at 30 Hz. A detection takes about 20 ms of one core.
    """

    max_hands: int = 2
    detect_every: int = 8


class Tracker:
    """Keeps the tracks. It sees no pictures, only detections and estimates."""

    def __init__(self, config: TrackingConfig) -> None:
        self.config = config
        self.tracks: list[Track] = []
        self._lost: list[tuple[Track, int]] = []
        # In the last frame: hands that were found elsewhere when their track ended, by the id that they got there.
        self.renamed: dict[int, int] = {}
        # In the last frame: the hand that was lost, the last of several.
        self.just_lost: Track | None = None
        self._next_id = 0
        self._since_detection = 0
        self._looks_left = 0

    @property
    def begun(self) -> list[Track]:
        """The tracks without an estimate so far."""
        return [track for track in self.tracks if track.age == 0]

    @property
    def misses_one(self) -> bool:
        """Whether a hand was just lost and there is room for it."""
        return self._looks_left > LOOKS_FOR_LOST - URGENT_LOOKS and self._has_room

    @property
    def is_unsure(self) -> bool:
        """Whether the estimator is unsure where one of the followed hands is."""
        return any(track.score < UNSURE_SCORE for track in self.tracks)

    @property
    def _has_room(self) -> bool:
        return len(self.tracks) < self.config.max_hands

    @property
    def can_wait(self) -> bool:
        """Whether hands are followed and none was just lost, so that detections are not needed on this very frame."""
        return bool(self.tracks) and not self.misses_one

    def wants_detection(self) -> bool:
        """Say whether the detector should run on this frame: nothing is followed, or it is time to look for more hands.

        It also runs when a track is unsure or was lost. With all hands found it still runs now and then, to notice a
        track that slid onto something else.
        """
        if not self.tracks or (self._looks_left > 0 and self._has_room):
            return True
        if self.is_unsure and self._since_detection >= UNSURE_EVERY:
            return True
        return self._since_detection >= self.config.detect_every * (1 if self._has_room else 4)

    def detected(self, detections: Sequence[HandDetection]) -> None:
        """Take the detector's hands: known ones may correct a track's side, new ones start tracks while there is room."""
        self._looked()
        known = self._matches([detection.joints_px for detection in detections])
        for index, number in known.items():
            self.tracks[index] = _vote(self.tracks[index], detections[number])
        for number, detection in enumerate(detections):
            seen = detection.joints_px
            new = number not in known.values() and not any(_same_hand(track.joints_px, seen) for track in self.tracks)
            if new and self._has_room:
                self._begin(detection)

    def detected_late(self, followed: Sequence[Track], detections: Sequence[HandDetection]) -> bool:
        """Take the detector's hands from a frame a moment ago, in which these tracks were followed, if they are still valid.

        False, and nothing is taken, if the detector should run on the current frame instead: it saw another hand, or it corrects
        one that has moved since.
        """
        then = Tracker(self.config)
        then.tracks = list(followed)
        then.detected(detections)
        # A track that nothing changed is the same object.
        if then.tracks == list(followed):
            self._looked()
            return True
        if len(then.tracks) > len(followed) or self._moved_since(followed):
            return False
        self.detected(detections)
        return True

    def _moved_since(self, followed: Sequence[Track]) -> bool:
        before = {track.track_id: track for track in followed}
        return any(t.track_id not in before or _gap(before[t.track_id].joints_px, t.joints_px) > STILL for t in self.tracks)

    def _looked(self) -> None:
        self._since_detection = 0
        self._looks_left = max(self._looks_left - 1, 0)

    def _begin(self, detection: HandDetection) -> None:
        side, joints_px, score = detection.side, detection.joints_px, detection.score
        # The network may know its side better than the detector.
        lost = [(t, age) for t, age in self._lost if t.side == side or t.side_belief.sure]
        near = [t for t, age in lost if _iou(_extent(t.joints_px), _extent(joints_px)) > MATCH_IOU or _swiftly(t, age, joints_px)]
        if near:
            old = min(near, key=lambda t: _gap(t.joints_px, joints_px))
            self._lost = [(t, age) for t, age in self._lost if t.track_id != old.track_id]
            self.tracks.append(replace(old, joints_px=joints_px, score=score, age=0, resumed=True, side_doubts=0))
        else:
            new = Track(track_id=self._next_id, side=side, joints_px=joints_px, score=score, in_part=detection.in_part)
            self.tracks.append(new)
            self._next_id += 1

    def _matches(self, seen_px: Sequence[FloatArray]) -> dict[int, int]:
        """Return which of the detector's joints belong to which track: largest overlaps first, each once."""
        boxes = [_extent(points) for points in seen_px]
        pairs = [(_iou(_extent(t.joints_px), box), i, k) for i, t in enumerate(self.tracks) for k, box in enumerate(boxes)]
        found: dict[int, int] = {}
        for overlap, track, number in sorted(pairs, reverse=True):
            if overlap >= MATCH_IOU and track not in found and number not in found.values():
                found[track] = number
        return found

    def estimated(
        self,
        joints_px: Sequence[FloatArray],
        scores: Sequence[float],
        sureness: Sequence[float] | None = None,
        side_chances: Sequence[float | None] | None = None,
        *,
        begun: bool = False,
    ) -> list[int]:
        """Take the estimates of this frame, one per track in order; return the ids of tracks that ended.

        ``begun``: only those of tracks that began on this frame, after the others of the same frame.

        ``scores`` say whether a hand is there, ``sureness`` (by default the same) whether its joints are right, ``side_chances``
        whether it is of the track's side (by default, or None: unknown); if it is not, the side changes for the next frame.

        A track ends if its score is low, its joints are not finite, or another track follows the same hand; then the older one
        stays, unless it is unsure and the younger one surer. If a track begun on this frame is likely the same hand as one that
        ended, it takes over the id (see ``renamed``). A track that is lost while the other side is tried goes on as its own side,
        from where it was.
        """
        if not begun:
            self._since_detection += 1
            self.just_lost = None
            self._lost = [(track, age + 1) for track, age in self._lost if age < REMEMBERED_FRAMES]
        told = self.begun if begun else self.tracks
        kept = [track for track in self.tracks if track not in told]
        ended: list[Track] = []
        turned: set[int] = set()
        sides = side_chances or [None] * len(scores)
        for track, joints, score, sure, chance in zip(told, joints_px, scores, sureness or scores, sides, strict=True):
            if not is_there(score, joints) or (track.in_part and min(score, sure) < PART_SCORE):
                if track.side_belief.before is not None:
                    kept.append(_turned_back(track))
                else:
                    ended.append(track)
                    self._lose(track)
                continue
            self._confirm(track)
            belief, turn = track.side_belief.seen(chance)
            if turn:
                turned.add(track.track_id)
            now = replace(track, joints_px=joints, score=min(score, sure), age=track.age + 1, side_belief=belief, in_part=False)
            rival = next((other for other in kept if _follow_one(other, now)), None)
            if rival is None:
                kept.append(now)
            elif rival.score < UNSURE_SCORE and now.score > rival.score:
                kept[kept.index(rival)] = now
                ended.append(rival)
            else:
                ended.append(track)
        # These joints were still estimated for the previous side.
        kept = [replace(t, side=other_side(t.side)) if t.track_id in turned else t for t in kept]
        self.renamed = _found_elsewhere(ended, kept)
        if self.renamed:
            self._looks_left = 0
        self.tracks = [replace(t, track_id=self.renamed.get(t.track_id, t.track_id)) for t in kept]
        gone = [track for track in ended if track.track_id not in self.renamed.values()]
        self._lost += [(track, 0) for track in gone if track.known]
        self._take_back({track.track_id for track in gone if not track.known})
        return [track.track_id for track in ended]

    def _take_back(self, unused: set[int]) -> None:
        # Hands that only the detector saw were never reported, and would use up ids.
        while self._next_id - 1 in unused:
            self._next_id -= 1

    def _lose(self, track: Track) -> None:
        # Not for hands that only the detector saw, or it would be run for the same thing for ever.
        if track.age > 0:
            self._looks_left = LOOKS_FOR_LOST
            self.just_lost = track

    def _confirm(self, track: Track) -> None:
        if track.resumed and track.age == 0:
            self._looks_left = 0

    def reset(self, seen: Sequence[Track] = ()) -> list[int]:
        """Forget all tracks, as after a jump in the recording; return their ids.

        ``seen`` are the tracks from an earlier analysis of the next frame, if any: when found again, they keep their ids.
        """
        ended = [track.track_id for track in self.tracks]
        self.tracks, self._lost = [], [(track, 0) for track in seen]
        self._next_id = max([self._next_id, *(track.track_id + 1 for track in seen)])
        self._since_detection = self._looks_left = 0
        self.just_lost = None
        return ended


def is_there(score: float, joints_px: FloatArray) -> bool:
    """Say whether an estimate, given its score and its joints (21, 2), is one of a hand."""
    return score >= LOST_SCORE and bool(np.isfinite(joints_px).all())


def _turned_back(track: Track) -> Track:
    return replace(track, side=other_side(track.side), age=track.age + 1, side_belief=track.side_belief.turned_back())


def _vote(track: Track, detection: HandDetection) -> Track:
    slipped = not _same_hand(track.joints_px, detection.joints_px, SLIPPED)
    if track.score < UNSURE_SCORE or slipped:
        # The detector saw the full picture, the track only a crop that may have slipped.
        there = replace(track, joints_px=detection.joints_px, side_doubts=0)
        return there if track.side_belief.settled and not slipped else _of_side(there, detection.side)
    if detection.side == track.side or track.side_belief.settled:
        return replace(track, side_doubts=0) if track.side_doubts else track
    if track.side_doubts + 1 >= SIDE_VOTES:
        return _of_side(track, detection.side)
    return replace(track, side_doubts=track.side_doubts + 1)


def _of_side(track: Track, side: Side) -> Track:
    if side == track.side:
        return track
    return replace(track, side=side, side_doubts=0, side_belief=SideBelief())


def _extent(joints_px: FloatArray) -> FloatArray:
    return np.concatenate([joints_px.min(0), joints_px.max(0)])


def _iou(a: FloatArray, b: FloatArray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inner = float(np.prod(np.clip(high - low, 0, None)))
    total = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - inner
    return inner / total if total > 0 else 0.0


def _found_elsewhere(ended: Sequence[Track], kept: Sequence[Track]) -> dict[int, int]:
    """Map the ids of tracks that began on this frame to those of ended tracks that were likely the same hand."""
    renamed: dict[int, int] = {}
    for old in ended:
        begun = [t for t in kept if t.age == 1 and not t.resumed and t.track_id > old.track_id]
        new = [t for t in begun if t.side == old.side and t.track_id not in renamed]
        near = [t for t in new if _swiftly(old, 0, t.joints_px)]
        if near:
            renamed[min(near, key=lambda t: _gap(old.joints_px, t.joints_px)).track_id] = old.track_id
    return renamed


def _swiftly(lost: Track, age: int, joints_px: FloatArray) -> bool:
    """Say whether a hand that was lost ``age`` frames ago may be the one seen now."""
    return age < SWIFT_FRAMES and _gap(lost.joints_px, joints_px) < SWIFT * (age + 1)


def _gap(old_px: FloatArray, new_px: FloatArray) -> float:
    """Return how far a hand moved, in units of its former extent."""
    return float(np.linalg.norm(new_px.mean(0) - old_px.mean(0)) / max((old_px.max(0) - old_px.min(0)).max(), 1.0))


def _follow_one(a: Track, b: Track) -> bool:
    return _same_hand(a.joints_px, b.joints_px, SAME_SIDED_HAND if a.side == b.side else SAME_HAND)


def _same_hand(a: FloatArray, b: FloatArray, share: float = SAME_HAND) -> bool:
    gap = float(np.median(np.linalg.norm(a - b, axis=-1)))
    return gap < share * float(max((a.max(0) - a.min(0)).max(), 1.0))
