"""Analysed frames kept small, so that an hour of them fits in memory and scrubbing back needs no network.

A frame keeps one float32 array with a row a hand; pictures are not kept, and a mesh is kept as its parameters.
"""

from __future__ import annotations

import threading
from typing import get_args

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side, needs_mirror
from handviz.pipeline.config import SessionConfig
from handviz.records import Frame, FrameResult, HandEstimate, HandJoints, HandMesh, HandParams, ScaleSource

Row = npt.NDArray[np.float32]
_PARTS = {"head": 5, "box": 4, "pixels": 42, "metres": 63, "confidence": 21, "groups": 21, "params": 62}
_SCALES: tuple[ScaleSource, ...] = get_args(ScaleSource)
_STARTS = np.cumsum([0, *_PARTS.values()])
_SLICES = {name: slice(int(_STARTS[i]), int(_STARTS[i + 1])) for i, name in enumerate(_PARTS)}
_WIDTH = int(_STARTS[-1])


class ResultCache:
    """Results by frame index, all of one configuration; another configuration empties it. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._config: SessionConfig | None = None
        self._rows: dict[int, Row] = {}
        # Confidence by frame, kept as it is drawn: the display asks for it several times a second.
        self._curve: FloatArray = np.zeros(0)

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, result: FrameResult, config: SessionConfig, *, whole: bool = True) -> None:
        """Keep the hands of a result; one that is not ``whole``, because work on it goes on, counts for the curve alone."""
        rows = np.stack([_pack(hand) for hand in result.hands]) if result.hands else np.empty((0, _WIDTH), np.float32)
        with self._lock:
            if config != self._config:
                self._config, self._rows, self._curve = config, {}, np.zeros(0)
            if whole:
                self._rows[result.frame.index] = rows
            if result.frame.index >= len(self._curve):
                more = np.full(result.frame.index + 1 + len(self._curve) // 2 - len(self._curve), np.nan)
                self._curve = np.concatenate([self._curve, more])
            self._curve[result.frame.index] = _mean_confidence(rows)

    def has(self, index: int, config: SessionConfig) -> bool:
        """Say whether this frame was analysed with this configuration."""
        with self._lock:
            return config == self._config and index in self._rows

    def get(self, frame: Frame, config: SessionConfig) -> FrameResult | None:
        """Return the kept result with the picture of ``frame``, or None. Crops and heatmaps were not kept."""
        with self._lock:
            rows = self._rows.get(frame.index) if config == self._config else None
        if rows is None:
            return None
        hands = tuple(_unpack(row, config) for row in rows)
        return FrameResult(frame=frame, hands=hands, estimator=config.estimator)

    def curve(self, count: int) -> FloatArray:
        """Return a number for each of ``count`` frames: the mean joint confidence of its hands, 0 without hands, NaN unknown."""
        curve = np.full(count, np.nan)
        with self._lock:
            known = self._curve[:count]
            curve[: len(known)] = known
        return curve


def _mean_confidence(rows: Row) -> float:
    return float(rows[:, _SLICES["confidence"]].mean()) if len(rows) else 0.0


def _pack(hand: HandEstimate) -> Row:
    row = np.full(_WIDTH, np.nan, np.float32)
    smoothed = hand.stage != "raw"
    scale = _SCALES.index(hand.joints.scale_source)
    row[_SLICES["head"]] = [hand.track_id, hand.side == "left", hand.score, smoothed, scale]
    row[_SLICES["box"]] = hand.box_xyxy_px
    row[_SLICES["pixels"]] = hand.joints.joints_px.ravel()
    row[_SLICES["metres"]] = hand.joints.joints_camera_m.ravel()
    row[_SLICES["confidence"]] = hand.joints.confidence
    if hand.groups is not None:
        row[_SLICES["groups"]] = hand.groups
    if hand.mesh is not None:
        p = hand.mesh.params
        row[_SLICES["params"]] = np.concatenate([p.pose, p.shape, p.root_rotation, p.translation_m, [p.scale]])
    return row


def _unpack(row: Row, config: SessionConfig) -> HandEstimate:
    part = {name: row[place].astype(float) for name, place in _SLICES.items()}
    track_id, left, score, smoothed, scale = part["head"]
    joints = HandJoints(
        joints_camera_m=part["metres"].reshape(21, 3),
        joints_px=part["pixels"].reshape(21, 2),
        confidence=part["confidence"],
        scale_source=_SCALES[int(scale)],
    )
    side: Side = "left" if left else "right"
    mesh = None if np.isnan(part["params"][0]) else _mesh(part["params"], needs_mirror(side), config.hand_model)
    return HandEstimate(
        track_id=int(track_id),
        side=side,
        score=float(score),
        box_xyxy_px=part["box"],
        joints=joints,
        mesh=mesh,
        groups=None if np.isnan(part["groups"][0]) else part["groups"].astype(int),
        stage="smoothed" if smoothed else "raw",
    )


def _mesh(numbers: FloatArray, mirrored: bool, hand_model: str) -> HandMesh:
    params = HandParams(
        pose=numbers[:45],
        shape=numbers[45:55],
        root_rotation=numbers[55:58],
        translation_m=numbers[58:61],
        scale=float(numbers[61]),
        hand_model=hand_model,
    )
    # Only meshes need compiled loops: 100 MB that a session without meshes does not pay.
    from handviz.fit.rig import placed_mesh, rig_named

    return placed_mesh(rig_named(hand_model), params, mirrored=mirrored)
