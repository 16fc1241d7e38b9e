"""``training label FOLDER... --out FOLDER``: photographs in, packs of pseudo-labelled crops out: train, held out, doubtful."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from handviz.errors import OutputError, SourceError
from training.data.labelling.folder import label_folders, pictures_in
from training.data.labelling.hand_fits import with_fits
from training.data.labelling.names import DOUBTFUL_NAME, HELD_OUT_NAME, TRAIN_NAME
from training.data.pack import pack_of, write_pack
from training.data.photo_crop import DOUBTFUL
from training.data.sample import Sample
from training.data.splits import is_held_out, shares_person

# Small enough to copy the photographs of a dozen thousand hands in one go; the eye sees no difference at 160 px.
PHOTO_JPEG_QUALITY = 80


def label(folders: Sequence[Path], out: Path, *, workers: int) -> dict[str, Counter[str]]:
    """Label the folders and write the packs. Returns, for each source, how many pictures and hands had which outcome."""
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise SourceError("a folder is given twice, so its hands would count twice. Give each folder once.")
    total = sum(len(pictures_in(folder)) for folder in folders)
    try:
        out.mkdir(parents=True, exist_ok=True)  # Now, not after an hour of labelling.
    except OSError as error:
        raise OutputError(f"{out}: not a folder that can be written to ({error.strerror}). Give another --out.") from error
    report: dict[str, Counter[str]] = {folder.name: Counter() for folder in folders}
    samples: list[Sample] = []
    order = [folder.name for folder in folders for _ in pictures_in(folder)]
    for done, (source, picture) in enumerate(zip(order, label_folders(folders, workers=workers), strict=True), 1):
        report[source] += picture.outcome
        samples.extend(picture.samples)
        if done % 100 == 0 or done == total:
            print(f"\r{done}/{total} pictures, {len(samples)} samples", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    _write_split(samples, out)
    return report


def _write_split(samples: Sequence[Sample], out: Path) -> None:
    held_out = [s for s in samples if is_held_out(s.source, s.split_key) and not shares_person(s.source, s.name)]
    train = [s for s in samples if not is_held_out(s.source, s.split_key)]
    if not samples:
        raise SourceError(
            "nothing was written: no hand was found in these pictures on which MediaPipe's answers agree. Add clearer ones."
        )
    sure, doubtful = ([s for s in held_out if (s.view == DOUBTFUL) == doubt] for doubt in (False, True))
    for name, part in ((TRAIN_NAME, train), (HELD_OUT_NAME, sure), (DOUBTFUL_NAME, doubtful)):
        if part:
            write_pack(with_fits(pack_of(part)), out / name, quality=PHOTO_JPEG_QUALITY)
