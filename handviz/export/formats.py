"""All export formats by file suffix, behind one interface: from live results, or from a JSON-lines file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from handviz.errors import OutputError, SourceError
from handviz.export.bvh import BvhWriter
from handviz.export.files import check_writable, refuse_source
from handviz.export.gltf import GlbWriter
from handviz.export.jsonl import JsonlWriter, read_jsonl
from handviz.export.meshes import MeshWriter, obj_bytes, ply_bytes
from handviz.export.poses import LoadModel, PoseFrame, known_digest, load_model
from handviz.export.tables import CsvWriter, NpzWriter


class Exporter(Protocol):
    """Takes frames one by one; the file is complete when closed. Both methods raise OutputError if it cannot be written."""

    @property
    def written(self) -> tuple[Path, ...]:
        """The files that hold frames, or the folder of many; some formats write theirs when closed."""
        ...

    def write(self, frame: PoseFrame, /) -> None:
        """Take one frame."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


_FORMATS: dict[str, Callable[[Path, LoadModel], Exporter]] = {
    "jsonl": lambda path, load_model: JsonlWriter(path),
    "csv": lambda path, load_model: CsvWriter(path),
    "npz": lambda path, load_model: NpzWriter(path),
    "obj": lambda path, load_model: MeshWriter(path, obj_bytes, load_model),
    "ply": lambda path, load_model: MeshWriter(path, ply_bytes, load_model),
    "glb": GlbWriter,
    "bvh": BvhWriter,
}
# Formats that hold a mesh's parameters, or nothing of it.
_TABLES = ("jsonl", "csv", "npz")
FORMAT_NAMES: dict[str, str] = {
    "jsonl": "JSON lines, one object per frame",
    "csv": "table, one row per frame and hand",
    "npz": "padded numpy arrays with a validity mask",
    "obj": "meshes, one OBJ file per frame",
    "ply": "meshes, one PLY file per frame",
    "glb": "glTF scene with skin and animation",
    "bvh": "skeleton animation with local rotations",
}


def check_export(path: Path) -> str:
    """Return the name of the format that a file's suffix asks for, without writing anything.

    Raises OutputError that lists the formats, or says why the file cannot be written.
    """
    name = path.suffix.lower().lstrip(".")
    if name not in _FORMATS:
        known = ", ".join(f"{key} ({text})" for key, text in FORMAT_NAMES.items())
        raise OutputError(f"{path}: '{name}' is not an export format. Choose one of: {known}.")
    check_writable(path)
    return name


def open_exporter(path: Path | str, *, load_model: LoadModel = load_model) -> Exporter:
    """Return the exporter that a file's suffix asks for. Raises OutputError as ``check_export`` does."""
    path = Path(path)
    return _FORMATS[check_export(path)](path, load_model)


@contextmanager
def exporting(path: Path | str, *, load_model: LoadModel = load_model) -> Iterator[Exporter]:
    """Open an exporter and close it at the end of the block; frames taken before an error are written, too."""
    exporter = open_exporter(path, load_model=load_model)
    try:
        yield exporter
    except BaseException:
        with suppress(OutputError):
            exporter.close()
        raise
    exporter.close()


def convert(jsonl_path: Path | str, out_path: Path | str) -> tuple[Path, ...]:
    """Convert a file of ``handviz process`` to the format of another file's suffix; return what was written.

    Raises SourceError or OutputError.
    """
    refuse_source(Path(out_path), Path(jsonl_path))
    frames = read_jsonl(jsonl_path)
    first = list(islice(frames, 1))  # a file that cannot be read is reported before another is begun
    if not first:
        raise SourceError(f"{jsonl_path} holds no frames. Give a file that `handviz process` wrote.")
    done = 0
    try:
        with exporting(out_path) as exporter:
            for frame in chain(first, frames):
                exporter.write(frame)
                done += 1
    except SourceError as error:
        kept = ", ".join(str(path) for path in exporter.written) or f"not in {out_path}"
        raise SourceError(f"{error} The {done} frame{'s' if done > 1 else ''} before it: {kept}.") from error
    return exporter.written


def of_another_hand(jsonl_path: Path | str, out_path: Path | str) -> str | None:
    """Return the hand model's name if a file's meshes were made with another hand of that name than they are rebuilt with."""
    if Path(out_path).suffix.lower().lstrip(".") in _TABLES:
        return None
    # One run has one hand model, so the first frame with hands shows it.
    hands = next((frame.hands for frame in read_jsonl(jsonl_path) if frame.hands), ())
    told = {hand.params.hand_model: hand.hand_digest for hand in hands if hand.params is not None and hand.hand_digest}
    return next((name for name, digest in told.items() if digest != known_digest(name)), None)
