from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handviz.errors import OutputError, SourceError
from handviz.export.formats import FORMAT_NAMES, convert, exporting, open_exporter
from handviz.export.jsonl import read_jsonl
from handviz.export.poses import PoseFrame
from handviz.fit.rig import placed_mesh, rig_named
from handviz.geometry.camera import FloatArray
from handviz.hand.model import HandModel
from handviz.records import FrameResult
from tests.export.writing import write_results

Make = Callable[..., FrameResult]
Moving = Callable[..., list[PoseFrame]]


def test_an_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        open_exporter(tmp_path / "out.fbx")
    assert all(name in str(caught.value) for name in FORMAT_NAMES)


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_a_folder_that_does_not_exist_is_one_clear_error(tmp_path: Path, make: Make, name: str) -> None:
    with pytest.raises(OutputError, match="folder does not exist"):
        write_results([make(0, mesh=True)], tmp_path / "missing" / f"out.{name}")


@pytest.mark.parametrize("name", ["csv", "npz", "glb", "bvh"])
def test_a_file_converted_twice_is_the_same(tmp_path: Path, make: Make, name: str) -> None:
    results = [make(i) for i in range(4)]
    write_results(results, tmp_path / "poses.jsonl")
    convert(tmp_path / "poses.jsonl", tmp_path / f"once.{name}")
    convert(tmp_path / "poses.jsonl", tmp_path / "again.jsonl")
    convert(tmp_path / "again.jsonl", tmp_path / f"twice.{name}")
    assert (tmp_path / f"once.{name}").stat().st_size > 1000
    if name != "npz":  # a zip holds the time of writing
        assert (tmp_path / f"once.{name}").read_bytes() == (tmp_path / f"twice.{name}").read_bytes()


def test_a_converted_surface_is_that_of_a_direct_export(tmp_path: Path, make: Make) -> None:
    result = make(0, mesh=True, side="left")
    (hand,) = result.hands
    assert hand.mesh is not None
    results = [replace(result, hands=(replace(hand, mesh=placed_mesh(rig_named(), hand.mesh.params, mirrored=True)),))]
    write_results(results, tmp_path / "poses.jsonl")
    convert(tmp_path / "poses.jsonl", tmp_path / "converted.obj")
    write_results(results, tmp_path / "direct.obj")
    direct, converted = (_vertices(tmp_path / f"{name}.obj") for name in ("direct", "converted"))
    # JSON lines hold hundredths of a millimetre and less.
    np.testing.assert_allclose(converted, direct, atol=5e-5)


def _vertices(path: Path) -> FloatArray:
    lines = [line.split()[1:4] for line in path.read_text().splitlines() if line.startswith("v ")]
    return np.array(lines, float)


def test_convert_tells_a_wrong_source_and_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "wrong.jsonl").write_text("hello\n")
    for name in ("wrong.jsonl", "none.jsonl"):
        with pytest.raises(SourceError, match=name):
            convert(tmp_path / name, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_convert_never_writes_over_its_source(tmp_path: Path, make: Make) -> None:
    write_results([make(0)], tmp_path / "poses.jsonl")
    with pytest.raises(OutputError, match="Choose another name"):
        convert(tmp_path / "poses.jsonl", tmp_path / "poses.jsonl")


def test_a_link_to_the_source_is_the_source(tmp_path: Path, make: Make) -> None:
    write_results([make(0)], tmp_path / "poses.jsonl")
    (tmp_path / "link.jsonl").hardlink_to(tmp_path / "poses.jsonl")
    with pytest.raises(OutputError, match="is the file being read"):
        convert(tmp_path / "poses.jsonl", tmp_path / "link.jsonl")
    assert len(list(read_jsonl(tmp_path / "poses.jsonl"))) == 1


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_an_exporter_names_what_it_wrote(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel, name: str) -> None:
    with exporting(tmp_path / f"out.{name}", load_model=lambda _: tiny_hand) as exporter:
        for frame in moving_hand(count=2):
            exporter.write(frame)
    assert exporter.written == ((tmp_path / "out",) if name in ("obj", "ply") else (tmp_path / f"out.{name}",))
    assert all(path.exists() for path in exporter.written)


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    (tmp_path / "out.npz").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        open_exporter(tmp_path / "out.npz")


def test_a_name_too_long_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Choose another name"):
        open_exporter(tmp_path / f"{'a' * 300}.csv")


def test_what_was_taken_before_an_error_is_written(tmp_path: Path, make: Make) -> None:
    def broken_off() -> None:
        with exporting(tmp_path / "out.jsonl") as exporter:
            exporter.write(make(0))  # type: ignore[arg-type]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 1
