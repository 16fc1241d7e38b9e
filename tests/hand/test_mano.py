"""A miniature of MANO's file: the real layout, pickled as the real one is, with an invented hand in it."""

import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.spatial.transform import Rotation

from handviz.errors import ModelFileError, OutputError
from handviz.hand import add_hand as adding
from handviz.hand.hand_file import read_hand_file
from handviz.hand.library import hand_path, known_hands
from handviz.hand.mano import read_mano
from handviz.hand.model import HandModel, load_hand_model
from handviz.hand.safe_pickle import read_plain_pickle


@pytest.fixture
def chumpy(monkeypatch):
    """Stand-ins for chumpy's modules, only while the pickle is written."""
    package, ch, reordering = (types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering"))
    ch.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    reordering.Select = type("Select", (), {"__module__": "chumpy.reordering"})
    for module in (package, ch, reordering):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return ch, reordering


def mano_content(rng) -> dict:
    """Arrays of MANO's shapes: the default hand's mesh with random directions."""
    base = read_hand_file(hand_path("default"))
    return {
        "v_template": base.template_V3.astype(np.float64),
        "f": base.faces_F3.astype(np.uint32),
        "shapedirs": rng.normal(size=(778, 3, 10)) * 1e-3,
        "posedirs": rng.normal(size=(778, 3, 135)) * 1e-4,
        "J_regressor": base.joint_regressor_JV.astype(np.float64) / base.joint_regressor_JV.sum(1, keepdims=True),
        "weights": base.skin_weights_VJ.astype(np.float64) / base.skin_weights_VJ.sum(1, keepdims=True),
        "kintree_table": np.arange(32).reshape(2, 16),
        "hands_mean": rng.normal(size=45) * 0.2,
        "hands_components": np.eye(45),
        "bs_style": "lbs",
    }


def of_chumpy() -> dict:
    """What chumpy's own objects carry besides their values."""
    return {"_dirty_vars": set(), "_itr": None, "_make_dense": False, "_make_sparse": False, "_depends_on_deps": {"a", "b"}}


def pickled(content: dict, chumpy, protocol: int = 2) -> bytes:
    """Pickle as MANO is: chumpy arrays, a chumpy selection for the shape directions, a sparse regressor."""
    ch, reordering = chumpy
    boxed = content.copy()
    for key in ("v_template", "posedirs", "weights"):
        box = ch.Ch()
        box.__dict__.update(x=content[key], **of_chumpy())
        boxed[key] = box
    inner = ch.Ch()
    inner.__dict__.update(x=np.concatenate([content["shapedirs"], np.ones((778, 3, 5))], 2), **of_chumpy())
    chosen = reordering.Select()
    index = np.arange(inner.x.size).reshape(inner.x.shape)[:, :, :10]
    chosen.__dict__.update(a=inner, idxs=index.ravel(), preferred_shape=index.shape, **of_chumpy())
    boxed["shapedirs"] = chosen
    boxed["J_regressor"] = sparse.csc_matrix(content["J_regressor"])
    return pickle.dumps(boxed, protocol)


@pytest.fixture
def mano_file(tmp_path, chumpy):
    content = mano_content(np.random.default_rng(0))
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(pickled(content, chumpy))
    return path, content


def test_reads_what_was_written(mano_file):
    path, content = mano_file
    arrays = read_mano(path)
    np.testing.assert_array_equal(arrays.template_V3, content["v_template"])
    np.testing.assert_array_equal(arrays.faces_F3, content["f"])
    np.testing.assert_array_equal(arrays.shape_dirs_V3S, content["shapedirs"])
    np.testing.assert_array_equal(arrays.pose_dirs_V3P, content["posedirs"])
    np.testing.assert_array_equal(arrays.joint_regressor_JV, content["J_regressor"])
    np.testing.assert_array_equal(arrays.skin_weights_VJ, content["weights"])


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_protocol(tmp_path, chumpy, protocol):
    content = mano_content(np.random.default_rng(1))
    path = tmp_path / "m.pkl"
    path.write_bytes(pickled(content, chumpy, protocol))
    np.testing.assert_array_equal(read_mano(path).template_V3, content["v_template"])


def test_added_hand_poses_as_a_direct_evaluation_of_its_arrays(mano_file, tmp_path, monkeypatch):
    path, c = mano_file
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path / "data"))
    stored = adding.add_hand(path)
    assert stored == tmp_path / "data" / "hands" / "mano_right.npz"
    assert "mano_right" in known_hands()
    model = load_hand_model("mano_right").to(dtype=torch.float64)
    rng = np.random.default_rng(5)
    pose, shape = rng.normal(size=45) * 0.4, rng.normal(size=10)
    surface = model.shaped(torch.tensor(shape)[None]).posed(torch.tensor(pose)[None], torch.zeros(1, 3, dtype=torch.float64))
    # The published equations, joint by joint.
    shaped = c["v_template"] + c["shapedirs"] @ shape
    joints = c["J_regressor"] @ shaped
    R = Rotation.from_rotvec(np.concatenate([np.zeros((1, 3)), pose.reshape(15, 3)])).as_matrix()
    v = shaped + c["posedirs"] @ (R[1:] - np.eye(3)).ravel()
    parents = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
    turn, place, out = [R[0]], [joints[0]], np.zeros_like(v)
    for j in range(1, 16):
        p = parents[j]
        turn.append(turn[p] @ R[j])
        place.append(place[p] + turn[p] @ (joints[j] - joints[p]))
    for j in range(16):
        out += c["weights"][:, j, None] * ((v - joints[j]) @ turn[j].T + place[j])
    np.testing.assert_allclose(surface.vertices_BV3[0].numpy(), out, atol=2e-7)
    assert surface.joints_BJ3.shape == (1, 21, 3)
    load_hand_model.cache_clear()


