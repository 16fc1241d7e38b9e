"""Whole runs of results written to a file, as a session does it frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from handviz.export.formats import exporting
from handviz.export.poses import pose_frame
from handviz.records import FrameResult


def write_results(results: Iterable[FrameResult], path: Path) -> None:
    with exporting(path) as exporter:
        for result in results:
            exporter.write(pose_frame(result))
