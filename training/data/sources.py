"""Where batches come from: packs in memory, mixed by shares. Batch number ``step`` depends on the seed and ``step`` alone.

Names that recipes may use, looked up below one data folder (``--data``, by default ``out/data``):

- ``rendered``: every folder ``rendered*`` of packs written by ``training synthesize``;
- ``rendered-live``: hands rendered while training, with ``panoramas``, ``rigged_hand`` and ``photos/train.safetensors`` below
  the data folder if they exist: in batches on the GPU that trains, else by all CPU cores but one.
  ``rendered-live:batched`` and ``rendered-live:processes`` choose one of the two on any device;
- ``photos``: ``photos/train.safetensors``, written by ``training label``;
- ``freihand``, ``rhd``, ``stb``: the published data set in a folder of that name, its training split; for evaluation
  also ``rhd:evaluation`` and so on, and ``dexter-object``; ``stb:training:SK_color`` names another of STB's cameras;
- ``test-rendered``: a folder that holds the fixed rendered test set, whose gestures, panoramas and skin pictures are never
  trained on: ``training synthesize --test --count 2000 --seed 777 --out out/data/test-rendered`` with the assets' folders;
- ``test-webcam``: the same for ordinary webcam pictures: ``training synthesize --test --webcam --count 1000 --seed 778``;
- ``photos/heldout.safetensors``: the fixed real test set, whole rooms and persons that ``training label`` keeps apart;
- anything else: the path of a pack or of a folder of packs, as given if it exists, else below the data folder.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from handviz.errors import SourceError
from handviz.geometry.camera import FloatArray
from training.data.benchmarks import is_benchmark, open_benchmark
from training.data.benchmarks.base import BenchmarkSource, usable_samples
from training.data.benchmarks.dexter_object import DexterObject
from training.data.encoded import EncodedPack, read_encoded
from training.data.labelling.names import TRAIN_NAME
from training.data.pack import Pack, SampleNames, join, pack_of, read_pack
from training.data.photo_crop import DOUBTFUL
from training.data.resident import ResidentPack, decoded_onto, has_room
from training.data.sample import WHOLE, Batch, enlarged
from training.data.synth.batched.source import BatchedSource
from training.data.synth.command import Assets, SynthesisJob
from training.data.synth.live import LiveSource
from training.recipes.records import DataPart

CPU = torch.device("cpu")
LIVE = "rendered-live"
# What counts as an epoch of samples that never repeat.
_LIVE_EPOCH = 100_000
# How many reasons are listed for a data set's left-out samples.
_REASONS = 6


class Drawn(Protocol):
    """A source of a batch for each step; the trainer's ``BatchSource``."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of the ``size`` samples of batch number ``step``, pictures uint8."""
        ...

    def close(self) -> None:
        """Stop background work."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackSource:
    """Samples of a pack, drawn with replacement by weight (N,) that sums to one."""

    pack: EncodedPack | ResidentPack
    weight_N: FloatArray
    seed: int

    def __len__(self) -> int:
        return len(self.pack)

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of ``size`` samples; the same step gives the same ones."""
        rng = np.random.default_rng([self.seed, step])
        return self.pack.batch(rng.choice(len(self.pack), size, p=self.weight_N)[rows])

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedSource:
    """Several sources in one batch on one device, by share; the sources that get a batch's remainder change with the step."""

    sources: Sequence[Drawn]
    shares: tuple[float, ...]
    device: torch.device = CPU

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources)

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of ``size`` samples, source after source."""
        counts = _counts(self.shares, step, size)
        starts = [0, *itertools.accumulate(counts)]
        parts = [(s, n, _rows_within(rows, a, n)) for s, n, a in zip(self.sources, counts, starts, strict=False)]
        return concatenate([s.draw(step, n, own).to(self.device) for s, n, own in parts if len(range(n)[own])])

    def close(self) -> None:
        """Stop background work."""
        for source in self.sources:
            source.close()


def open_source(parts: Sequence[DataPart], folder: Path, seed: int, device: torch.device = CPU) -> Drawn:
    """Open the sources of a mixture, their batches on ``device``; on a GPU with room, pictures are decoded once and kept there.

    Raises SourceError that names what is missing and how to make it.
    """
    if not parts:
        raise SourceError("the recipe names no data. Give it at least one source.")
    opened = [_open(part.source, folder, seed + i, device) for i, part in enumerate(parts)]
    if len(opened) == 1:
        return opened[0]
    return MixedSource(sources=opened, shares=tuple(part.share for part in parts), device=device)


def _open(name: str, folder: Path, seed: int, device: torch.device) -> Drawn:
    if is_benchmark(name):
        if name.partition(":")[0] == DexterObject.name:
            raise SourceError(f"{name}: all of it is for evaluation, never to be trained on. Name another data set.")
        if ":evaluation" in name:
            raise SourceError(f"{name}: is for evaluation, never to be trained on. Name a training split.")
        return BenchmarkSource(open_benchmark(name, folder), seed)
    if is_live(name):
        batched = name.endswith(":batched") or (name == LIVE and device.type == "cuda")
        return BatchedSource(_live_job(folder, seed), device) if batched else LiveSource(_live_job(folder, seed))
    pack = read_encoded(_pack_paths(name, folder))
    resident = decoded_onto(pack, device) if device.type == "cuda" and has_room(pack, device) else pack
    return PackSource(pack=resident, weight_N=source_weights(pack.names), seed=seed)


def is_live(name: str) -> bool:
    """Say whether a source renders its samples on demand. Raises SourceError for an unknown way to do so."""
    kind, _, way = name.partition(":")
    if kind == LIVE and way not in ("", "batched", "processes"):
        raise SourceError(f"{name}: unknown way to render. Give {LIVE}, {LIVE}:batched or {LIVE}:processes.")
    return kind == LIVE


def _live_job(folder: Path, seed: int) -> SynthesisJob:
    panoramas, rigged, photos = folder / "panoramas", folder / "rigged_hand", folder / "photos" / TRAIN_NAME
    assets = Assets(
        panoramas=panoramas if panoramas.is_dir() else None,
        rigged_hand=rigged if rigged.is_dir() else None,
        photos=photos if photos.is_file() else None,
    )
    return SynthesisJob(count=_LIVE_EPOCH, seed=seed, assets=assets)


def read_source(name: str, folder: Path, limit: int | None = None) -> Pack:
    """Read the packs that a name stands for; of a published data set at most ``limit`` samples, spread evenly.

    Raises SourceError when there are none, and for a source that renders.
    """
    if is_benchmark(name):
        return _read_benchmark(name, folder, limit)
    if is_live(name):
        raise SourceError(
            f"{name}: renders new hands without end, for training and previews. Name a pack, such as test-rendered."
        )
    return join([read_pack(path) for path in _pack_paths(name, folder)])


def _pack_paths(name: str, folder: Path) -> list[Path]:
    if name == "photos":
        return [folder / "photos" / TRAIN_NAME]
    if name == "rendered":
        found = sorted(p for p in folder.glob("rendered*") if p.is_dir() and any(p.glob("*.safetensors")))
        if not found:
            raise SourceError(
                f"{folder}: no rendered hands. Make some: training synthesize --count 30000 --out {folder / 'rendered'}"
            )
        return found
    # An existing path is used as it is; joining leaves an absolute one unchanged.
    return [Path(name) if Path(name).exists() else folder / name]


def _read_benchmark(name: str, folder: Path, limit: int | None) -> Pack:
    left_out: Counter[str] = Counter()
    samples = list(usable_samples(open_benchmark(name, folder), left_out, limit))
    if not samples:
        raise SourceError(
            f"{name} in {folder}: no sample can be used ({', '.join(left_out) or 'it is empty'}). Check the download."
        )
    if left_out:
        print(_left_out_line(name, left_out), file=sys.stderr)
    return pack_of(samples)


def left_out_lines(source: Drawn) -> list[str]:
    """Return a line for each published data set of a mixture of which unusable samples were drawn."""
    if isinstance(source, MixedSource):
        return [line for part in source.sources for line in left_out_lines(part)]
    if isinstance(source, BenchmarkSource) and source.left_out:
        return [_left_out_line(source.benchmark.name, source.left_out)]
    return []


def _left_out_line(name: str, left_out: Counter[str]) -> str:
    """Return how many samples were left out, and the most frequent reasons; for damaged files, a reason names the file."""
    reasons = [f"{n} x {reason}" for reason, n in left_out.most_common(_REASONS)]
    more = ["..."] if len(left_out) > _REASONS else []
    return f"{name}: left out {left_out.total()} samples: {', '.join(reasons + more)}"


def source_weights(names: SampleNames) -> FloatArray:
    """Return how often each sample is drawn (N,): a folder of photographs counts by the square root of its size.

    So one large folder of similar pictures does not drown out small and varied ones. Its doubtful hands, which are the hard
    ones, count as a separate folder. All rendered hands count as one folder, in the proportions in which they were rendered.
    """
    folders = ["rendered" if source.startswith("rendered/") else source for source in names.source]
    kinds = [(folder, view == DOUBTFUL) for folder, view in zip(folders, names.view, strict=True)]
    size = Counter(kinds)
    weight = np.array([size[kind] ** -0.5 for kind in kinds])
    return np.asarray(weight / weight.sum())


def _counts(shares: Sequence[float], step: int, size: int) -> list[int]:
    """Split a batch by shares; the rest goes to sources drawn by their remainders."""
    wanted = np.array(shares) / sum(shares) * size
    counts = np.floor(wanted + 1e-9).astype(int)
    left = size - int(counts.sum())
    if left:
        remainder = np.clip(wanted - counts, 1e-9, None)
        picked = np.random.default_rng(step).choice(len(counts), left, p=remainder / remainder.sum())
        counts += np.bincount(picked, minlength=len(counts))
    return [int(n) for n in counts]


def _rows_within(rows: slice, start: int, count: int) -> slice:
    """Return ``rows``, given for the full batch, as rows of its part of ``count`` samples from row ``start`` on."""
    first, step = rows.start or 0, rows.step or 1
    return slice((first - start) % step if first < start else first - start, None, step)


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Concatenate batches, at the largest picture size: published sets are stored larger than rendered hands."""
    if len(batches) == 1:
        return batches[0]
    size = max(batch.rgb_B3SS.shape[-1] for batch in batches)
    same = [enlarged(batch, size) for batch in batches]
    return Batch(**{f.name: torch.cat([getattr(b, f.name) for b in same]) for f in fields(Batch)})
