from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handviz.errors import OutputError
from handviz.export.formats import convert, exporting
from handviz.export.poses import PoseFrame, pose_frame
from handviz.hand.skeleton import JOINT_NAMES
from handviz.records import FrameResult
from tests.export.writing import write_results

Make = Callable[..., FrameResult]
Moving = Callable[..., list[PoseFrame]]


def test_csv_has_a_row_a_hand_and_empty_fields_for_unknown(tmp_path: Path, make: Make) -> None:
    results = [make(0), replace(make(1), hands=()), make(2, nan_joint=8, side="left")]
    write_results(results, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["0", "2"]
    assert rows[1]["side"] == "left" and rows[1]["source"] == "a.png"
    joints = results[2].hands[0].joints
    assert rows[1]["index_tip_x_m"] == "" and rows[1]["index_tip_u_px"] == ""
    assert float(rows[1]["thumb_tip_z_m"]) == pytest.approx(joints.joints_camera_m[4, 2], abs=1e-5)
    assert float(rows[1]["thumb_tip_v_px"]) == pytest.approx(joints.joints_px[4, 1], abs=0.01)


def test_npz_pads_and_says_what_is_real(tmp_path: Path, make: Make, moving_hand: Moving) -> None:
    two = moving_hand(count=3)
    frames = [two[0], replace(two[1], hands=()), replace(two[2], hands=(two[2].hands[0], replace(two[2].hands[0], params=None)))]
    with exporting(tmp_path / "out.npz") as exporter:
        for frame in frames:
            exporter.write(frame)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert found["valid"].tolist() == [[True, False], [False, False], [True, True]]
        assert found["mesh_valid"].tolist() == [[True, False], [False, False], [True, False]]
        assert found["joint_names"].tolist() == list(JOINT_NAMES)
        np.testing.assert_allclose(found["joints_camera_m"][2, 1], frames[2].hands[0].joints.joints_camera_m, atol=1e-6)
        np.testing.assert_allclose(found["pose"][0, 0], two[0].hands[0].params.pose, atol=1e-6)  # type: ignore[union-attr]
        assert np.isnan(found["joints_px"][1]).all() and found["side"][0, 0] == "right"
        assert np.isnan(found["silhouette_iou"]).all(), "of these hands it is not known"


def test_the_camera_is_in_the_tables_as_far_as_it_is_known(tmp_path: Path, make: Make) -> None:
    result = make(0, mesh=True)
    K = result.frame.camera.K
    for name in ("out.jsonl", "out.csv", "out.npz"):
        write_results([result], tmp_path / name)
    convert(tmp_path / "out.jsonl", tmp_path / "again.csv")
    convert(tmp_path / "out.jsonl", tmp_path / "again.npz")
    for name in ("out.csv", "again.csv"):
        with (tmp_path / name).open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert list(row)[:3] == ["frame", "source", "t_s"]
        assert list(row)[-6:] == ["fx", "fy", "cx", "cy", "width", "height"] and (row["width"], row["height"]) == ("64", "48")
        np.testing.assert_allclose(
            [float(row[key]) for key in ("fx", "fy", "cx", "cy")], K[[0, 1, 0, 1], [0, 1, 2, 2]], atol=6e-3
        )
    for name in ("out.npz", "again.npz"):
        with np.load(tmp_path / name, allow_pickle=False) as found:
            np.testing.assert_allclose(found["K"], K[None], atol=6e-3)
            np.testing.assert_array_equal(found["groups"][0, 0], np.arange(21) % 3)
            assert found["hand_model"].tolist() == [["default"]]


def test_a_file_without_a_camera_leaves_it_empty(tmp_path: Path, make: Make) -> None:
    frame = replace(pose_frame(make(0)), K=None)
    for name in ("out.csv", "out.npz"):
        with exporting(tmp_path / name) as exporter:
            exporter.write(frame)
    with (tmp_path / "out.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert [row[key] for key in ("fx", "fy", "cx", "cy", "width")] == ["", "", "", "", "64"]
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert np.isnan(found["K"]).all() and found["K"].shape == (1, 3, 3)
        assert (found["groups"] == -1).all() and found["hand_model"].tolist() == [[""]]


def test_npz_holds_how_well_a_mesh_covers_its_hand(tmp_path: Path, make: Make) -> None:
    write_results([make(0, mesh=True)], tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as found:
        assert found["silhouette_iou"][0, 0] == pytest.approx(0.9)


def test_npz_of_nothing_is_empty(tmp_path: Path) -> None:
    write_results([], tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert found["frame"].shape == (0,) and found["joints_px"].shape == (0, 0, 21, 2)
        assert found["K"].shape == (0, 3, 3) and found["hand_model"].shape == (0, 0)


def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, make: Make, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "out.npz"
    write_results([make(0)], path)
    before = path.read_bytes()
    with file_size_limit(len(before)), pytest.raises(OutputError, match=r"out\.npz cannot be written"):
        write_results([make(i) for i in range(50)], path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["out.npz"]


def test_a_full_disk_keeps_the_rows_before(
    tmp_path: Path, make: Make, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    with file_size_limit(20_000), pytest.raises(OutputError, match="Rows written so far are kept"):
        write_results((make(i) for i in range(100)), tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_text()
    assert text.count("\n") > 5 and text.endswith("\n")
    assert len({line.count(",") for line in text.splitlines()}) == 1


def test_a_name_that_is_no_text_is_written_all_the_same(tmp_path: Path, make: Make) -> None:
    result = make(0)
    write_results([replace(result, frame=replace(result.frame, name="hand\udce9.png"))], tmp_path / "out.csv")
    assert r"hand\udce9.png" in (tmp_path / "out.csv").read_text(encoding="utf-8")
