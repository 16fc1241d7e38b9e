"""PCK curves as a picture and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from handviz.errors import HandvizError
from handviz.geometry.camera import FloatArray
from handviz.models.checkpoint import write_atomically
from training.metrics import auc, pck

THRESHOLDS_MM = np.linspace(0, 50, 101)
_TITLES = {"epe": "error at the true root depth and scale", "procrustes": "error after Procrustes alignment"}


def save_pck(stem: Path, errors_mm: Mapping[str, FloatArray], kind: str) -> None:
    """Write ``stem.csv`` and ``stem.png``: the share of joints within each threshold, a line a method. Raises OutputError."""
    curves = {name: pck(errors, THRESHOLDS_MM) for name, errors in errors_mm.items()}
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["threshold_mm", *curves])
    writer.writerows(zip(THRESHOLDS_MM.tolist(), *(c.tolist() for c in curves.values()), strict=True))
    write_atomically(stem.with_suffix(".csv"), buffer.getvalue().encode())
    labels = {name: f"{name} (AUC {auc(errors, THRESHOLDS_MM):.3f})" for name, errors in errors_mm.items()}
    write_atomically(stem.with_suffix(".png"), _picture(curves, labels, _TITLES.get(kind, kind)))


def _picture(curves: Mapping[str, FloatArray], labels: Mapping[str, str], title: str) -> bytes:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise HandvizError("pictures of curves need matplotlib. Install it with: pip install 'handviz[train]'") from error
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot(THRESHOLDS_MM, curve, label=labels[name], linewidth=2)
    axes.set(xlim=(0, 50), ylim=(0, 1), xlabel="threshold (mm)", ylabel="share of joints (PCK)", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