FLIP = np.array([-1.0, 1.0, 1.0])


def left_of(content: dict) -> dict:
    """A left file as it is distributed: mirrored in x, except for its shape directions."""
    signs = np.tile(np.outer(FLIP, FLIP).ravel(), 15)
    mirrored = {
        "v_template": content["v_template"] * FLIP,
        "f": content["f"][:, ::-1],
        "posedirs": content["posedirs"] * FLIP[None, :, None] * signs,
    }
    return {**content, **mirrored}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mended", [False, True])
def test_a_left_file_that_was_mended_is_not_mended_again(tmp_path, chumpy, mended, seed):
    """Its components are any mixture of those that people's hands have."""
    people = read_hand_file(hand_path("default")).shape_dirs_V3S.astype(np.float64)
    mixture = Rotation.random(random_state=seed).as_matrix()
    content = {**mano_content(np.random.default_rng(seed)), "shapedirs": people}
    content["shapedirs"] = np.concatenate([people[..., [0, 3, 5]] @ mixture, people[..., [1, 2, 4, 6, 7, 8, 9]]], -1)
    left = left_of(content)
    if mended:
        left["shapedirs"] = content["shapedirs"] * FLIP[:, None]
    path = tmp_path / "MANO_LEFT.pkl"
    path.write_bytes(pickled(left, chumpy))
    np.testing.assert_allclose(read_mano(path).shape_dirs_V3S, content["shapedirs"], atol=1e-12)


def test_left_file_becomes_the_mirrored_right_hand(tmp_path, chumpy):
    content = mano_content(np.random.default_rng(2))
    left = left_of(content)
    path = tmp_path / "MANO_LEFT.pkl"
    path.write_bytes(pickled(left, chumpy))
    arrays = read_mano(path)
    right_path = tmp_path / "MANO_RIGHT.pkl"
    right_path.write_bytes(pickled(content, chumpy))
    right = read_mano(right_path)
    a, b = HandModel.from_arrays("l", arrays), HandModel.from_arrays("r", right)
    pose, shape, root = torch.randn(1, 45) * 0.4, torch.randn(1, 10), torch.randn(1, 3)
    torch.testing.assert_close(a.shaped(shape).posed(pose, root).vertices_BV3, b.shaped(shape).posed(pose, root).vertices_BV3)
    np.testing.assert_array_equal(arrays.faces_F3, right.faces_F3)


def test_an_npz_with_its_keys_is_the_same(mano_file, tmp_path):
    path, content = mano_file
    np.savez(tmp_path / "mano.npz", **{key: value for key, value in content.items() if key != "bs_style"})
    np.testing.assert_array_equal(read_mano(tmp_path / "mano.npz").shape_dirs_V3S, read_mano(path).shape_dirs_V3S)


def test_what_is_not_needed_may_be_of_any_kind(tmp_path, chumpy):
    content = OrderedDict(mano_content(np.random.default_rng(1)), bs_type=np.array(["lrotmin", None], dtype=object))
    path = tmp_path / "m.pkl"
    path.write_bytes(pickled(content, chumpy))
    np.testing.assert_array_equal(read_mano(path).template_V3, content["v_template"])


