from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from handviz.capture.calibration import Intrinsics, camera_for, load_intrinsics
from handviz.errors import SourceError
from handviz.geometry.camera import project

K = np.array([[600.0, 0, 319.5], [0, 610.0, 239.5], [0, 0, 1]])


def write_json(path: Path, **changes: object) -> Path:
    entry = {"K": K.tolist(), "width": 640, "height": 480, **changes}
    path.write_text(json.dumps({key: value for key, value in entry.items() if value is not None}))
    return path


def test_plain_json(tmp_path: Path) -> None:
    intrinsics = load_intrinsics(write_json(tmp_path / "camera.json"))
    np.testing.assert_allclose(intrinsics.K, K)
    assert intrinsics.size == (640, 480)


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", K)
    np.savez(tmp_path / "k.npz", K=K, width=640, height=480)
    assert load_intrinsics(tmp_path / "k.npy").size is None
    assert load_intrinsics(tmp_path / "k.npz").size == (640, 480)


def test_another_resolution_of_the_same_shape_projects_to_the_same_place() -> None:
    intrinsics = Intrinsics(K=K, size=(640, 480))
    camera = camera_for(intrinsics, 320, 240)
    assert camera.source == "calibrated"
    points = np.array([[0.1, -0.05, 0.6]])
    expected = 0.5 * (project(points, K) + 0.5) - 0.5
    np.testing.assert_allclose(project(points, camera.K), expected)


def test_another_shape_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"640x480.*1280x720"):
        camera_for(Intrinsics(K=K, size=(640, 480)), 1280, 720)


def test_a_rounded_resolution_counts_as_the_same_shape() -> None:
    assert camera_for(Intrinsics(K=K, size=(1280, 720)), 854, 480).K[0, 0] == pytest.approx(600 * 854 / 1280)


NAN_K = K.copy()
NAN_K[0, 0] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"K": K[:2].tolist()}, "shape"),
        ({"K": NAN_K.tolist()}, "finite"),
        ({"K": K.T.tolist()}, "transposed"),
        ({"K": (-K).tolist()}, "positive"),
        ({"K": None}, "K is missing"),
        ({"K": "text"}, "no camera intrinsics"),
        ({"height": None}, "height is missing"),
        ({"width": -4}, "width"),
        ({"width": 3.5}, "width"),
        ({"version": 99}, "version 99"),
        ({"format": "other"}, "format"),
        ({"distortion": [0.1]}, "distortion"),
        ({"distortion": [1e300, 0, 0, 0, 0]}, "too much for any lens"),
        ({"width": 10**12}, "width"),
        ({"width": float("inf")}, "no camera intrinsics"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write_json(tmp_path / "camera.json", **changes)
    with pytest.raises(SourceError, match=message) as caught:
        load_intrinsics(path)
    assert "camera.json" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"PK\x03\x04", pickle.dumps({"K": K})])
@pytest.mark.parametrize("name", ["camera.json", "camera.npy", "camera.npz"])
def test_junk_is_one_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=name):
        load_intrinsics(path)


def test_an_object_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.array([{"K": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match="no camera intrinsics"):
        load_intrinsics(tmp_path / "k.npy")


def test_a_missing_file_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SourceError, match="cannot be read"):
            load_intrinsics(path)


@pytest.mark.parametrize(
    ("changed", "size", "size_told", "message"),
    [
        (K / [[640], [480], [1]], (640, 480), True, "degrees across"),
        (K * [[1e9], [1e9], [1]], (640, 480), True, "degrees across"),
        (K + [[0, 0, 5000], [0, 0, 0], [0, 0, 0]], (640, 480), True, "principal point, .* is not in it"),
        (K, (1920, 1080), False, "Add the width and height"),
        (K * [[3], [2.25], [1]], (640, 480), False, "Add the width and height"),
    ],
    ids=["shares", "millionths", "outside", "smaller", "larger"],
)
def test_a_matrix_in_another_unit_or_of_another_picture_is_told(
    changed: np.ndarray, size: tuple[int, int], size_told: bool, message: str
) -> None:
    intrinsics = Intrinsics(K=changed, size=size if size_told else None)
    with pytest.raises(SourceError, match=f"camera.json does not fit the picture, {size[0]}x{size[1]}: .*{message}"):
        camera_for(intrinsics, *size, path="camera.json")


def test_a_damaged_archive_is_one_clear_error(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "k.npz", K=K + np.random.default_rng(0).normal(size=(3, 3)))
    content = bytearray((tmp_path / "k.npz").read_bytes())
    content[60:120] = bytes(60)
    (tmp_path / "k.npz").write_bytes(content)
    with pytest.raises(SourceError, match=r"k\.npz holds no camera intrinsics"):
        load_intrinsics(tmp_path / "k.npz")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_byte_order_mark_is_no_part_of_the_numbers(tmp_path: Path, encoding: str) -> None:
    path = write_json(tmp_path / "camera.json", camera="Kamera für Hände")
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    path.write_bytes(mark + json.dumps(json.loads(path.read_text()), ensure_ascii=False).encode(encoding))
    intrinsics = load_intrinsics(path)
    assert intrinsics.size == (640, 480) and intrinsics.camera_name == "Kamera für Hände"
    np.testing.assert_allclose(intrinsics.K, K)


def test_text_of_another_encoding_is_one_clear_error(tmp_path: Path) -> None:
    path = write_json(tmp_path / "camera.json")
    path.write_bytes(path.read_text().replace("{", '{"camera": "Hände", ', 1).encode("latin-1"))
    with pytest.raises(SourceError, match=r"camera\.json holds no camera intrinsics"):
        load_intrinsics(path)
