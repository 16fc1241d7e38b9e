"""The GLB is checked by a small independent reader, which knows glTF but not the exporter."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handviz.errors import OutputError
from handviz.export.formats import exporting
from handviz.export.gltf import seamless_normals
from handviz.export.poses import PoseFrame
from handviz.export.skin import Skin
from handviz.hand.model import HandModel
from handviz.hand.skeleton import JOINT_NAMES

Moving = Callable[..., list[PoseFrame]]
UPRIGHT = np.array([1.0, -1.0, -1.0])


class Glb:
    """Reads accessors, evaluates nodes at a time, and skins meshes, as the glTF 2.0 specification says."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON" and size % 4 == 0
        self.json: dict[str, Any] = json.loads(content[20 : 20 + size])
        size_binary, kind = struct.unpack_from("<I4s", content, 20 + size)
        assert kind == b"BIN\0"
        self.binary = content[28 + size :]
        assert len(self.binary) == size_binary == self.json["buffers"][0]["byteLength"]

    def array(self, index: int) -> np.ndarray:
        accessor = self.json["accessors"][index]
        view = self.json["bufferViews"][accessor["bufferView"]]
        dtype = {5126: "<f4", 5125: "<u4", 5123: "<u2", 5121: "u1"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
        assert view["byteOffset"] % 4 == 0
        flat = np.frombuffer(self.binary, dtype, accessor["count"] * width, view["byteOffset"])
        return flat.reshape(accessor["count"], width).astype(np.float64)

    def globals_at(self, t_s: float) -> list[np.ndarray]:
        nodes = [dict(node) for node in self.json["nodes"]]
        (animation,) = self.json["animations"]
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            times, values = self.array(sampler["input"])[:, 0], self.array(sampler["output"])
            assert (np.diff(times) > 0).all()
            key = int(np.clip(np.searchsorted(times, t_s + 1e-4) - 1, 0, len(times) - 1))
            nodes[channel["target"]["node"]][channel["target"]["path"]] = values[key]
        result: list[np.ndarray] = [np.eye(4)] * len(nodes)

        def visit(index: int, above: np.ndarray) -> None:
            result[index] = above @ local_matrix(nodes[index])
            for child in nodes[index].get("children", []):
                visit(child, result[index])

        for root in self.json["scenes"][self.json["scene"]]["nodes"]:
            visit(root, np.eye(4))
        return result

    def joints_at(self, t_s: float, hand: int = 0) -> np.ndarray:
        matrices = self.globals_at(t_s)
        joints = self.json["skins"][hand]["joints"]
        assert [self.json["nodes"][joint]["name"].split(".")[-1] for joint in joints] == list(JOINT_NAMES)
        return np.array([matrices[joint][:3, 3] for joint in joints])

    def vertices_at(self, t_s: float, hand: int = 0) -> np.ndarray:
        matrices, skin = self.globals_at(t_s), self.json["skins"][hand]
        binds = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        bones = np.array([matrices[joint] @ bind for joint, bind in zip(skin["joints"], binds, strict=True)])
        attributes = self.json["meshes"][hand]["primitives"][0]["attributes"]
        points = np.concatenate([self.array(attributes["POSITION"]), np.ones((self.count(hand), 1))], 1)
        joints, weights = self.array(attributes["JOINTS_0"]).astype(int), self.array(attributes["WEIGHTS_0"])
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
        return np.einsum("vk,vkij,vj->vi", weights, bones[joints], points)[:, :3]

    def count(self, hand: int) -> int:
        return int(self.json["accessors"][self.json["meshes"][hand]["primitives"][0]["attributes"]["POSITION"]]["count"])

    def faces(self, hand: int = 0) -> np.ndarray:
        return self.array(self.json["meshes"][hand]["primitives"][0]["indices"]).astype(int).reshape(-1, 3)


def local_matrix(node: dict[str, Any]) -> np.ndarray:
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.asarray(node.get("scale", (1.0, 1.0, 1.0)))
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


def export(path: Path, frames: list[PoseFrame], model: HandModel) -> Glb:
    with exporting(path, load_model=lambda name: model) as exporter:
        for frame in frames:
            exporter.write(frame)
    return Glb(path)


def without_params(frame: PoseFrame) -> PoseFrame:
    return replace(frame, hands=tuple(replace(hand, params=None, surface=None) for hand in frame.hands))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("mesh", [True, False])
def test_joints_stand_where_the_results_have_them(
    tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel, side: str, mesh: bool
) -> None:
    frames = moving_hand(side=side)
    glb = export(tmp_path / "out.glb", frames if mesh else [without_params(frame) for frame in frames], tiny_hand)
    for frame in frames:
        joints = glb.joints_at(frame.t_s - frames[0].t_s)
        np.testing.assert_allclose(joints, frame.hands[0].joints.joints_camera_m * UPRIGHT, atol=1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_skin_follows_the_hand_models_surface(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel, side: str) -> None:
    frames = moving_hand(side=side)
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    for frame in frames:
        surface = frame.hands[0].surface
        assert surface is not None
        expected = surface.vertices_camera_m * UPRIGHT
        np.testing.assert_allclose(glb.vertices_at(frame.t_s - frames[0].t_s), expected, atol=1e-4)
        np.testing.assert_array_equal(glb.faces(), surface.faces)


def test_a_frame_without_a_mesh_leaves_the_hand_its_surface(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = moving_hand()
    params = frames[4].hands[0].params
    assert params is not None
    foreign = replace(frames[4].hands[0], params=replace(params, hand_model="another"))
    frames[3:5] = [without_params(frames[3]), replace(frames[4], hands=(foreign,))]
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    for i in (3, 4, 5):
        expected = frames[i].hands[0].joints.joints_camera_m * UPRIGHT
        np.testing.assert_allclose(glb.joints_at(i / 30), expected, atol=1e-5)
    surface = frames[5].hands[0].surface
    assert surface is not None
    np.testing.assert_allclose(glb.vertices_at(5 / 30), surface.vertices_camera_m * UPRIGHT, atol=1e-4)
    # The hand moves little between neighbouring frames: the skin as its bones alone move it is near the true one.
    np.testing.assert_allclose(glb.vertices_at(3 / 30), frames[5].hands[0].surface.vertices_camera_m * UPRIGHT, atol=0.1)


def test_light_does_not_break_along_a_seam() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.5]], float)
    skin = Skin(
        vertices_V3=corners,
        faces_F3=np.array([[0, 1, 2], [3, 5, 4]]),
        joints_V4=np.zeros((6, 4), int),
        weights_V4=np.tile([1.0, 0.0, 0.0, 0.0], (6, 1)),
    )
    normals = seamless_normals(skin)
    np.testing.assert_allclose(normals[[1, 2]], normals[[3, 4]])
    assert not np.allclose(normals[0], normals[5]) and not np.allclose(normals[1], normals[0])


