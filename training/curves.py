"""PCK curves as a picture and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from handviz.errors import HandvizError
from handviz.geometry.camera import FloatArray
from handviz.models.checkpoint import write_atomically
from training.metrics import auc, pck

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THRESHOLDS_MM = np.linspace(0, 50, 101)
LEGEND_CHARS = 48
_KEPT_BEFORE = 15
_KEPT_BEHIND = LEGEND_CHARS - _KEPT_BEFORE - 1


def save_pck(stem: Path, errors_mm: Mapping[str, FloatArray], title: str) -> None:
    """Write ``stem.csv`` and ``stem.png``: the share of joints within each threshold, by method. Raises OutputError."""
    curves = {name: pck(errors, THRESHOLDS_MM) for name, errors in errors_mm.items()}
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["threshold_mm", *curves])
    writer.writerows(zip(THRESHOLDS_MM.tolist(), *(c.tolist() for c in curves.values()), strict=True))
    write_atomically(stem.with_suffix(".csv"), buffer.getvalue().encode())
    short = dict(zip(errors_mm, short_names(list(errors_mm)), strict=True))
    labels = {name: f"{short[name]} (AUC {auc(errors, THRESHOLDS_MM):.3f})" for name, errors in errors_mm.items()}
    write_atomically(stem.with_suffix(".png"), _picture(curves, labels, title))


def short_names(names: Sequence[str]) -> list[str]:
    """Return methods' names without the middle of long weights paths, which would leave no room for the curves.

    Names that become equal are numbered.
    """
    short = [name if len(name) <= LEGEND_CHARS else f"{name[:_KEPT_BEFORE]}…{name[-_KEPT_BEHIND:]}" for name in names]
    return [f"{i}: {name}" if short.count(name) > 1 else name for i, name in enumerate(short, 1)]


def _picture(curves: Mapping[str, FloatArray], labels: Mapping[str, str], title: str) -> bytes:
    axes = new_axes(6, 4.2)
    for name, curve in curves.items():
        axes.plot(THRESHOLDS_MM, curve, label=labels[name], linewidth=2)
    axes.set(xlim=(0, 50), ylim=(0, 1), xlabel="threshold (mm)", ylabel="share of joints (PCK)", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return png_of(axes)


def new_axes(width_in: float, height_in: float) -> Axes:
    """Return the axes of a new figure of this size in inches. Raises HandvizError where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise HandvizError("plotting curves needs matplotlib. Install it with: pip install 'handviz[train]'") from error
    return Figure(figsize=(width_in, height_in), layout="constrained").add_subplot()


def png_of(axes: Axes) -> bytes:
    """Return the figure of these axes as a PNG."""
    buffer = io.BytesIO()
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
