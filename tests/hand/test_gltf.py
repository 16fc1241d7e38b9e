"""A miniature OpenXR rig made here: the default hand, bent, turned to other axes and written as glTF."""

import base64
import json
import struct

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handviz.cli.main import main
from handviz.errors import ModelFileError
from handviz.hand.add_hand import add_hand
from handviz.hand.gestures import GESTURE_BY_NAME
from handviz.hand.gltf import is_hand, read_gltf_hand
from handviz.hand.gltf_file import read_skinned_mesh
from handviz.hand.hand_file import check_hand, read_hand_file
from handviz.hand.library import hand_path
from handviz.hand.model import HandModel, load_hand_model
from handviz.hand.skeleton import FINGERS, JOINT_INDEX

PARTS = {
    "thumb": ("cmc:Metacarpal", "mcp:Proximal", "ip:Distal", "tip:Tip"),
    **dict.fromkeys(FINGERS[1:], ("mcp:Proximal", "pip:Intermediate", "dip:Distal", "tip:Tip")),
}
TURN = Rotation.from_euler("xyz", [20, 100, -40], degrees=True).as_matrix()


def joints_of(model, pose):
    zero = torch.zeros(1, 10), torch.zeros(1, 3)
    hand = model.shaped(zero[0]).posed(torch.tensor(pose, dtype=torch.float32)[None], zero[1])
    return hand.vertices_BV3[0].numpy().astype(float), hand.joints_BJ3[0].numpy().astype(float)


def rig(side="R", names=None):
    """Return (document, data) of a glTF hand: the default hand half curled, turned by TURN and shifted."""
    model = load_hand_model()
    points, joints = joints_of(model, GESTURE_BY_NAME["relaxed"].pose())
    flip = np.array([-1.0, 1.0, 1.0]) if side == "L" else np.ones(3)
    points, joints = ((x @ TURN.T + [0.3, 0.1, -0.2]) * flip for x in (points, joints))
    bones, places, source = [f"Wrist_{side}"], [joints[0]], [0]
    mano = ["index", "middle", "little", "ring", "thumb"]
    for finger in FINGERS:
        for k, pair in enumerate(PARTS[finger]):
            part, word = pair.split(":")
            bones.append(f"{finger.capitalize()}_{word}_{side}")
            places.append(joints[JOINT_INDEX[f"{finger}_{part}"]])
            source.append(1 + 3 * mano.index(finger) + k if k < 3 else -1)
    bones = names(bones) if names else bones
    weights = model.skin_weights_VJ.numpy()
    order = np.argsort(-weights, axis=1)[:, :4]
    top = np.take_along_axis(weights, order, 1)
    bone_of = {j: b for b, j in enumerate(source) if j >= 0}
    inverse = np.tile(np.eye(4, dtype="<f4"), (len(bones), 1, 1))
    inverse[:, :3, 3] = -np.array(places)
    faces = model.faces_F3.numpy()
    blobs = [
        points.astype("<f4"),
        np.vectorize(bone_of.get)(order).astype("u1"),
        (top / top.sum(1, keepdims=True)).astype("<f4"),
        (faces[:, ::-1] if side == "L" else faces).astype("<u2").reshape(-1, 1),
        inverse.transpose(0, 2, 1).astype("<f4").reshape(-1, 16),
        model.uv_V2.numpy().astype("<f4"),
    ]
    kinds = [("VEC3", 5126), ("VEC4", 5121), ("VEC4", 5126), ("SCALAR", 5123), ("MAT4", 5126), ("VEC2", 5126)]
    data, views, accessors = b"", [], []
    for blob, (kind, component) in zip(blobs, kinds, strict=True):
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": blob.nbytes})
        accessors.append({"bufferView": len(views) - 1, "componentType": component, "count": len(blob), "type": kind})
        data += np.ascontiguousarray(blob).tobytes()
    attributes = {"POSITION": 0, "JOINTS_0": 1, "WEIGHTS_0": 2, "TEXCOORD_0": 5}
    document = {
        "asset": {"version": "2.0"},
        "nodes": [{"name": bone} for bone in bones] + [{"name": f"Hand_{side}", "mesh": 0, "skin": 0}],
        "meshes": [{"name": f"hand_{side}", "primitives": [{"attributes": attributes, "indices": 3}]}],
        "skins": [{"joints": list(range(len(bones))), "inverseBindMatrices": 4}],
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": views,
        "accessors": accessors,
    }
    return document, data


