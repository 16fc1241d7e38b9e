import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from handviz.errors import ModelFileError
from handviz.hand.hand_file import HandArrays, check_hand, hand_file_bytes, read_hand_file
from handviz.hand.library import hand_path


@pytest.fixture(scope="module")
def arrays() -> HandArrays:
    return read_hand_file(hand_path("default"))


def test_written_and_read_again_is_the_same(arrays, tmp_path):
    (tmp_path / "a.npz").write_bytes(hand_file_bytes(arrays))
    again = read_hand_file(tmp_path / "a.npz")
    for field in fields(HandArrays):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(arrays, field.name))


def test_same_arrays_give_the_same_bytes(arrays, tmp_path):
    (tmp_path / "a.npz").write_bytes(hand_file_bytes(arrays))
    (tmp_path / "b.npz").write_bytes(hand_file_bytes(arrays))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def with_nan(array):
    out = array.copy()
    out.flat[5] = np.nan
    return out


def without_triangle(faces):
    middle = len(faces) // 2
    return np.delete(faces, middle, axis=0)


DAMAGE = {
    "a hole": (lambda a: {"faces_F3": without_triangle(a.faces_F3)}, "openings"),
    "an unused vertex": (lambda a: {"faces_F3": a.faces_F3[~(a.faces_F3 == 100).any(1)]}, "belong to no triangle"),
    "an index too large": (lambda a: {"faces_F3": np.where(a.faces_F3 == 5, 9999, a.faces_F3)}, "outside 0 to 777"),
    "a turned triangle": (lambda a: {"faces_F3": np.concatenate([a.faces_F3[:1, ::-1], a.faces_F3[1:]])}, "wound"),
    "a degenerate triangle": (
        lambda a: {"faces_F3": np.concatenate([a.faces_F3, [[int(a.faces_F3[0, 0])] * 2 + [int(a.faces_F3[0, 1])]]])},
        "degenerate",
    ),
    "no triangles": (lambda a: {"faces_F3": a.faces_F3[:0]}, "no triangles"),
    "NaN in the template": (lambda a: {"template_V3": with_nan(a.template_V3)}, "not finite"),
    "NaN in the weights": (lambda a: {"skin_weights_VJ": with_nan(a.skin_weights_VJ)}, "not finite"),
    "weights that do not sum to one": (lambda a: {"skin_weights_VJ": a.skin_weights_VJ * 0.5}, "sum to one"),
    "a regressor that does not": (lambda a: {"joint_regressor_JV": a.joint_regressor_JV * 2}, "regressor"),
    "too few shape directions": (lambda a: {"shape_dirs_V3S": a.shape_dirs_V3S[..., :3]}, "shape_dirs_V3S has shape"),
    "too few vertices": (lambda a: {"template_V3": a.template_V3[:700]}, "expected"),
    "a tip that is not there": (lambda a: {"tip_vertices": np.array([1, 2, 3, 4, 900])}, "fingertip"),
    "triangles of floats": (lambda a: {"faces_F3": a.faces_F3.astype(float)}, "integers"),
    "a broken texture": (lambda a: {"texture_code": np.arange(50, dtype=np.uint8)}, "texture"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_an_unusable_hand_is_refused_with_its_reason(arrays, kind):
    change, reason = DAMAGE[kind]
    with pytest.raises(ModelFileError, match=reason) as caught:
        check_hand(replace(arrays, **change(arrays)), "my_hand.npz")
    assert "my_hand.npz" in str(caught.value)


def test_a_cut_off_file_is_refused(tmp_path):
    whole = hand_path("default").read_bytes()
    for part in (0, 10, len(whole) // 2, len(whole) - 30):
        short = tmp_path / "short.npz"
        short.write_bytes(whole[:part])
        with pytest.raises(ModelFileError, match=r"short\.npz"):
            read_hand_file(short)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="no such hand file"):
        read_hand_file(tmp_path / "none.npz")


def test_an_archive_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ModelFileError, match="not a hand file"):
        read_hand_file(tmp_path / "other.npz")


def test_a_pickled_object_inside_is_refused(arrays, tmp_path):
    content = {field.name: getattr(arrays, field.name) for field in fields(HandArrays) if field.name != "shape_names"}
    content["template_V3"] = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "trap.npz", format_version=np.array(1), shape_names=np.array([], "U"), **content)
    with pytest.raises(ModelFileError):
        read_hand_file(tmp_path / "trap.npz")


@pytest.mark.parametrize("place", [0.02, 0.5, 0.9])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, place: float) -> None:
    whole = bytearray(hand_path("default").read_bytes())
    start = int(place * len(whole))
    whole[start : start + 40] = bytes(255 - value for value in whole[start : start + 40])
    (tmp_path / "bad.npz").write_bytes(whole)
    with pytest.raises(ModelFileError, match=r"bad\.npz"):
        read_hand_file(tmp_path / "bad.npz")


def test_a_damaged_array_s_header_is_told(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, \n"
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("format_version.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(ModelFileError, match=r"bad\.npz: a damaged hand file"):
        read_hand_file(tmp_path / "bad.npz")
