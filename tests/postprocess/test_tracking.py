from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handviz.hand.mirror import Side
from handviz.postprocess.tracking import LOOKS_FOR_LOST, SIDE_VOTES, URGENT_LOOKS, Track, Tracker, TrackingConfig
from handviz.records import HandDetection

SHAPE = np.random.default_rng(0).uniform(-40, 40, (21, 2))


def joints(u: float, v: float = 200) -> np.ndarray:
    return SHAPE + [u, v]


def detection(u: float, side: Side = "right", score: float = 0.9) -> HandDetection:
    points = joints(u)
    return HandDetection(side=side, score=score, joints_px=points)


def tracker(**changes: int) -> Tracker:
    return Tracker(TrackingConfig(**changes))


def test_ids_stay_while_hands_move_and_are_never_used_again() -> None:
    follow = tracker()
    follow.detected([detection(100), detection(400, "left")])
    for step in range(1, 30):
        assert follow.estimated([joints(100 + 4 * step), joints(400 - 4 * step)], [0.9, 0.9]) == []
    assert [(t.track_id, t.side) for t in follow.tracks] == [(0, "right"), (1, "left")]
    assert follow.estimated([joints(220), joints(280)], [0.9, 0.1]) == [1]
    follow.detected([detection(600, "left")])
    assert [t.track_id for t in follow.tracks] == [0, 2]


def test_a_hand_found_again_in_its_place_keeps_its_id() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    follow.estimated([joints(100)], [0.95])
    assert follow.estimated([joints(100)], [0.1]) == [0]
    follow.detected([detection(104)])
    assert [t.track_id for t in follow.tracks] == [0]
    follow.estimated([joints(104)], [0.1])
    follow.detected([detection(400)])
    assert [t.track_id for t in follow.tracks] == [1]


def test_a_hand_that_moved_out_of_its_crop_keeps_its_id() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    for u, frames_lost in ((200, 0), (320, 1), (100, 2)):
        assert follow.estimated([joints(100)], [0.1]) == [0]
        for _ in range(frames_lost):
            assert follow.estimated([], []) == []
        follow.detected([detection(u)])
        assert [t.track_id for t in follow.tracks] == [0], u
        follow.estimated([joints(u)], [0.95])
    follow.estimated([joints(100)], [0.1])
    follow.detected([detection(190, "left")])
    assert [t.track_id for t in follow.tracks] == [1], "a hand of the other side is another one"


def test_a_hand_that_is_found_elsewhere_as_its_track_ends_keeps_its_id() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    follow.estimated([joints(100)], [0.95])
    # The detector sees it away from its crop, while the track still trusts its own answer.
    follow.detected([detection(200)])
    assert follow.estimated([joints(100), joints(200)], [0.1, 0.95]) == [0]
    assert follow.renamed == {1: 0} and [t.track_id for t in follow.tracks] == [0]
    np.testing.assert_array_equal(follow.tracks[0].joints_px, joints(200))
    assert follow.estimated([joints(204)], [0.95]) == [] and follow.renamed == {}
    # A track that existed before is another hand.
    follow.detected([detection(204), detection(320)])
    follow.estimated([joints(204), joints(320)], [0.95, 0.95])
    assert follow.estimated([joints(204), joints(320)], [0.1, 0.95]) == [0]
    assert follow.renamed == {} and [t.track_id for t in follow.tracks] == [2]


def test_a_hand_that_is_back_in_its_place_is_not_the_one_that_was_just_lost() -> None:
    follow = tracker()
    follow.detected([detection(100), detection(200)])
    follow.estimated([joints(100), joints(200)], [0.95, 0.95])
    assert follow.estimated([joints(100), joints(200)], [0.95, 0.1]) == [1]
    follow.detected([detection(200)])
    assert follow.estimated([joints(100), joints(190)], [0.1, 0.95]) == [0]
    assert follow.renamed == {} and [t.track_id for t in follow.tracks] == [1]


def test_hands_of_a_frame_that_is_looked_at_again_keep_their_ids() -> None:
    follow = tracker()
    follow.detected([detection(100), detection(400, "left")])
    assert follow.reset(list(follow.tracks)) == [0, 1] and not follow.tracks
    follow.detected([detection(400, "left"), detection(100)])
    assert [(t.track_id, t.side) for t in follow.tracks] == [(1, "left"), (0, "right")]
    follow.reset()
    follow.detected([detection(100)])
    assert [t.track_id for t in follow.tracks] == [2]


