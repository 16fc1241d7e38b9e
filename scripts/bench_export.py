"""Measure drawing, recording and export: ``python scripts/bench_export.py [--json FILE]``. Medians; the device is named."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from handviz.export.annotate import AnnotateStyle, annotate
from handviz.export.formats import convert, open_exporter
from handviz.export.jsonl import JsonlWriter
from handviz.export.poses import pose_frame
from handviz.export.video import VideoWriter
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.model import load_hand_model
from handviz.processor import processor_name
from handviz.records import Frame, FrameResult, HandEstimate, HandJoints, HandMesh, HandParams

CONVERTED_FRAMES = 3000


def median_ms(work: Callable[[], object], *, repeats: int = 60, warm_up: int = 5) -> float:
    """Return the median time of ``work`` in milliseconds."""
    times = []
    for k in range(warm_up + repeats):
        start = time.perf_counter()
        work()
        if k >= warm_up:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def posed_hand(width: int, height: int) -> FrameResult:
    """Return a result with one hand and its mesh in front of a noisy picture."""
    model, camera = load_hand_model(), camera_from_fov(width, height)
    pose = np.zeros(45)
    pose[2::3] = 0.35
    params = HandParams(
        pose=pose, shape=np.zeros(10), root_rotation=np.array([1.2, 1.2, -1.2]), translation_m=np.array([0.0, 0.0, 0.4])
    )
    values = (params.pose, params.shape, params.root_rotation, np.array(params.scale), params.translation_m)
    placed = model.forward(*(torch.as_tensor(value, dtype=model.dtype)[None] for value in values))
    joints = placed.joints_BJ3[0].double().numpy()
    pixels = project(joints, camera.K)
    hand = HandEstimate(
        track_id=1,
        side="right",
        score=0.97,
        box_xyxy_px=np.concatenate([pixels.min(0), pixels.max(0)]),
        joints=HandJoints(joints_camera_m=joints, joints_px=pixels, confidence=np.ones(21)),
        mesh=HandMesh(
            vertices_camera_m=placed.vertices_BV3[0].double().numpy(),
            faces=model.faces_F3.numpy(),
            params=params,
            silhouette_iou=None,
        ),
    )
    rgb = np.random.default_rng(0).normal(120, 12, (height, width, 3)).clip(0, 255).astype(np.uint8)
    frame = Frame(index=0, t_capture_s=0.0, t_arrival_s=0.0, rgb=rgb, camera=camera)
    return FrameResult(frame=frame, hands=(hand,))


def drawing_numbers() -> dict[str, float]:
    """Return times of drawing one hand, with and without its mesh."""
    numbers = {}
    for name, size in (("480p", (640, 480)), ("1080p", (1920, 1080))):
        result = posed_hand(*size)
        bare = AnnotateStyle(mesh=False)
        numbers[f"annotate_{name}_ms"] = median_ms(lambda r=result, s=bare: annotate(r.frame.rgb, r, s))  # type: ignore[misc]
        numbers[f"annotate_mesh_{name}_ms"] = median_ms(lambda r=result: annotate(r.frame.rgb, r))  # type: ignore[misc]
    return numbers


def writing_numbers(folder: Path) -> dict[str, float]:
    """Return times of writing one frame, and of making the other formats from a recording."""
    result = posed_hand(640, 480)
    clock = iter(np.arange(1_000_000) / 30)
    with VideoWriter(folder / "a.mp4") as video, JsonlWriter(folder / "a.jsonl") as lines:
        numbers = {
            "video_480p_ms": median_ms(lambda: video.write(result.frame.rgb, float(next(clock)))),
            "jsonl_line_ms": median_ms(lambda: lines.write(result)),
        }
        numbers["video_480p_bytes_per_frame"] = video.bytes_written / video.frames
    with JsonlWriter(folder / "b.jsonl") as lines:
        frame = pose_frame(result)
        for i in range(CONVERTED_FRAMES):
            lines.write(replace(frame, index=i, t_s=i / 30))
    for name in ("csv", "npz", "glb", "bvh"):
        start = time.perf_counter()
        convert(folder / "b.jsonl", folder / f"b.{name}")
        numbers[f"convert_{name}_ms_per_frame"] = (time.perf_counter() - start) * 1e3 / CONVERTED_FRAMES
    meshes = open_exporter(folder / "c.obj")
    numbers["obj_ms_per_frame"] = median_ms(lambda: meshes.write(frame), repeats=20)
    meshes.close()
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numbers = drawing_numbers() | writing_numbers(Path(folder))
    report = {"device": f"{processor_name()}, {os.cpu_count()} cores"} | {
        name: round(value, 3) for name, value in numbers.items()
    }
    for name, value in report.items():
        print(f"{name:32} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