def test_a_hand_is_shown_on_the_very_frame_that_has_it(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    """Times are rounded to 32 bits: a step on a frame's own time may come after the frame."""
    frames = [replace(frame, t_s=round(index / 30, 6)) for index, frame in enumerate(moving_hand())]
    frames = [replace(frame, hands=frame.hands if index % 2 else ()) for index, frame in enumerate(frames)]
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    (animation,) = glb.json["animations"]
    (channel,) = (channel for channel in animation["channels"] if channel["target"]["path"] == "scale")
    sampler = animation["samplers"][channel["sampler"]]
    times, scales = glb.array(sampler["input"])[:, 0], glb.array(sampler["output"])[:, 0]
    for index, frame in enumerate(frames):
        key = max(int(np.searchsorted(times, index / 30, side="right")) - 1, 0)
        assert scales[key] == (1.0 if frame.hands else 0.0), index


def test_a_bone_of_no_length_has_no_rod(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = []
    for frame in moving_hand():
        hand = frame.hands[0]
        joints = hand.joints.joints_camera_m.copy()
        joints[8] = joints[7]
        moved = replace(hand, params=None, surface=None, joints=replace(hand.joints, joints_camera_m=joints))
        frames.append(replace(frame, hands=(moved,)))
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    assert np.isfinite(glb.vertices_at(0)).all()


def test_a_figure_without_a_model_has_its_balls_on_the_joints(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = [without_params(frame) for frame in moving_hand()]
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    balls = glb.vertices_at(5 / 30)[: 21 * 34].reshape(21, 34, 3)
    np.testing.assert_allclose(balls.mean(1), frames[5].hands[0].joints.joints_camera_m * UPRIGHT, atol=1e-4)
    radius = np.linalg.norm(balls - balls.mean(1, keepdims=True), axis=-1)
    np.testing.assert_allclose(radius, 0.0045, atol=1e-4)


def test_surfaces_are_wound_outwards(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    glb = export(tmp_path / "out.glb", [without_params(frame) for frame in moving_hand()], tiny_hand)
    # At rest: a rod between two joints that are turned against each other is sheared.
    vertices, faces = glb.array(glb.json["meshes"][0]["primitives"][0]["attributes"]["POSITION"]), glb.faces()
    ball = faces[(faces < 34).all(1)]
    a, b, c = (vertices[ball[:, i]] for i in range(3))
    outwards = ((a + b + c) / 3 - vertices[:34].mean(0)) * np.cross(b - a, c - a)
    assert (outwards.sum(1) > 0).all()
    rods = faces[(faces >= 21 * 34).all(1)]
    a, b, c = (vertices[rods[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    middle = vertices[21 * 34 :].reshape(20, 16, 3).mean(1)[np.arange(20).repeat(16)]
    assert ((((a + b + c) / 3 - middle) * normal).sum(1) > 0).all()


def test_a_hand_out_of_sight_has_no_size(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = [replace(frame, hands=()) if 4 <= i < 8 else frame for i, frame in enumerate(moving_hand())]
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    assert np.ptp(glb.joints_at(5 / 30), axis=0).max() == 0
    np.testing.assert_allclose(glb.joints_at(9 / 30), frames[9].hands[0].joints.joints_camera_m * UPRIGHT, atol=1e-5)


def test_two_hands_and_a_track_that_was_found_again(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    right, again, left = moving_hand(), moving_hand(track_id=7), moving_hand(side="left", track_id=2)
    frames = [
        replace(a, hands=((a if i < 6 else b).hands[0], c.hands[0]))
        for i, (a, b, c) in enumerate(zip(right, again, left, strict=True))
    ]
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    assert len(glb.json["skins"]) == 2
    names = [node["name"] for node in glb.json["nodes"]]
    assert len(set(names)) == len(names) and "left_hand.index_tip" in names
    for hand in (0, 1):
        expected = frames[10].hands[hand].joints.joints_camera_m * UPRIGHT
        np.testing.assert_allclose(glb.joints_at(10 / 30, hand), expected, atol=1e-5)


def test_a_joint_that_is_not_known_leaves_the_frame_out(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = moving_hand()
    frames[3].hands[0].joints.joints_camera_m[8] = np.nan
    glb = export(tmp_path / "out.glb", frames, tiny_hand)
    assert np.isfinite(glb.joints_at(3 / 30)).all()
    np.testing.assert_allclose(glb.joints_at(4 / 30), frames[4].hands[0].joints.joints_camera_m * UPRIGHT, atol=1e-5)


def test_no_hand_is_one_clear_error(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = [replace(frame, hands=()) for frame in moving_hand()]
    with pytest.raises(OutputError, match="no frame has a hand"):
        export(tmp_path / "out.glb", frames, tiny_hand)
    assert not list(tmp_path.iterdir())