def write(path, document, data, *, how="inside"):
    if how == "inside":
        document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    elif how == "beside":
        path.with_suffix(".bin").write_bytes(data)
        document["buffers"][0]["uri"] = path.with_suffix(".bin").name
    if how != "glb":
        path.write_text(json.dumps(document))
        return path
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    path.write_bytes(struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks)
    return path


@pytest.fixture(scope="module")
def default():
    return read_hand_file(hand_path("default"))


@pytest.mark.parametrize("side", ["R", "L"])
def test_same_pose_values_drive_it(tmp_path, default, side):
    arrays = read_gltf_hand(write(tmp_path / "hand.gltf", *rig(side)), default)
    check_hand(arrays, "hand.gltf")
    own, model = HandModel.from_arrays("rig", arrays), load_hand_model()
    for gesture in ("flat", "point", "fist", "ok", "spread"):
        pose = GESTURE_BY_NAME[gesture].pose()
        vertices, joints = joints_of(own, pose)
        expected_vertices, expected_joints = joints_of(model, pose)
        assert np.linalg.norm(joints - expected_joints, axis=1).max() < 0.010, gesture
        assert np.linalg.norm(vertices - expected_vertices, axis=1).mean() < 0.003, gesture


def test_bones_keep_their_lengths_when_laid_flat(tmp_path, default):
    arrays = read_gltf_hand(write(tmp_path / "hand.gltf", *rig()), default)
    before = default.joint_regressor_JV @ default.template_V3
    after = arrays.joint_regressor_JV @ arrays.template_V3
    for a, b in ((0, 4), (1, 2), (2, 3), (13, 14), (14, 15)):
        assert np.linalg.norm(after[a] - after[b]) == pytest.approx(np.linalg.norm(before[a] - before[b]), abs=2e-4)


@pytest.mark.parametrize("how", ["inside", "beside", "glb"])
def test_three_ways_to_store_it(tmp_path, how):
    path = tmp_path / ("hand.glb" if how == "glb" else "hand.gltf")
    mesh = read_skinned_mesh(write(path, *rig(), how=how), is_hand)
    assert mesh.points.shape == (778, 3)
    assert mesh.triangles.shape == (1538, 3)


@pytest.mark.parametrize(
    "rename",
    [
        lambda bones: [bone.replace("_R", "").replace("_", "-").lower() for bone in bones],
        lambda bones: [f"right_{bone[:-2].lower()}" for bone in bones],
        lambda bones: [bone.replace("Little", "Pinky") for bone in bones],
        lambda bones: [bone[:-2].lower().replace("_", "-finger-phalanx-") for bone in bones],
    ],
)
def test_other_spellings_of_openxr_names(tmp_path, default, rename):
    plain, other = (read_gltf_hand(write(tmp_path / "hand.gltf", *rig(names=names)), default) for names in (None, rename))
    np.testing.assert_array_equal(other.joint_regressor_JV, plain.joint_regressor_JV)
    np.testing.assert_array_equal(other.template_V3, plain.template_V3)


def test_added_with_its_picture(tmp_path):
    path = write(tmp_path / "hand.gltf", *rig())
    cv2.imwrite(str(tmp_path / "skin.png"), np.full((64, 64, 3), (10, 20, 200), np.uint8))
    stored = add_hand(path, "Mine", tmp_path / "skin.png")
    assert stored.stem == "mine"
    model = load_hand_model("mine")
    assert model.texture.shape == (64, 64, 3)
    assert model.texture[0, 0, 0] > 150  # RGB, not BGR
    load_hand_model.cache_clear()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read"), (b"", "not a readable"), (b"no picture", "not a readable")]
)
def test_a_bad_picture_is_refused(tmp_path, content, reason):
    path = write(tmp_path / "hand.gltf", *rig())
    if content is not None:
        (tmp_path / "skin.png").write_bytes(content)
    with pytest.raises(ModelFileError, match=reason):
        add_hand(path, "mine", tmp_path / "skin.png")


def cut_view(document):
    document["bufferViews"][0]["byteLength"] = 10**9


def negative_offset(document):
    document["bufferViews"][1]["byteOffset"] = -8


