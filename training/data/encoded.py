"""Packs for training: pictures stay encoded until a batch needs them, a tenth of the memory of ``read_pack``.

Decoding costs about half a millisecond a sample; 40,000 samples take half a gigabyte instead of several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handviz.errors import SourceError
from handviz.records import IntArray, UInt8Array
from training.data.pack import (
    Pack,
    SampleNames,
    damaged,
    decode_pictures,
    encoded_pictures,
    join,
    labelled,
    open_pack_file,
    pack_files,
    without_stale_params,
)
from training.data.sample import Batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedPack:
    """N samples: a pack whose pictures are one blank pixel each, with the real ones kept encoded."""

    labels: Pack
    rgb: tuple[UInt8Array, ...]
    mask: tuple[UInt8Array, ...]

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def names(self) -> SampleNames:
        """The text fields of the samples."""
        return self.labels.names

    def batch(self, index: IntArray) -> Batch:
        """Return these samples as a batch on the CPU; pictures uint8. Raises SourceError for a damaged picture."""
        rgb, mask = self.pictures(index)
        few = replace(self.labels.select(index), rgb_NSS3=rgb, mask_NSS=mask)
        return few.batch(np.arange(len(index)))

    def drawn_evenly(self, rng: np.random.Generator, rows: IntArray, count: int) -> IntArray:
        """Return up to ``count`` of these rows, each once, drawn evenly over sources and rooms or persons."""
        keys = [f"{self.names.source[i]}/{self.names.split_key[i]}" for i in rows]
        size = Counter(keys)
        weight = np.array([1.0 / size[key] for key in keys])
        return np.asarray(rng.choice(rows, min(count, len(rows)), replace=False, p=weight / weight.sum()))

    def pictures(self, index: IntArray) -> tuple[UInt8Array, UInt8Array]:
        """Decode the pictures (B, S, S, 3) and masks (B, S, S) of these samples. Raises SourceError for a damaged one."""
        try:
            return decode_pictures([self.rgb[i] for i in index], [self.mask[i] for i in index])
        except ValueError as error:
            sources = ", ".join(sorted({self.names.source[i] for i in index}))
            raise SourceError(f"a pack of {sources}: {error}. Write the packs again.") from error


def read_encoded(paths: Sequence[Path]) -> EncodedPack:
    """Read packs, or folders of packs, as one. Raises SourceError naming the file that is missing or damaged."""
    parts = [_read_file(file) for path in paths for file in pack_files(path)]
    return EncodedPack(
        labels=join([part.labels for part in parts]),
        rgb=tuple(picture for part in parts for picture in part.rgb),
        mask=tuple(picture for part in parts for picture in part.mask),
    )


def _read_file(path: Path) -> EncodedPack:
    file = open_pack_file(path)
    try:
        rgb, mask = (tuple(encoded_pictures(file.tensors, kind)) for kind in ("rgb", "mask"))
        blank = np.zeros((len(rgb), 1, 1), np.uint8)
        labels = labelled(np.repeat(blank[..., None], 3, -1), blank, file.tensors, file.names)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    return EncodedPack(labels=without_stale_params(labels, file), rgb=rgb, mask=mask)