def test_an_id_that_was_seen_elsewhere_is_not_given_twice() -> None:
    follow = tracker()
    follow.reset([Track(track_id=5, side="right", joints_px=joints(100), score=0.9)])
    follow.detected([detection(100), detection(400, "left")])
    assert [t.track_id for t in follow.tracks] == [5, 6]


def test_a_hand_away_for_long_is_a_new_one() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    follow.estimated([joints(100)], [0.95])
    follow.estimated([joints(100)], [0.1])
    for _ in range(20):
        follow.estimated([], [])
    follow.detected([detection(100)])
    assert [t.track_id for t in follow.tracks] == [1]


def test_detector_is_asked_when_nothing_is_followed_when_unsure_and_now_and_then() -> None:
    follow = tracker(max_hands=2, detect_every=10)
    assert follow.wants_detection()
    follow.detected([detection(100)])
    asked = []
    for _ in range(21):
        asked.append(follow.wants_detection())
        if asked[-1]:
            follow.detected([detection(100)])
        follow.estimated([joints(100)], [0.95])
    assert sum(asked) == 2
    for _ in range(3):
        follow.estimated([joints(100)], [0.6])
    assert follow.wants_detection()


def test_what_was_seen_a_moment_ago_counts_where_it_still_holds() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    follow.estimated([joints(100)], [0.95])
    followed = follow.tracks
    assert follow.detected_late(followed, []) and follow.detected_late(followed, [detection(103)])
    assert follow.tracks is followed and not follow.wants_detection(), "it told nothing new"
    assert not follow.detected_late(followed, [detection(103), detection(400)]), "another hand"
    assert follow.detected_late(followed, [detection(103, "left")]) and follow.tracks[0].side_doubts == 1
    assert follow.detected_late(followed, [detection(135)]), "it had slipped"
    np.testing.assert_allclose(follow.tracks[0].joints_px, joints(135))


def test_what_was_seen_a_moment_ago_does_not_count_where_a_hand_has_moved_since() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    follow.estimated([joints(100)], [0.8])
    followed = follow.tracks
    follow.estimated([joints(115)], [0.8])
    (before,) = follow.tracks
    assert not follow.detected_late(followed, [detection(102)]) and follow.tracks == [before]
    follow.estimated([joints(103)], [0.8])
    assert follow.detected_late(followed, [detection(102)]), "an unsure one is put right"
    np.testing.assert_allclose(follow.tracks[0].joints_px, joints(102))


def test_the_detector_is_waited_for_where_a_hand_was_lost_or_none_is_followed() -> None:
    follow = tracker()
    assert not follow.can_wait, "none is followed"
    follow.detected([detection(100), detection(400)])
    follow.estimated([joints(100), joints(400)], [0.95, 0.95])
    assert follow.can_wait
    follow.estimated([joints(100), joints(400)], [0.95, 0.1])
    assert not follow.can_wait, "one was lost"
    for _ in range(URGENT_LOOKS):
        follow.detected([detection(100)])
    assert follow.can_wait and follow.wants_detection(), "it is looked for beside the rest"


def test_a_hand_lost_beside_another_one_is_looked_for_at_once_but_not_for_long() -> None:
    follow = tracker(max_hands=2, detect_every=1000)
    follow.detected([detection(100), detection(400, "left")])
    follow.estimated([joints(100), joints(400)], [0.95, 0.95])
    assert not follow.wants_detection()
    follow.estimated([joints(100), joints(400)], [0.95, 0.1])
    looks = 0
    while follow.wants_detection():
        looks += 1
        follow.detected([detection(100)])
        follow.estimated([joints(100)], [0.95])
    assert looks == LOOKS_FOR_LOST
    follow.detected([detection(100), detection(410, "left")])
    assert [t.track_id for t in follow.tracks] == [0, 1]
    follow.estimated([joints(100), joints(410)], [0.95, 0.1])
    follow.detected([detection(100), detection(412, "left")])
    follow.estimated([joints(100), joints(412)], [0.95, 0.95])
    assert not follow.wants_detection(), "it was found"
    follow.estimated([joints(410), joints(412)], [0.95, 0.95])
    assert not follow.wants_detection(), "two tracks on one hand: none is missing"


