"""Labelling folders of photographs in several processes."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handviz.errors import SourceError
from handviz.geometry.camera import camera_from_fov
from handviz.records import HandDetection, UInt8Array
from training.data.labelling.consistency import ConsistencyLimits, camera_for_hand, label_hand, placed_in
from training.data.labelling.judge import Judge, make_judge
from training.data.labelling.negatives import negative_samples
from training.data.photo_crop import DOUBTFUL, cut_sample
from training.data.sample import Sample
from training.data.splits import split_key
from training.pictures import decode_file
from training.workers import begin_worker, pool_size

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledPicture:
    """What one picture gave: its samples and, for the report, why hands were left out."""

    samples: tuple[Sample, ...]
    outcome: Counter[str]


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder and its sub-folders, sorted. Raises SourceError when there are none."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: {'is a file' if folder.exists() else 'no such folder'}. Give a folder of photographs.")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise SourceError(
            f"{folder}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}) in this folder or below it. Give another one."
        )
    return found


def label_folders(folders: Sequence[Path], *, workers: int) -> Iterator[LabelledPicture]:
    """Yield what each picture of the folders gives. A folder's name is its samples' source."""
    tasks = [(path, folder.name) for folder in folders for path in pictures_in(folder)]
    if workers <= 1:
        _start_worker()
        yield from map(_label_picture, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(pool_size(workers), initializer=_start_worker) as pool:
        yield from pool.imap(_label_picture, tasks, chunksize=16)


_judge_of_process: Judge | None = None


def _start_worker() -> None:
    global _judge_of_process  # one set of networks per process
    begin_worker()
    _judge_of_process = make_judge()


def _label_picture(task: tuple[Path, str]) -> LabelledPicture:
    path, source = task
    if _judge_of_process is None:
        raise RuntimeError("the worker was not started")
    picture = decode_file(path)
    if picture is None:
        return LabelledPicture(samples=(), outcome=Counter({"unreadable picture": 1}))
    rgb = np.ascontiguousarray(picture[..., ::-1])
    detections = _judge_of_process.detector.detect(rgb) or _judge_of_process.detector.detect_thoroughly(rgb)
    labelled = _label_detections(rgb, detections, path, source, _judge_of_process)
    negatives = negative_samples(rgb, detections, path, source, _judge_of_process)
    outcome = Counter({"pictures": 1, "hands found": len(detections), "hands kept": len(labelled), "negatives": len(negatives)})
    outcome["doubtful hands"] += sum(sample.view == DOUBTFUL for sample in labelled)
    if not detections:
        outcome["pictures without a hand"] += 1
    return LabelledPicture(samples=(*labelled, *negatives), outcome=outcome)


def _label_detections(
    rgb: UInt8Array, detections: Iterable[HandDetection], path: Path, source: str, judge: Judge
) -> tuple[Sample, ...]:
    height, width = rgb.shape[:2]
    camera = camera_from_fov(width, height)
    samples = []
    for i, detection in enumerate(detections):
        hand = label_hand(rgb, camera, detection, judge.estimator, ConsistencyLimits())
        if hand is None:
            continue
        own_camera = camera_for_hand(width, height, hand)
        key = split_key(source, path.stem)
        samples.append(
            cut_sample(rgb, own_camera, placed_in(own_camera, hand), source=source, name=f"{path.name}#{i}", split_key=key)
        )
    return tuple(samples)
