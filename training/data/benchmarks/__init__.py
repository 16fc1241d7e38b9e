"""The published data sets that papers are compared on, read in their published layouts.

They are named ``rhd``, ``rhd:evaluation`` and so on; without a split, the training split is meant. STB's pictures are those of
``BB_left`` unless another camera is named: ``stb:evaluation:SK_color``. ``dexter-object`` has no splits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from handviz.errors import SourceError
from training.data.benchmarks.base import Benchmark
from training.data.benchmarks.dexter_object import DexterObject
from training.data.benchmarks.freihand import FreiHand
from training.data.benchmarks.rhd import Rhd
from training.data.benchmarks.stb import VIEWS, Stb

Split = Literal["training", "evaluation"]

BENCHMARKS: dict[str, Callable[[Path, Split], Benchmark]] = {
    "freihand": FreiHand,
    "rhd": Rhd,
    "stb": Stb,
    "dexter-object": lambda folder, _split: DexterObject(folder),
}
_SPLITS: Final[dict[str, Split]] = {"training": "training", "evaluation": "evaluation"}


def is_benchmark(name: str) -> bool:
    """Say whether a source's name is that of a published data set, whatever its split."""
    return name.partition(":")[0] in BENCHMARKS


def for_evaluation(name: str) -> str:
    """Return a source's name with the split that is scored: ``rhd`` becomes ``rhd:evaluation``, all others stay."""
    return f"{name}:evaluation" if name in BENCHMARKS else name


def stands_upright(name: str) -> bool:
    """Say whether a source's crops are turned upright by their true joints: all are, except published sets' evaluation splits."""
    return not (is_benchmark(name) and ":evaluation" in name)


def open_benchmark(name: str, folder: Path) -> Benchmark:
    """Open a data set below the data folder by its name. Raises SourceError for an unknown name or a missing file."""
    kind, *words = name.split(":")
    split, view, *more = [*(words or ["training"]), ""]
    if split not in _SPLITS or any(more):
        raise SourceError(f"{name}: unknown split. Give {kind}, {kind}:training or {kind}:evaluation.")
    if not view:
        return BENCHMARKS[kind](folder / kind, _SPLITS[split])
    if kind != Stb.name or view not in VIEWS:
        raise SourceError(f"{name}: unknown view. Only stb has views: stb:{split}: followed by one of {', '.join(VIEWS)}.")
    return Stb(folder / kind, _SPLITS[split], VIEWS[view])
