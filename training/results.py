"""What a comparison of methods found, as tables and files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from handviz.hand.skeleton import JOINT_NAMES
from handviz.models.checkpoint import write_atomically
from training.answers import Answers
from training.curves import save_pck
from training.data.sample import Batch
from training.metrics import Errors, mean_of
from training.plain_json import json_bytes

Align = Literal["given-root", "given-scale", "best-root-and-scale"]
PROTOCOLS: dict[Align, str] = {
    "given-root": "EPE and AUC with the true root depth and hand scale given",
    "given-scale": "EPE and AUC with the true hand scale given, the root depth found by the scale bone",
    "best-root-and-scale": "EPE and AUC after fitting the best root and scale to the labelled joints",
}

# How crops were turned: upright by the true joints, upright by what the method itself found at a first look, or not at all.
Cut = Literal["given", "found", "never"]
CUTS: dict[Cut, str] = {
    "given": "Crops stand upright by the true joints",
    "found": "Crops stand upright by the method's own first answer",
    "never": "Crops stand as the pictures do, each seen once",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Errors of each method on the same samples, with what they are grouped by; ``crops`` as in ``labelled_crops``."""

    errors: dict[str, Errors]
    answers: dict[str, Answers]
    meshes: dict[str, dict[str, float]]
    crops: Batch
    align: Align
    cut: Cut
    views: tuple[str, ...]
    sources: tuple[str, ...]


def table(result: Comparison) -> str:
    """Return the results as Markdown: methods as columns, then PA-MPJPE and 2D errors by source, view and joint."""
    names = list(result.errors)
    lines = [
        f"{len(result.views)} hands. {PROTOCOLS[result.align]}. {CUTS[result.cut]}.",
        "",
        _row(["", *names]),
        _row(["---"] * (len(names) + 1)),
    ]
    summaries = [result.errors[name].summary() for name in names]
    lines += [_row([metric, *(_number(s[metric]) for s in summaries)]) for metric in summaries[0]]
    for metric in next(iter(result.meshes.values()), {}):
        lines.append(_row([metric, *(_number(result.meshes.get(n, {}).get(metric, float("nan"))) for n in names)]))
    bare = [result.answers[name].without_mesh for name in names]
    if any(bare):
        lines.append(_row(["hands without a mesh, not in the rows above", *map(str, bare)]))
    lost = {name: int(np.isinf(result.errors[name].px).any(-1).sum()) for name in names}
    if any(lost.values()):
        lines.append(_row(["hands with a non-finite answer", *(str(lost[name]) for name in names)]))
    lines.append(_row(["ms a crop (batches of 32)", *(f"{result.answers[name].ms:.1f}" for name in names)]))
    for title, groups in (("source", result.sources), ("view", result.views)):
        if len(set(groups)) > 1:
            lines += ["", *_by_group(title, groups, result)]
    lines += ["", *_by_joint(result)]
    return "\n".join(lines)


def _by_group(title: str, groups: Sequence[str], result: Comparison) -> list[str]:
    names = list(result.errors)
    lines = [_row([title, "hands", *(f"{n}: PA mm / 2D px" for n in names)]), _row(["---"] * (len(names) + 2))]
    for group in sorted(set(groups)):
        rows = np.flatnonzero(np.array(groups) == group)
        cells = [_pair(result.errors[name].take(rows)) for name in names]
        lines.append(_row([group or "(none)", str(len(rows)), *cells]))
    return lines


def _by_joint(result: Comparison) -> list[str]:
    names = list(result.errors)
    lines = [_row(["joint", *(f"{n}: PA mm / 2D px" for n in names)]), _row(["---"] * (len(names) + 1))]
    for j, joint in enumerate(JOINT_NAMES):
        cells = [
            f"{_number(mean_of(result.errors[n].procrustes_mm[:, j]))} / {_number(mean_of(result.errors[n].px[:, j]))}"
            for n in names
        ]
        lines.append(_row([joint, *cells]))
    return lines


def _pair(errors: Errors) -> str:
    return f"{_number(mean_of(errors.procrustes_mm))} / {_number(mean_of(errors.px))}"


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}" if value < 2 else f"{value:.1f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def write_results(folder: Path, result: Comparison, text: str) -> None:
    """Write the table, the numbers as JSON (``null`` for one that is not finite), errors of each sample as CSV, and PCK curves.

    Raises OutputError.
    """
    write_atomically(folder / "results.md", (text + "\n").encode())
    numbers = {
        name: {**errors.summary(), **result.meshes.get(name, {}), "ms a crop": result.answers[name].ms}
        for name, errors in result.errors.items()
    }
    write_atomically(folder / "results.json", json_bytes(numbers))
    write_atomically(folder / "samples.csv", _samples_csv(result).encode())
    found = result.errors.items()
    save_pck(folder / "pck_epe", {name: errors.epe_mm for name, errors in found}, PROTOCOLS[result.align])
    save_pck(folder / "pck_procrustes", {name: errors.procrustes_mm for name, errors in found}, "PA: each hand aligned")


def _samples_csv(result: Comparison) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["sample", "source", "view", *(f"{n} {what}" for n in result.errors for what in ("PA mm", "2D px"))])
    for i, (source, view) in enumerate(zip(result.sources, result.views, strict=True)):
        cells = [f"{mean_of(v[i]):.3f}" for e in result.errors.values() for v in (e.procrustes_mm, e.px)]
        writer.writerow([i, source, view, *cells])
    return buffer.getvalue()
