"""The BVH is checked by a small independent reader, which knows the format but not the exporter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from handviz.errors import OutputError
from handviz.export.formats import exporting
from handviz.export.poses import PoseFrame
from handviz.hand.model import HandModel
from handviz.hand.skeleton import JOINT_NAMES

Moving = Callable[..., list[PoseFrame]]
UPRIGHT = np.array([1.0, -1.0, -1.0])


@dataclass
class Joint:
    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list)


def read_bvh(path: Path) -> tuple[list[Joint], np.ndarray, float]:
    words = iter(path.read_text().split())
    assert next(words) == "HIERARCHY"
    joints: list[Joint] = []
    stack: list[int] = []
    for word in words:
        if word in ("ROOT", "JOINT"):
            joints.append(Joint(next(words), stack[-1] if stack else -1))
        elif word == "End":
            assert next(words) == "Site"
            joints.append(Joint("end", stack[-1]))
        elif word == "{":
            stack.append(len(joints) - 1)
        elif word == "}":
            stack.pop()
        elif word == "OFFSET":
            joints[stack[-1]].offset = np.array([float(next(words)) for _ in range(3)])
        elif word == "CHANNELS":
            joints[stack[-1]].channels = [next(words) for _ in range(int(next(words)))]
        else:
            assert word == "MOTION"
            break
    assert next(words) == "Frames:"
    count = int(next(words))
    assert (next(words), next(words)) == ("Frame", "Time:")
    interval = float(next(words))
    return joints, np.array([float(word) for word in words]).reshape(count, -1), interval


def turn(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "X": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "Y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "Z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def joint_places(joints: list[Joint], row: np.ndarray) -> dict[str, np.ndarray]:
    """Evaluate one frame: rotations in the order of the channels; a joint's own position replaces its offset."""
    values = iter(row)
    rotations: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for joint in joints:
        place, rotation = joint.offset.copy(), np.eye(3)
        for channel in joint.channels:
            if channel.endswith("position"):
                place["XYZ".index(channel[0])] = next(values)
            else:
                rotation = rotation @ turn(channel[0], next(values))
        if joint.parent >= 0:
            place = places[joint.parent] + rotations[joint.parent] @ place
            rotation = rotations[joint.parent] @ rotation
        places.append(place)
        rotations.append(rotation)
    assert next(values, None) is None
    return {joint.name: place for joint, place in zip(joints, places, strict=True) if joint.name != "end"}


def export(path: Path, frames: list[PoseFrame], model: HandModel) -> None:
    with exporting(path, load_model=lambda name: model) as exporter:
        for frame in frames:
            exporter.write(frame)


def check(path: Path, frames: list[PoseFrame], hand: int = 0, atol: float = 0.1) -> list[Joint]:
    joints, rows, interval = read_bvh(path)
    assert interval == pytest.approx(1 / 30) and len(rows) == len(frames)
    for frame, row in zip(frames, rows, strict=True):
        places = joint_places(joints, row)
        assert list(places) != [] and set(places) == set(JOINT_NAMES)
        expected = 100 * frame.hands[hand].joints.joints_camera_m * UPRIGHT  # centimetres
        np.testing.assert_allclose([places[name] for name in JOINT_NAMES], expected, atol=atol)
    return joints


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_rigid_hand_needs_rotations_alone(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel, side: str) -> None:
    frames = moving_hand(side=side)
    export(tmp_path / "out.bvh", frames, tiny_hand)
    joints = check(tmp_path / "out.bvh", frames)
    assert [len(joint.channels) for joint in joints if joint.name != "end"] == [6] + [3] * 20


@pytest.mark.parametrize("side", ["right", "left"])
def test_bones_that_stretch_are_followed_too(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel, side: str) -> None:
    rng = np.random.default_rng(0)
    frames = []
    for frame in moving_hand(side=side):
        hand = frame.hands[0]
        joints = hand.joints.joints_camera_m + rng.normal(0, 0.003, (21, 3))
        frames.append(replace(frame, hands=(replace(hand, params=None, joints=replace(hand.joints, joints_camera_m=joints)),)))
    export(tmp_path / "out.bvh", frames, tiny_hand)
    joints = check(tmp_path / "out.bvh", frames, atol=1e-3)
    assert all(len(joint.channels) == 6 for joint in joints if joint.name != "end")


