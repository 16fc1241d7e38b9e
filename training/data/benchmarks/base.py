"""What the published data sets have in common: numbered samples read one at a time, checked, and drawn in batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from handviz.errors import SourceError
from handviz.records import UInt8Array
from training.data.checks import problem_of
from training.data.pack import pack_of
from training.data.sample import Batch, Sample

_READERS = 4
# Draws of one batch before a data set counts as unusable.
_MAX_ROUNDS = 5


class Benchmark(Protocol):
    """A published data set: ``len`` samples, each read on demand."""

    name: str

    def __len__(self) -> int: ...

    def sample(self, index: int) -> Sample:
        """Read one sample, cut by ``handviz.crop``. Raises SourceError when its files are missing or damaged."""
        ...


class BenchmarkSource:
    """Random batches of a data set; samples that can not be used are replaced by others and counted in ``left_out``."""

    def __init__(self, benchmark: Benchmark, seed: int) -> None:
        self.benchmark = benchmark
        self.left_out: Counter[str] = Counter()
        self._seed = seed

    def __len__(self) -> int:
        return len(self.benchmark)

    def draw(self, step: int, size: int) -> Batch:
        """Return ``size`` usable samples; the same step gives the same ones. Raises SourceError when hardly any is usable."""
        rng = np.random.default_rng([self._seed, step])
        samples: list[Sample] = []
        for _ in range(_MAX_ROUNDS):
            index = rng.integers(len(self.benchmark), size=size - len(samples))
            with ThreadPoolExecutor(_READERS) as pool:
                read = list(pool.map(self._checked, index.tolist()))
            samples += [s for s in read if isinstance(s, Sample)]
            self.left_out.update(s for s in read if isinstance(s, str))
            if len(samples) == size:
                pack = pack_of(samples)
                return pack.batch(np.arange(size))
        reasons = ", ".join(f"{n} x {reason}" for reason, n in self.left_out.most_common(3))
        raise SourceError(f"{self.benchmark.name}: hardly any sample can be used ({reasons}). Check the data set's folder.")

    def _checked(self, index: int) -> Sample | str:
        try:
            sample = self.benchmark.sample(index)
        except SourceError as error:
            return str(error)
        return problem_of(sample) or sample


def usable_samples(benchmark: Benchmark, left_out: Counter[str], limit: int | None = None) -> Iterator[Sample]:
    """Yield the usable samples in order, or ``limit`` spread evenly; reasons for leaving others out go to ``left_out``."""
    step = 1 if limit is None else max(1, len(benchmark) // max(limit, 1))
    for index in list(range(0, len(benchmark), step))[:limit]:
        sample = benchmark.sample(index)
        problem = problem_of(sample)
        if problem is None:
            yield sample
        else:
            left_out[problem] += 1


def read_picture(path: Path, *, grey: bool = False) -> UInt8Array:
    """Return a picture (H, W, 3) RGB, or (H, W) when ``grey``. Raises SourceError naming a missing or damaged file."""
    if not path.is_file():
        raise SourceError(f"{path}: no such picture. Check that the data set is unpacked here in its published layout.")
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    if picture is None:
        raise SourceError(f"{path}: not a readable picture. Download it again.")
    return np.asarray(picture if grey else np.ascontiguousarray(picture[..., ::-1]), np.uint8)


def read_json_list(path: Path) -> list[Any]:
    """Return a JSON list. Raises SourceError naming a missing or damaged file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file. Check that the data set is unpacked here in its published layout.") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not readable as JSON ({error}). Download it again.") from error
    if not isinstance(content, list):
        raise SourceError(f"{path}: holds no list. Download it again.")
    return content