@pytest.mark.parametrize("lost_there", [False, True])
def test_what_the_detector_alone_takes_for_a_hand_is_not_looked_at_for_ever(lost_there: bool) -> None:
    follow = tracker(detect_every=10)
    follow.detected([detection(100), detection(400)] if lost_there else [detection(100)])
    follow.estimated([joints(100), joints(400)] if lost_there else [joints(100)], [0.95, 0.95][: len(follow.tracks)])
    looks = 0
    for _ in range(60):
        if follow.wants_detection():
            looks += 1
            follow.detected([detection(100), detection(400)])
        follow.estimated([joints(100), joints(400)][: len(follow.tracks)], [0.95, 0.1][: len(follow.tracks)])
    assert [t.track_id for t in follow.tracks] == [0]
    follow.detected([detection(100), detection(700)])
    assert follow.estimated([joints(100), joints(700)], [0.95, 0.95]) == []
    assert [t.track_id for t in follow.tracks] == [0, 2 if lost_there else 1], "ids are not counted up by it"
    assert looks <= 6 + (LOOKS_FOR_LOST if lost_there else 0)


def test_an_unsure_track_is_put_right_by_the_detector() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    follow.estimated([joints(112)], [0.6])
    follow.detected([detection(100)])
    np.testing.assert_allclose(follow.tracks[0].joints_px, joints(100))


@pytest.mark.parametrize(("score", "sure", "begins"), [(0.95, 0.85, True), (0.95, 0.75, False), (0.75, 0.95, False)])
def test_what_a_part_of_the_picture_shows_must_convince_at_first(score: float, sure: float, begins: bool) -> None:
    follow = tracker()
    follow.detected([replace(detection(100), in_part=True)])
    assert follow.estimated([joints(100)], [score], [sure]) == ([] if begins else [0])
    if begins:
        assert follow.estimated([joints(100)], [0.6], [0.6]) == [], "from then on it is a hand like others"
    follow = tracker()
    follow.detected([detection(100)])
    assert follow.estimated([joints(100)], [score], [sure]) == []


def test_no_more_hands_than_asked_for() -> None:
    follow = tracker(max_hands=1)
    follow.detected([detection(100), detection(400)])
    assert len(follow.tracks) == 1


def test_two_tracks_on_one_hand_become_one() -> None:
    follow = tracker()
    follow.detected([detection(100), detection(400)])
    assert follow.estimated([joints(250), joints(252)], [0.9, 0.99]) == [1]


def test_of_two_tracks_on_one_hand_an_unsure_older_one_gives_way() -> None:
    follow = tracker()
    follow.detected([detection(100), detection(400)])
    # After a cut, the older crop shows half of the hand, and its joints lie off the hand.
    assert follow.estimated([joints(125), joints(100)], [0.7, 0.95]) == [0]
    np.testing.assert_array_equal(follow.tracks[0].joints_px, joints(100))


def test_two_hands_of_one_side_may_not_come_as_near_as_two_of_both() -> None:
    sides: tuple[tuple[Side, int], ...] = (("right", 1), ("left", 2))
    for side, count in sides:
        follow = tracker()
        follow.detected([detection(100), detection(400, side)])
        follow.estimated([joints(100), joints(130)], [0.9, 0.9])
        assert len(follow.tracks) == count


def test_missing_joints_end_a_track() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    broken = joints(100)
    broken[5] = np.nan
    assert follow.estimated([broken], [0.9]) == [0]
    assert follow.wants_detection()


def test_side_changes_only_after_several_votes() -> None:
    follow = tracker()
    follow.detected([detection(100, "right")])
    for vote in range(SIDE_VOTES):
        assert follow.tracks[0].side == "right", vote
        follow.estimated([joints(100)], [0.95])
        follow.detected([detection(100, "left")])
    assert follow.tracks[0].side == "left"


def test_a_second_hand_whose_box_overlaps_the_first_is_followed() -> None:
    follow = tracker()
    follow.detected([detection(100)])
    follow.estimated([joints(100)], [0.95])
    # The joints of both lie 45 pixels apart in boxes of 80: more than a quarter of both is common.
    follow.detected([detection(145, "left"), detection(100)])
    assert [(t.track_id, t.side) for t in follow.tracks] == [(0, "right"), (1, "left")]
    np.testing.assert_array_equal([t.joints_px for t in follow.tracks], [joints(100), joints(145)])
    follow.detected([detection(145, "left"), detection(100)])
    np.testing.assert_array_equal([t.joints_px for t in follow.tracks], [joints(100), joints(145)])


def test_one_hand_detected_twice_is_one_track() -> None:
    follow = tracker()
    follow.detected([detection(100), detection(110)])
    follow.detected([detection(100), detection(110)])
    assert len(follow.tracks) == 1
