"""Where results go while a source is processed, beside the JSON lines."""

from __future__ import annotations

from pathlib import Path

from handviz.export.annotate import annotate
from handviz.export.video import VideoWriter
from handviz.records import FrameResult


class AnnotatedVideo:
    """Writes every picture with its overlay."""

    def __init__(self, path: Path) -> None:
        self._video = VideoWriter(path)

    def write(self, result: FrameResult) -> None:
        """Append the picture of a result at its time."""
        self._video.write(annotate(result.frame.rgb, result), result.frame.t_capture_s)

    def close(self) -> None:
        """Finish the file."""
        self._video.close()