def huge_count(document):
    document["accessors"][0]["count"] = 10**8


def no_skin(document):
    del document["nodes"][-1]["skin"]


def bone_out_of_range(document):
    document["skins"][0]["joints"] = document["skins"][0]["joints"][:5]


def escape(document):
    document["buffers"][0]["uri"] = "../secret.bin"


def endless_count(document):
    document["accessors"][0]["count"] = 1e999


def packed(document):
    document["extensionsRequired"] = ["KHR_draco_mesh_compression"]


@pytest.mark.parametrize(
    "damage", [cut_view, negative_offset, huge_count, no_skin, bone_out_of_range, escape, endless_count, packed]
)
def test_damaged_files_are_refused(tmp_path, damage):
    document, data = rig()
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    damage(document)
    (tmp_path / "bad.gltf").write_text(json.dumps(document))
    with pytest.raises(ModelFileError, match=r"bad\.gltf"):
        read_skinned_mesh(tmp_path / "bad.gltf", is_hand)


def test_numbers_that_are_none_are_refused(tmp_path, default):
    document, data = rig()
    with pytest.raises(ModelFileError, match="not finite"):
        read_gltf_hand(write(tmp_path / "hand.gltf", *scaled(document, data, 1, np.nan)), default)


def test_not_gltf_at_all(tmp_path):
    (tmp_path / "bad.gltf").write_text("solid cube")
    with pytest.raises(ModelFileError, match="not a usable glTF hand"):
        read_skinned_mesh(tmp_path / "bad.gltf", is_hand)