class Evil:
    """Pickles as a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_runs_code_is_refused_and_nothing_runs(tmp_path):
    path, trace = tmp_path / "evil.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"v_template": Evil(f"touch {trace}")}))
    with pytest.raises(ModelFileError, match=r"asks to run .*system"):
        read_plain_pickle(path)
    assert not trace.exists()


@pytest.mark.parametrize("call", [b"cbuiltins\neval\n", b"c__builtin__\nexec\n", b"cnumpy\nload\n", b"cscipy.sparse\nload_npz\n"])
def test_other_callables_are_refused_too(tmp_path, call):
    path = tmp_path / "evil.pkl"
    path.write_bytes(call + b"(S'1'\ntR.")
    with pytest.raises(ModelFileError, match="asks to run"):
        read_plain_pickle(path)


def test_what_is_shared_a_billion_times_is_read_once(tmp_path):
    value = [1.0]
    for _ in range(60):
        value = [value, value]
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(value))
    read = read_plain_pickle(tmp_path / "bomb.pkl")
    assert read[0] is read[1]
    for _ in range(60):
        read = read[1]
    assert read == [1.0]


def test_arrays_of_objects_are_refused(tmp_path):
    path = tmp_path / "o.pkl"
    path.write_bytes(pickle.dumps(np.array([{"a": 1}], dtype=object)))
    with pytest.raises(ModelFileError):
        read_plain_pickle(path)


def test_a_cut_off_pickle_is_refused_everywhere(mano_file, tmp_path):
    path, _ = mano_file
    whole = path.read_bytes()
    for part in (0, 1, 50, len(whole) // 3, len(whole) // 2, len(whole) - 5):
        short = tmp_path / "short.pkl"
        short.write_bytes(whole[:part])
        with pytest.raises(ModelFileError, match=r"short\.pkl"):
            read_mano(short)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.pop("posedirs"), "lacks posedirs"),
        (lambda c: c.update(weights=c["weights"][:, :12]), "'weights' has shape"),
        (lambda c: c.update(v_template=c["v_template"][:500]), "'v_template' has shape"),
        (lambda c: c.update(f="triangles"), "'f' holds no numbers"),
        (lambda c: c.update(f=c["f"] + 5), "outside 0 to 777"),
        (lambda c: c["v_template"].fill(np.nan), "not finite"),
        (lambda c: c.update(v_template=1000 * c["v_template"]), "m long, which is not a human size"),
    ],
)
def test_wrong_content_is_named(tmp_path, chumpy, monkeypatch, change, reason):
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path / "data"))
    content = mano_content(np.random.default_rng(0))
    change(content)
    path = tmp_path / "bad.pkl"
    full = mano_content(np.random.default_rng(0))
    path.write_bytes(pickled(content, chumpy) if set(full) == set(content) else pickle.dumps(content))
    with pytest.raises(ModelFileError, match=reason):
        adding.add_hand(path)
    assert not (tmp_path / "data").exists()


def test_not_a_dictionary(tmp_path):
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(ModelFileError, match="no dictionary"):
        read_mano(tmp_path / "list.pkl")


@pytest.mark.parametrize(("name", "message"), [("hand.obj", "not a known kind"), ("none.pkl", "no such file")])
def test_other_files(tmp_path, name, message):
    if name != "none.pkl":
        (tmp_path / name).write_text("v 0 0 0")
    with pytest.raises(ModelFileError, match=message):
        adding.add_hand(tmp_path / name)


def test_the_default_hands_name_can_not_be_taken(mano_file):
    with pytest.raises(ModelFileError, match="cannot be the name"):
        adding.add_hand(mano_file[0], "default")


def test_another_hand_of_that_name_is_not_replaced_unasked(mano_file, tmp_path, chumpy, monkeypatch):
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path / "data"))
    stored = adding.add_hand(mano_file[0], "Mine")
    before = stored.read_bytes()
    assert adding.add_hand(mano_file[0], "mine") == stored, "the same hand once more is no other"
    other = tmp_path / "other.pkl"
    other.write_bytes(pickled(mano_content(np.random.default_rng(7)), chumpy))
    with pytest.raises(OutputError, match="already another hand 'mine'"):
        adding.add_hand(other, "mine")
    assert stored.read_bytes() == before
    assert adding.add_hand(other, "mine", replace=True) == stored and stored.read_bytes() != before


def test_names_that_no_option_could_give_are_mended(mano_file, tmp_path, monkeypatch):
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))
    assert adding.add_hand(mano_file[0], "-x").stem == "x"
    assert len(adding.add_hand(mano_file[0], 300 * "a").stem) == adding.LONGEST_NAME


def test_a_picture_for_a_hand_that_takes_none_is_told(mano_file, tmp_path):
    with pytest.raises(ModelFileError, match="only a glTF hand takes a picture"):
        adding.add_hand(mano_file[0], texture=tmp_path / "none.png")


@pytest.mark.parametrize("call", [b"c_codecs\nencode\n(S'a'\nS'no-such-codec'\ntR.", b"P1\n."])
def test_damage_of_other_kinds_is_one_line(tmp_path, call):
    (tmp_path / "odd.pkl").write_bytes(call)
    with pytest.raises(ModelFileError, match=r"odd\.pkl: damaged") as told:
        read_plain_pickle(tmp_path / "odd.pkl")
    assert "\n" not in str(told.value)


@pytest.mark.mano
def test_the_users_own_file(monkeypatch, tmp_path):
    path = os.environ.get("HANDVIZ_MANO")
    if not path:
        pytest.skip("set HANDVIZ_MANO to the path of MANO_RIGHT.pkl")
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))
    arrays = read_hand_file(adding.add_hand(Path(path)))
    joints = arrays.joint_regressor_JV @ arrays.template_V3
    np.testing.assert_allclose(joints[0], [0.0957, 0.0064, 0.0062], atol=5e-4)
