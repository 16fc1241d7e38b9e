"""When the network's belief about sides changes a track's side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from handviz.hand.mirror import Side
from handviz.postprocess.sides import SETTLED_FRAMES, TOLD, SideBelief, SideHabit
from handviz.postprocess.tracking import SIDE_VOTES, Tracker, TrackingConfig
from handviz.records import HandDetection

JOINTS = np.random.default_rng(0).uniform(100, 180, (21, 2))


def detection(side: Side, shift: float = 0.0) -> HandDetection:
    points = JOINTS + shift
    return HandDetection(side=side, score=0.9, joints_px=points)


def turns(chances: Sequence[float | None]) -> list[int]:
    """Return the frames after which the side changes."""
    belief, changed = SideBelief(), []
    for number, chance in enumerate(chances):
        belief, turn = belief.seen(chance)
        if turn:
            changed.append(number)
    return changed


@pytest.mark.parametrize(
    ("chances", "changed"),
    [
        ([0.02] * 2 + [0.98] * 20, [1]),
        ([0.98] * 20, []),
        ([0.02] + [0.98] * 20, []),
        ([0.95] * 10 + [0.02] * 2 + [0.95] * 10, []),
        ([0.95] * 10 + [0.02] * 3 + [0.95] * 10, [12]),
        ([None] * 20, []),
    ],
    ids=["wrong from the start", "right", "blurred at first", "blurred later", "turned round", "can not tell"],
)
def test_the_side_changes_where_several_frames_speak_against_it(chances: list[float | None], changed: list[int]) -> None:
    assert turns(chances) == changed


def test_a_hand_that_is_like_neither_side_goes_back_to_the_first_and_stays() -> None:
    frames = SETTLED_FRAMES + 3
    assert turns([0.1] * frames) == [1, 2]
    # Another try comes later, in case it was blurred all that time.
    assert turns([0.1] * frames + [0.1, 0.1, 0.9, 0.9])[:3] == [1, 2, frames]


def test_what_another_estimator_believed_is_forgotten() -> None:
    belief, _ = SideBelief().seen(0.9)
    assert belief.sure
    belief, turn = belief.seen(None)
    assert not belief.sure and not turn


def test_a_trial_costs_no_other_hand_nearby() -> None:
    """Two people's hands may not come as near as one person's two: what decides is the side that the joints were found as."""
    near = 0.42 * float((JOINTS.max(0) - JOINTS.min(0)).max())
    tracker = Tracker(TrackingConfig())
    tracker.detected([detection("left"), detection("right", 300.0)])
    hands = [JOINTS, JOINTS + [near, 0.0]]
    for _ in range(4):
        assert tracker.estimated(hands, [0.95, 0.95], None, [0.02 if t.side == "left" else 0.1 for t in tracker.tracks]) == []


def test_a_hand_found_again_has_the_side_that_the_network_knew() -> None:
    tracker = Tracker(TrackingConfig())
    tracker.detected([detection("left")])
    follow(tracker, "left", 4)
    assert tracker.estimated([JOINTS], [0.1], None, [0.98]) == [0]
    tracker.detected([detection("left")])
    assert [(track.track_id, track.side) for track in tracker.tracks] == [(0, "right")]


def follow(tracker: Tracker, wrong: Side | None, frames: int) -> list[Side]:
    """Return the track's side in each frame; the network believes any side but ``wrong`` (None: it cannot tell)."""
    seen: list[Side] = []
    for _ in range(frames):
        side = tracker.tracks[0].side
        seen.append(side)
        chance = None if wrong is None else 0.02 if side == wrong else 0.98
        tracker.estimated([JOINTS], [0.95], None, [chance])
    return seen


def test_a_track_that_the_detector_began_with_the_wrong_side_is_put_right() -> None:
    tracker = Tracker(TrackingConfig())
    tracker.detected([detection("left")])
    assert follow(tracker, "left", 6) == ["left", "left", "right", "right", "right", "right"]


@pytest.mark.parametrize("wrong", ["left", None])
def test_the_detector_is_believed_where_the_network_can_not_tell(wrong: Side | None) -> None:
    tracker = Tracker(TrackingConfig())
    tracker.detected([detection("right")])
    for _ in range(SIDE_VOTES):
        follow(tracker, wrong, 1)
        tracker.detected([detection("left")])
    assert tracker.tracks[0].side == ("left" if wrong is None else "right")


@pytest.mark.parametrize(("shift", "side"), [(5.0, "right"), (15.0, "left")], ids=["in place", "slipped"])
def test_an_unsure_track_in_its_place_keeps_a_side_that_the_network_knows(shift: float, side: Side) -> None:
    tracker = Tracker(TrackingConfig())
    tracker.detected([detection("right")])
    tracker.estimated([JOINTS], [0.7], None, [0.98])
    tracker.detected([detection("left", shift)])
    assert tracker.tracks[0].side == side
    np.testing.assert_array_equal(tracker.tracks[0].joints_px, JOINTS + shift)
    # A side that was taken from the detector is believed anew.
    assert tracker.tracks[0].side_belief.sure == (side == "right")


def test_the_detector_does_not_speak_against_what_was_tried() -> None:
    """A hand that is likely of neither side keeps its side, whatever the detector says of an unsure track meanwhile."""
    tracker = Tracker(TrackingConfig())
    tracker.detected([detection("left")])
    sides: list[Side] = []
    for _ in range(20):
        sides.append(tracker.tracks[0].side)
        tracker.estimated([JOINTS], [0.7], None, [0.15])
        tracker.detected([detection("right")])
    # It takes the detector's side at first, tries the other one, and stays with the detector's.
    assert sides == ["left", "right", "right", "left"] + ["right"] * 16


def test_a_trial_costs_no_track() -> None:
    tracker = Tracker(TrackingConfig())
    tracker.detected([detection("left")])
    for _ in range(2):
        assert tracker.estimated([JOINTS], [0.95], None, [0.1]) == []
    assert tracker.tracks[0].side == "right"
    assert tracker.estimated([JOINTS + 50], [0.1], None, [0.1]) == []
    assert (tracker.tracks[0].side, tracker.tracks[0].side_belief.wait) == ("left", SETTLED_FRAMES)
    np.testing.assert_array_equal(tracker.tracks[0].joints_px, JOINTS)
    assert tracker.estimated([JOINTS], [0.1], None, [0.1]) == [0]


def test_a_habit_decides_what_pictures_leave_open_and_nothing_else() -> None:
    habit = SideHabit()
    assert habit.belief("left", 0.6) == pytest.approx(0.6)
    for _ in range(100):
        habit.saw("left", 0.95)
        habit.saw("right", TOLD - 0.01)  # not told, so not learned from
    assert habit.belief("left", 0.4) == pytest.approx(1 - habit.belief("right", 0.6))
    assert habit.belief("right", 0.6) < 0.2 and habit.belief("left", 0.4) > 0.8
    # However many frames there were, a confidently recognised side stays what it is.
    assert habit.belief("right", 0.99) > 0.9
    for _ in range(100):
        habit.saw("right", 0.95)
    assert habit.belief("right", 0.6) == pytest.approx(0.6)
