"""Where results go while a source is processed."""

from __future__ import annotations

import glob
import itertools
from pathlib import Path

from handviz.errors import OutputError
from handviz.export.annotate import annotate
from handviz.export.files import clear_former, refuse_source
from handviz.export.formats import Exporter, check_export, open_exporter
from handviz.export.meshes import OUR_MARK, obj_bytes
from handviz.export.poses import pose_frame
from handviz.export.video import VideoWriter
from handviz.records import FrameResult


class PoseFile:
    """Writes the poses in the format of the file's suffix.

    The file is begun with the first result: an existing file stays if a run gives none. Raises OutputError immediately
    for a file that cannot be written, and at the first result if it is the file being read.
    """

    def __init__(self, path: Path) -> None:
        check_export(path)
        self._path = path
        self._exporter: Exporter | None = None

    @property
    def written(self) -> tuple[Path, ...]:
        """The files that hold results, or the folder of many; complete when closed."""
        return () if self._exporter is None else self._exporter.written

    def write(self, result: FrameResult) -> None:
        """Append a result."""
        if self._exporter is None:
            refuse_source(self._path, result.frame.path)
            self._exporter = open_exporter(self._path)
        self._exporter.write(pose_frame(result))

    def close(self) -> None:
        """Finish the file."""
        if self._exporter is not None:
            self._exporter.close()


class AnnotatedVideo:
    """Writes every picture with its overlay; begun with the first result, as ``PoseFile`` is."""

    def __init__(self, path: Path) -> None:
        self._video = VideoWriter(path)
        self._path = path

    @property
    def written(self) -> tuple[Path, ...]:
        """The file, once it holds a picture."""
        return (self._path,) if self._video.frames else ()

    def write(self, result: FrameResult) -> None:
        """Append the picture of a result at its time."""
        if not self._video.frames:
            refuse_source(self._path, result.frame.path)
        self._video.write(annotate(result.frame.rgb, result), result.frame.t_capture_s)

    def close(self) -> None:
        """Finish the file."""
        self._video.close()


class MeshFolder:
    """Writes an OBJ file per hand: ``FRAME_hand0_left.obj``, where FRAME is the picture's name or the frame's number.

    If pictures' names differ only in their suffix, the later ones keep it: ``NAME.png_hand0_left.obj``. Meshes that an earlier
    run left for the same pictures, or for a video's frames, are removed at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: set[str] = set()
        self._numbered = False
        self._meshless = False
        self._names: dict[str, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: not a writable folder ({error.strerror}). Choose another") from error

    def write(self, result: FrameResult) -> None:
        """Write the meshes of a result."""
        frame = pose_frame(result)
        self._numbered |= not frame.source
        stem = self._name_of(frame.source) if frame.source else f"{frame.index:06d}"
        for hand in frame.hands:
            if hand.surface is None:
                self._meshless = True
            else:
                self._put(self._folder / f"{stem}_hand{hand.track_id}_{hand.side}.obj", obj_bytes([(hand.side, hand.surface)]))

    def _name_of(self, source: str) -> str:
        path = Path(source)
        numbered = (f"{path.name}_{number}" for number in itertools.count(2))
        names = itertools.chain((path.stem, path.name), numbered)
        return next(name for name in names if self._names.setdefault(name, source) == source)

    def _put(self, path: Path, data: bytes) -> None:
        try:
            path.write_bytes(data)
        except OSError as error:
            raise OutputError(f"{path}: could not be written ({error.strerror}). The meshes before it are complete") from error
        self._written.add(path.name)

    def close(self) -> None:
        """Finish. Raises OutputError if there were hands and none had a mesh, or if an earlier run's files cannot be removed."""
        if self._meshless and not self._written:
            raise OutputError(
                f"{self._folder}: no mesh was written, because no hand has one. Choose an estimator that gives meshes"
            )
        stems = [glob.escape(name) for name in self._names] + ["[0-9]" * 6] * self._numbered
        for stem in stems:
            clear_former(self._folder, f"{stem}_hand*_*.obj", self._written, OUR_MARK)
