"""What the published data sets have in common: numbered samples read one at a time, checked, and drawn in batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from handviz.crop import CropSpec
from handviz.errors import SourceError
from handviz.records import UInt8Array
from training.data.checks import problem_of
from training.data.pack import STORED_EXPAND, pack_of
from training.data.photo_crop import TooFewJointsError
from training.data.sample import WHOLE, Batch, Sample
from training.pictures import decode_file

# A network's window, 1.5 of the 2 stored extents, is 252 pixels wide: about the input size of the papers' networks. Evaluation
# crops are turned as in the picture: their true joints say where the hand is, not how it is turned.
TRAINING_SPEC = CropSpec(size=336, expand=STORED_EXPAND)
EVALUATION_SPEC = replace(TRAINING_SPEC, upright=False)
SPECS = {"training": TRAINING_SPEC, "evaluation": EVALUATION_SPEC}

_READERS = 4
# Draws without any usable sample before a data set counts as unusable.
_MAX_TRIES = 300


class MissingFileError(SourceError):
    """A file of the data set is missing: it was not fully unpacked, so drawing another sample would not help."""


class Benchmark(Protocol):
    """A published data set: ``len`` samples, each read on demand."""

    name: str

    def __len__(self) -> int: ...

    def sample(self, index: int) -> Sample:
        """Read one sample, cut by ``handviz.crop``. Raises SourceError when its files are missing or damaged.

        Raises TooFewJointsError when its labels give nothing to cut around.
        """
        ...


class BenchmarkSource:
    """Random batches of a data set. Samples that cannot be used are replaced by others, and counted once in ``left_out``."""

    def __init__(self, benchmark: Benchmark, seed: int) -> None:
        self.benchmark = benchmark
        self.left_out: Counter[str] = Counter()
        self._seed = seed
        # For each sample read so far: what is wrong with it, or None.
        self._problem: dict[int, str | None] = {}

    def __len__(self) -> int:
        return len(self.benchmark)

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of ``size`` usable samples; the same step gives the same ones.

        Raises SourceError when a file is missing, or none of many samples is usable.
        """
        read: dict[int, Sample] = {}
        with ThreadPoolExecutor(_READERS) as pool:
            own = self._usable(step, size, read, pool)[rows]
            left = sorted({*own} - {*read})
            read |= zip(left, pool.map(self.benchmark.sample, left), strict=True)
        pack = pack_of([read[i] for i in own])
        return pack.batch(np.arange(len(pack)))

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""

    def _usable(self, step: int, size: int, read: dict[int, Sample], pool: ThreadPoolExecutor) -> list[int]:
        """Return the samples of a batch; those never read before are read into ``read``."""
        rng = np.random.default_rng([self._seed, step])
        chosen: list[int] = []
        tries = 0
        while len(chosen) < size:
            index = rng.integers(len(self.benchmark), size=size - len(chosen)).tolist()
            self._check(sorted({*index} - {*self._problem}), read, pool)
            chosen += [i for i in index if self._problem[i] is None]
            tries += len(index)
            if tries >= _MAX_TRIES and None not in self._problem.values():
                reasons = ", ".join(f"{n} x {reason}" for reason, n in self.left_out.most_common(3))
                raise SourceError(
                    f"{self.benchmark.name}: none of {len(self._problem)} samples can be used ({reasons}). "
                    "Check the data set's folder."
                )
        return chosen

    def _check(self, new: list[int], read: dict[int, Sample], pool: ThreadPoolExecutor) -> None:
        """Read samples never seen before, and note what is wrong with them; usable ones go into ``read``."""
        for i, answer in zip(new, pool.map(self._checked, new), strict=True):
            if isinstance(answer, Sample):
                read[i], self._problem[i] = answer, None
            else:
                self._problem[i] = answer
                self.left_out[answer] += 1

    def _checked(self, index: int) -> Sample | str:
        try:
            return checked_sample(self.benchmark, index)
        except MissingFileError:
            raise
        except SourceError as error:
            return str(error)


def checked_sample(benchmark: Benchmark, index: int) -> Sample | str:
    """Return a sample, or why its labels are unusable. Raises SourceError when its files are missing or damaged."""
    try:
        sample = benchmark.sample(index)
    except TooFewJointsError:
        return "fewer than two labelled joints"
    return problem_of(sample) or sample


def usable_samples(benchmark: Benchmark, left_out: Counter[str], limit: int | None = None) -> Iterator[Sample]:
    """Yield the usable samples in order, or ``limit`` spread evenly; reasons for leaving others out go to ``left_out``.

    Raises SourceError when a sample's files are missing or damaged.
    """
    count = len(benchmark) if limit is None else min(limit, len(benchmark))
    for index in (np.arange(count) * len(benchmark) // max(count, 1)).tolist():
        answer = checked_sample(benchmark, index)
        if isinstance(answer, Sample):
            yield answer
        else:
            left_out[answer] += 1


def read_picture(path: Path, *, grey: bool = False) -> UInt8Array:
    """Return a picture (H, W, 3) RGB, or (H, W) when ``grey``. Raises SourceError naming a missing or damaged file."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such picture. Check that the data set is unpacked here in its published layout.")
    picture = decode_file(path, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    if picture is None:
        raise SourceError(f"{path}: not a readable picture. Download it again.")
    return np.asarray(picture if grey else np.ascontiguousarray(picture[..., ::-1]), np.uint8)


def read_json_list(path: Path) -> list[Any]:
    """Return a JSON list. Raises SourceError naming a missing or damaged file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path}: no such file. Check that the data set is unpacked here in its published layout."
        ) from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not readable as JSON ({error}). Download it again.") from error
    if not isinstance(content, list):
        raise SourceError(f"{path}: not a JSON list. Download it again.")
    return content