def test_cut_off_glb(tmp_path):
    whole = write(tmp_path / "hand.glb", *rig(), how="glb").read_bytes()
    for part in (8, 30, len(whole) // 2, len(whole) - 10):
        (tmp_path / "short.glb").write_bytes(whole[:part])
        with pytest.raises(ModelFileError, match=r"short\.glb"):
            read_skinned_mesh(tmp_path / "short.glb", is_hand)


def test_missing_joints_are_named(tmp_path, default):
    document, data = rig(names=lambda bones: [bone.replace("Ring_Distal", "Bone") for bone in bones])
    with pytest.raises(ModelFileError, match="ring distal"):
        read_gltf_hand(write(tmp_path / "hand.gltf", document, data), default)


def with_another(document, name, *, hand):
    """Insert before the hand another skinned mesh, whose bones have a hand's names or none."""
    first = len(document["nodes"])
    bones = document["skins"][0]["joints"]
    document["nodes"] += [document["nodes"][bone] if hand else {} for bone in bones]
    document["skins"].append({"joints": list(range(first, first + len(bones))), "inverseBindMatrices": 4})
    document["meshes"].append(document["meshes"][0])
    document["nodes"].insert(len(bones), {"name": name, "mesh": 1, "skin": 1})
    document["skins"][1]["joints"] = [bone + 1 for bone in document["skins"][1]["joints"]]


def test_of_several_meshes_the_hand_is_taken(tmp_path, default, capsys):
    document, data = rig()
    alone = read_gltf_hand(write(tmp_path / "alone.gltf", document, data), default)
    with_another(document, "Sleeve", hand=False)
    path = write(tmp_path / "hand.gltf", document, data)
    np.testing.assert_array_equal(read_gltf_hand(path, default).template_V3, alone.template_V3)
    assert main(["add-hand", str(path)]) == 0
    assert "several" not in capsys.readouterr().out


def test_of_several_hands_it_is_told_which_was_taken(tmp_path, capsys):
    document, data = rig()
    with_another(document, "Other_R", hand=True)
    assert main(["add-hand", str(write(tmp_path / "hands.gltf", document, data))]) == 0
    assert "hands.gltf holds several hands: Other_R, Hand_R. The first was used" in capsys.readouterr().out


def scaled(document, data, bones, points):
    for accessor, factor in ((4, bones), (0, points)):
        view = document["bufferViews"][document["accessors"][accessor]["bufferView"]]
        start, stop = view["byteOffset"], view["byteOffset"] + view["byteLength"]
        values = np.frombuffer(data[start:stop], "<f4").copy()
        if accessor == 4:
            values.reshape(-1, 4, 4)[:, 3, :3] *= factor
        else:
            values *= factor
        data = data[:start] + values.tobytes() + data[stop:]
    return document, data


@pytest.mark.parametrize("unit", [100, 1000])
def test_a_hand_in_centimetres_or_millimetres_is_the_same(tmp_path, default, unit):
    arrays = read_gltf_hand(write(tmp_path / "hand.gltf", *scaled(*rig(), unit, unit)), default)
    metres = read_gltf_hand(write(tmp_path / "metres.gltf", *rig()), default)
    np.testing.assert_allclose(arrays.template_V3, metres.template_V3, atol=1e-5)


@pytest.mark.parametrize(("bones", "points"), [(100, 1), (1, 100), (3, 3)])
def test_a_hand_of_no_size_is_refused(tmp_path, default, bones, points):
    with pytest.raises(ModelFileError, match="metres"):
        read_gltf_hand(write(tmp_path / "hand.gltf", *scaled(*rig(), bones, points)), default)


def plain(bones):
    return [bone.replace("_R", "").replace("_L", "") for bone in bones]


@pytest.mark.parametrize("side", ["R", "L"])
def test_names_without_a_side_leave_it_to_the_shape(tmp_path, default, side):
    document, data = rig(side, names=plain)
    for holder in (document["nodes"][-1], document["meshes"][0]):
        holder["name"] = "mesh"
    arrays = read_gltf_hand(write(tmp_path / "hand.gltf", document, data), default)
    named = read_gltf_hand(write(tmp_path / "named.gltf", *rig(side)), default)
    np.testing.assert_array_equal(arrays.template_V3, named.template_V3)


def test_names_of_the_other_side_are_refused(tmp_path, default):
    document, data = rig("R", names=lambda bones: [bone.replace("_R", "_L") for bone in bones])
    for holder in (document["nodes"][-1], document["meshes"][0]):
        holder["name"] = "Hand_L"
    with pytest.raises(ModelFileError, match="named as a left hand's"):
        read_gltf_hand(write(tmp_path / "hand.gltf", document, data), default)


def test_a_picture_beside_the_file_is_found(tmp_path, default):
    document, data = rig()
    document["images"] = [{"uri": "textures/my%20skin.png"}]
    document["textures"] = [{"source": 0}]
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    document["meshes"][0]["primitives"][0]["material"] = 0
    path = write(tmp_path / "hand.gltf", document, data)
    with pytest.raises(ModelFileError, match=r"my skin\.png, which it refers to, cannot be read"):
        read_gltf_hand(path, default)
    (tmp_path / "textures").mkdir()
    cv2.imwrite(str(tmp_path / "textures" / "my skin.png"), np.full((8, 8, 3), 90, np.uint8))
    assert read_gltf_hand(path, default).texture_code.size > 0
    document["images"] = [{"uri": "../../secret.png"}]
    with pytest.raises(ModelFileError, match="same folder or below"):
        read_gltf_hand(write(path, document, data), default)


@pytest.mark.parametrize("name", ["hand%20data.bin", "./hand.bin"])
def test_data_beside_the_file_may_be_spelled_as_an_address(tmp_path, default, name):
    document, data = rig()
    document["buffers"][0]["uri"] = name
    (tmp_path / name.replace("%20", " ")).write_bytes(data)
    (tmp_path / "hand.gltf").write_text(json.dumps(document))
    assert len(read_gltf_hand(tmp_path / "hand.gltf", default).template_V3)


def test_the_cc0_hand(shared, default):
    """Left and right files of one hand give the same right hand, and its joints stay inside its flesh when it bends."""
    folder = shared / "data" / "rigged_hand_cc0"
    right, left = (read_gltf_hand(folder / f"hand_{side}.gltf", default) for side in "rl")
    check_hand(right, "hand_r.gltf")
    np.testing.assert_allclose(right.template_V3.min(0), left.template_V3.min(0), atol=1.5e-3)
    np.testing.assert_allclose(right.template_V3.max(0), left.template_V3.max(0), atol=1.5e-3)
    vertices, joints = joints_of(HandModel.from_arrays("cc0", right), GESTURE_BY_NAME["fist"].pose())
    assert joints[JOINT_INDEX["middle_tip"], 0] > joints[JOINT_INDEX["middle_pip"], 0]
    assert vertices[:, 0].min() > joints[JOINT_INDEX["middle_mcp"], 0] - 0.04
