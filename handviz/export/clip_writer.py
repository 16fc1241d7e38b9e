"""What the writers of animations share: frames are collected without their surfaces, and written as clips when closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from handviz.errors import OutputError
from handviz.export.clip import HandClip, clips_of, growing_times
from handviz.export.files import whole_file
from handviz.export.poses import LoadModel, PoseFrame, without_surfaces
from handviz.geometry.camera import FloatArray


class ClipWriter(ABC):
    """Collects frames; each format decides how the clips of all hands are written."""

    def __init__(self, path: Path, load_model: LoadModel) -> None:
        self._path, self._load_model = path, load_model
        self._frames: list[PoseFrame] = []
        self._closed = False
        self.written: tuple[Path, ...] = ()

    def write(self, frame: PoseFrame) -> None:
        """Keep one frame."""
        self._frames.append(without_surfaces(frame))

    def close(self) -> None:
        """Write the collected frames; closing twice does nothing. Raises OutputError if there is no hand to write."""
        if self._closed:
            return
        self._closed = True
        clips = clips_of(self._frames, self._load_model)
        if not clips:
            raise OutputError(
                f"{self._path} was not written: no frame has a hand with all its joints. Only .jsonl, .npz and .csv need none."
            )
        self._save(clips, growing_times(self._frames))

    def _put(self, path: Path, content: bytes) -> None:
        with whole_file(path) as file:
            file.write(content)
        self.written += (path,)

    @abstractmethod
    def _save(self, clips: list[HandClip], times_s: FloatArray) -> None:
        """Write the clips with ``_put``; ``times_s`` are the times of all frames of the recording."""
