"""The published data sets that papers are compared on, read in their published layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from training.data.benchmarks.base import Benchmark
from training.data.benchmarks.dexter_object import DexterObject
from training.data.benchmarks.freihand import FreiHand
from training.data.benchmarks.rhd import Rhd
from training.data.benchmarks.stb import Stb

Split = Literal["training", "evaluation"]

BENCHMARKS: dict[str, Callable[[Path, Split], Benchmark]] = {
    "freihand": FreiHand,
    "rhd": Rhd,
    "stb": Stb,
    "dexter-object": lambda folder, _split: DexterObject(folder),
}
