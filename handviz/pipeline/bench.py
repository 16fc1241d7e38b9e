"""Measuring the pipeline on this machine: stage by stage without display, and live against a 30 Hz source."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import psutil

from handviz.capture.base import CameraChoice, SourceSpec
from handviz.capture.open import open_source
from handviz.errors import SourceError
from handviz.pipeline.auto import BEST_FIRST
from handviz.pipeline.config import AUTO, SessionConfig
from handviz.pipeline.session import Session
from handviz.pipeline.step import HandPipeline
from handviz.processor import processor_name
from handviz.records import Frame

# Decoded frames are held in memory, so that the pipeline is timed and not the decoder.
MAX_FRAMES = 600
DISPLAY_HZ = 60.0
LIVE_HZ = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """Milliseconds per stage (median and 95th percentile, over the frames in which it ran), rates, age and memory."""

    hardware: str
    estimator: str
    device: str
    frames: int
    hands_share: float
    stage_ms_p50: Mapping[str, float]
    stage_ms_p95: Mapping[str, float]
    frame_ms_p50: float
    frame_ms_p95: float
    frames_per_s: float
    live_results_per_s: float
    age_ms_p50: float | None
    dropped_share: float
    rss_mb: float

    def as_json(self) -> dict[str, object]:
        """Return one flat object for the report file."""
        flat: dict[str, object] = {f"{name}_ms": ms for name, ms in self.stage_ms_p50.items()}
        flat |= {f"{name}_ms_p95": ms for name, ms in self.stage_ms_p95.items()}
        flat |= {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("stage_ms_p50", "stage_ms_p95")}
        return flat


def bench(source: SourceSpec, config: SessionConfig, live_s: float) -> BenchResult:
    """Measure a recording: live at 30 frames a second, then every frame as fast as it goes.

    Raises SourceError if nothing of it can be read.
    """
    _decode(source, most=1)
    # ``auto`` might switch half way; the estimator that it begins with is measured.
    config = replace(config, estimator=BEST_FIRST[0]) if config.estimator == AUTO else config
    # Live first: its memory use is what a user sees; afterwards decoded frames are held in memory.
    live = _live(source, config, live_s)
    rss_mb = psutil.Process().memory_info().rss / 2**20
    frames, decode_ms = _decode(source)
    stages, frame_ms, found, device = _offline(frames, config)
    stages["decode"] = decode_ms
    return BenchResult(
        hardware=f"{processor_name()}, {psutil.cpu_count()} cores",
        estimator=config.estimator,
        device=device,
        frames=len(frames),
        hands_share=found / max(len(frames), 1),
        stage_ms_p50={name: float(np.median(ms)) for name, ms in stages.items()},
        stage_ms_p95={name: float(np.percentile(ms, 95)) for name, ms in stages.items()},
        frame_ms_p50=float(np.median(frame_ms)),
        frame_ms_p95=float(np.percentile(frame_ms, 95)),
        frames_per_s=len(frame_ms) / (sum(frame_ms) / 1e3),
        live_results_per_s=live[0],
        age_ms_p50=live[1],
        dropped_share=live[2],
        rss_mb=rss_mb,
    )


def _decode(source: SourceSpec, most: int = MAX_FRAMES) -> tuple[list[Frame], list[float]]:
    opened = open_source(source, CameraChoice())
    frames: list[Frame] = []
    times: list[float] = []
    while len(frames) < most:
        start = time.perf_counter()
        frame = opened.read()
        if frame is None:
            break
        times.append((time.perf_counter() - start) * 1e3)
        frames.append(frame)
    opened.release()
    if not frames:
        raise SourceError(f"{source.name}: no picture in it could be read. {' '.join(opened.warnings)}".strip())
    return frames, times


def _offline(frames: list[Frame], config: SessionConfig) -> tuple[dict[str, list[float]], list[float], int, str]:
    pipeline = HandPipeline(config)
    pipeline.process(frames[0])
    pipeline.reset()
    stages: dict[str, list[float]] = {}
    frame_ms: list[float] = []
    found = 0
    for frame in frames:
        start = time.perf_counter()
        result = pipeline.process(frame)
        frame_ms.append((time.perf_counter() - start) * 1e3)
        found += bool(result.hands)
        for name, ms in result.timings_ms.items():
            stages.setdefault(name, []).append(ms)
    device = pipeline.running.device
    pipeline.close()
    return stages, frame_ms, found, device


def _live(source: SourceSpec, config: SessionConfig, seconds: float) -> tuple[float, float | None, float]:
    session = Session(source, config)
    session.start()
    try:
        session.set_loop(True)
        nominal = session.state().fps_nominal or LIVE_HZ
        session.set_speed(LIVE_HZ / nominal)
        while not session.state().ready and session.state().error is None:
            time.sleep(0.02)
        shown = 0
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            shown += session.latest() is not None
            time.sleep(1 / DISPLAY_HZ)
        stats = session.stats()
        elapsed = time.monotonic() - start
    finally:
        session.stop()
    return shown / elapsed, stats.age_ms_p50, stats.dropped / max(shown + stats.dropped, 1)
