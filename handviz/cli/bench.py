"""``handviz bench``: how fast each stage is on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from handviz.cli.options import session_config, source_or_clip
from handviz.errors import OutputError
from handviz.export.files import check_writable
from handviz.pipeline.bench import BenchResult, bench


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a table, and write JSON if asked."""
    if arguments.json is not None:
        check_writable(arguments.json)
    result = bench(source_or_clip(arguments.source), session_config(arguments), arguments.seconds)
    print_table(result)
    if arguments.json is not None:
        write_json(arguments.json, result.as_json())
    return 0


def print_table(result: BenchResult) -> None:
    """Print the medians and 95th percentiles."""
    print(f"{result.hardware}; estimator {result.estimator} on {result.device}; {result.frames} frames")
    print(f"{'stage':<12}{'median ms':>12}{'95 % ms':>12}")
    for name in sorted(result.stage_ms_p50):
        print(f"{name:<12}{result.stage_ms_p50[name]:>12.2f}{result.stage_ms_p95[name]:>12.2f}")
    print(f"{'frame':<12}{result.frame_ms_p50:>12.2f}{result.frame_ms_p95:>12.2f}")
    age = "-" if result.age_ms_p50 is None else f"{result.age_ms_p50:.0f} ms"
    print(f"without display {result.frames_per_s:.1f} frames/s, hands in {result.hands_share:.1%} of frames")
    print(f"live at 30 Hz   {result.live_results_per_s:.1f} results/s, picture age {age}, dropped {result.dropped_share:.1%}")
    print(f"memory          {result.rss_mb:.0f} MB resident")


def write_json(path: Path, values: dict[str, object]) -> None:
    """Write a flat JSON object. Raises OutputError where the file cannot be written."""
    try:
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}). Choose another place") from error