def test_a_few_odd_frames_do_not_give_a_rigid_hand_bones_that_stretch(
    tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel
) -> None:
    frames = moving_hand(count=40)
    hand = frames[20].hands[0]
    larger = replace(hand.joints, joints_camera_m=1.2 * hand.joints.joints_camera_m)
    frames[20] = replace(frames[20], hands=(replace(hand, joints=larger),))
    export(tmp_path / "out.bvh", frames, tiny_hand)
    joints, rows, _ = read_bvh(tmp_path / "out.bvh")
    assert [len(joint.channels) for joint in joints if joint.name != "end"] == [6] + [3] * 20
    expected = 100 * frames[5].hands[0].joints.joints_camera_m * UPRIGHT
    places = joint_places(joints, rows[5])
    np.testing.assert_allclose([places[name] for name in JOINT_NAMES], expected, atol=0.1)


def test_the_rest_pose_is_a_flat_hand_of_the_right_size(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = [replace(frame, hands=(replace(frame.hands[0], params=None),)) for frame in moving_hand()]
    export(tmp_path / "out.bvh", frames, tiny_hand)
    joints = {joint.name: joint for joint in read_bvh(tmp_path / "out.bvh")[0]}
    seen = 100 * frames[0].hands[0].joints.joints_camera_m
    for finger in ("index", "middle", "ring", "little"):
        pip, dip = (seen[JOINT_NAMES.index(f"{finger}_{part}")] for part in ("pip", "dip"))
        np.testing.assert_allclose(joints[f"{finger}_dip"].offset, [-np.linalg.norm(dip - pip), 0, 0], atol=1e-3)


def test_two_hands_are_two_files_and_the_longest_has_the_name(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    pairs = zip(moving_hand(), moving_hand(side="left", track_id=2), strict=True)
    both = [replace(right, hands=(left.hands[0], right.hands[0])) for right, left in pairs]
    short = [replace(frame, hands=frame.hands[:1]) if frame.index == 3 else frame for frame in both]
    export(tmp_path / "out.bvh", short, tiny_hand)
    check(tmp_path / "out.bvh", both, 0)
    check(tmp_path / "out_right_hand.bvh", [both[2] if frame.index == 3 else frame for frame in both], 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_hands_of_a_former_export_are_taken_away_and_nothing_else(
    tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel
) -> None:
    pairs = zip(moving_hand(), moving_hand(side="left", track_id=2), strict=True)
    export(tmp_path / "out.bvh", [replace(right, hands=right.hands + left.hands) for right, left in pairs], tiny_hand)
    (former,) = tmp_path.glob("out_*_hand.bvh")
    foreign, copied, other = (
        tmp_path / "out_right_hand_2.bvh",
        tmp_path / "out_left_hand_old.bvh",
        tmp_path / "more_left_hand.bvh",
    )
    foreign.write_text("HIERARCHY\nROOT hips\n")
    for path in (copied, other):
        path.write_bytes(former.read_bytes())
    export(tmp_path / "out.bvh", moving_hand(), tiny_hand)
    assert set(tmp_path.iterdir()) == {tmp_path / "out.bvh", foreign, copied, other}


def test_a_large_gap_keeps_time(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = moving_hand(count=20)
    kept = [frame for i, frame in enumerate(frames) if i not in (7, 8)]
    export(tmp_path / "out.bvh", [replace(frame, hands=()) if frame.index < 2 else frame for frame in kept], tiny_hand)
    held = [max(2, 6 if i in (7, 8) else i) for i in range(20)]
    check(tmp_path / "out.bvh", [frames[i] for i in held])


def test_a_small_unevenness_keeps_every_frame(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = moving_hand(count=20)
    frames[2] = replace(frames[2], t_s=frames[1].t_s)
    export(tmp_path / "out.bvh", frames, tiny_hand)
    check(tmp_path / "out.bvh", frames)


def test_a_time_beyond_all_others_is_told(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = moving_hand(count=4)
    frames[3] = replace(frames[3], t_s=1e12)
    with (
        pytest.raises(OutputError, match=r"out\.bvh was not written: its frames are too far apart"),
        exporting(tmp_path / "out.bvh", load_model=lambda name: tiny_hand) as exporter,
    ):
        for frame in frames:
            exporter.write(frame)
