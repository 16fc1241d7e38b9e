"""The interface of estimators: a batch of crops in, one answer per crop out, in the full camera's frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from handviz.crop import CropSpec
from handviz.errors import HandvizError
from handviz.geometry.camera import FloatArray
from handviz.hand.hand_file import NUM_SHAPE
from handviz.hand.library import DEFAULT_HAND
from handviz.models.weights_files import FileVersion
from handviz.records import CropResult, HandCrop

# The rest of the work, to be called once, from any thread: returns the complete answers in the same order.
Finish = Callable[[], list[CropResult]]
DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatorOptions:
    """What a user may choose about an estimator.

    ``hand_scale_m`` is the palm length (wrist to middle MCP) in metres; ``hand_shape`` ten shape values to use
    instead of estimating them. ``want_heatmaps`` requests heatmaps and the mask, ``want_features`` feature maps.
    ``weights_version`` tells weights from earlier ones in the same file. ``live`` says that somebody is waiting: an
    estimator may trade a hundredth of its accuracy for speed.
    """

    device: DeviceName = "auto"
    hand_model: str = DEFAULT_HAND
    hand_scale_m: float | None = None
    hand_shape: tuple[float, ...] | None = None
    want_heatmaps: bool = False
    want_features: bool = False
    refine_iterations: int = 0
    weights: Path | None = None
    weights_version: FileVersion | None = None
    live: bool = False

    @property
    def network(self) -> tuple[object, ...]:
        """Which network runs, and where."""
        return self.device, self.weights, self.weights_version

    @property
    def fixed(self) -> tuple[object, ...]:
        """The options that no estimator can take over while running."""
        return *self.network, self.hand_model, self.live


def held_shape(options: EstimatorOptions) -> FloatArray | None:
    """Return the shape (10,) to use, None if it is to be estimated. Raises HandvizError for anything else."""
    if options.hand_shape is None:
        return None
    shape = np.array(options.hand_shape, float)
    if shape.shape != (NUM_SHAPE,) or not np.isfinite(shape).all():
        raise HandvizError(f"a hand's shape must be {NUM_SHAPE} finite numbers, not {options.hand_shape}. Hold the shape again.")
    return shape


class Estimator(Protocol):
    """A batch of crops in, records out.

    ``estimate`` gets crops made by ``crop_spec`` and, for each, the id of the track it belongs to (None for a hand that
    was just found or a still picture), so that an estimator may start from its last answer for that track.
    It answers in the same order. ``forget`` drops what was kept for a track.
    """

    @property
    def name(self) -> str:
        """Name on the command line and in results."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, for the status line: cpu or a GPU's name."""
        ...

    @property
    def crop_spec(self) -> CropSpec:
        """The crops it wants."""
        ...

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate joints (and a mesh) in each crop."""
        ...

    def forget(self, track_id: int) -> None:
        """Drop what was kept for a lost track."""
        ...


@runtime_checkable
class Adjustable(Protocol):
    """An estimator that can take over some other options while running, without loading anything again."""

    def adjust(self, options: EstimatorOptions) -> bool:
        """Use these options from the next crop on; False, and nothing changes, if another estimator must be built."""
        ...


@runtime_checkable
class Glancing(Protocol):
    """An estimator that takes several looks at a still picture, or refines the first answer."""

    def glance(self, crops: Sequence[HandCrop]) -> list[CropResult]:
        """Return the first look's answers only: enough to choose among many crops."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """An estimator that can answer before it is finished, so that a live view need not wait for it."""

    def estimate_quickly(
        self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]
    ) -> tuple[list[CropResult], Finish | None]:
        """Like ``estimate``, but with the first steps only; also return the rest of the work, None if nothing is left.

        That may be done late or never: results for tracks that were forgotten since, or with other
        options, are returned but not used for later crops.
        """
        ...


@runtime_checkable
class Grouping(Protocol):
    """An estimator whose network learned which joints belong together."""

    @property
    def selector_JK(self) -> FloatArray:
        """The probability (21, K) that a group answers for a joint; rows sum to 1 (Li et al. 2021, Eq. 7)."""
        ...
