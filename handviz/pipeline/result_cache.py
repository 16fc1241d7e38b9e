"""Analysed frames in compact form, so that an hour of them fits in memory and scrubbing back needs no network.

A frame is one float32 array with a row per hand; pictures are not kept, and a mesh is kept as its parameters.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import get_args

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import Camera, FloatArray
from handviz.hand.mirror import Side, needs_mirror
from handviz.pipeline.config import SessionConfig
from handviz.records import Frame, FrameResult, HandEstimate, HandJoints, HandMesh, HandParams, ScaleSource, Stage

Row = npt.NDArray[np.float32]
_PARTS = {"head": 5, "box": 4, "pixels": 42, "metres": 63, "confidence": 21, "groups": 21, "params": 62}
_SCALES: tuple[ScaleSource, ...] = get_args(ScaleSource)
_STAGES: tuple[Stage, ...] = get_args(Stage)
_STARTS = np.cumsum([0, *_PARTS.values()])
_SLICES = {name: slice(int(_STARTS[i]), int(_STARTS[i + 1])) for i, name in enumerate(_PARTS)}
_WIDTH = int(_STARTS[-1])


def deciding(config: SessionConfig) -> SessionConfig:
    """Return the settings that determine the hands; maps and a comparison are only shown with them, and not kept."""
    return replace(config, want_heatmaps=False, want_features=False, compare_with=None)


class _Kept:
    """The results kept for one configuration."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self.rows: dict[int, Row] = {}
        # For still pictures: a close-up of a hand was analysed with a narrower camera than its frame came with.
        self.cameras: dict[int, Camera] = {}
        # Confidence by frame, ready to be drawn: the display asks for it several times a second.
        self.curve: FloatArray = np.zeros(0)

    def put(self, frame: Frame, rows: Row, *, whole: bool) -> None:
        index = frame.index
        if whole:
            self.rows[index] = rows
            if frame.name is not None:
                self.cameras[index] = frame.camera
        if index >= len(self.curve):
            more = np.full(index + 1 + len(self.curve) // 2 - len(self.curve), np.nan)
            self.curve = np.concatenate([self.curve, more])
        self.curve[index] = _mean_confidence(rows)


class ResultCache:
    """Results by frame index for the configuration in view; another configuration empties it. Thread-safe.

    Analysis ahead may use another configuration for a while, when ``auto`` switches or a choice is still being loaded.
    Its results are then kept separately, so that neither empties the other, until the view follows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._viewed: _Kept | None = None
        self._ahead: _Kept | None = None

    def __len__(self) -> int:
        with self._lock:
            return 0 if self._viewed is None else len(self._viewed.rows)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._viewed = self._ahead = None

    def put(self, result: FrameResult, config: SessionConfig, *, whole: bool = True) -> None:
        """Keep the hands of a result in view.

        A result that is not ``whole``, because work on it continues, counts only for the curve.
        """
        rows, config = _rows(result), deciding(config)
        with self._lock:
            if self._viewed is None or self._viewed.config != config:
                self._viewed, self._ahead = self._of(config) or _Kept(config), None
            self._viewed.put(result.frame, rows, whole=whole)

    def put_ahead(self, result: FrameResult, config: SessionConfig) -> None:
        """Keep the hands of a result that was analysed ahead of the view."""
        rows, config = _rows(result), deciding(config)
        with self._lock:
            kept = self._of(config) or _Kept(config)
            if self._viewed is None:
                self._viewed = kept
            elif kept is not self._viewed:
                self._ahead = kept
            kept.put(result.frame, rows, whole=True)

    def _of(self, config: SessionConfig) -> _Kept | None:
        return next((kept for kept in (self._viewed, self._ahead) if kept is not None and kept.config == config), None)

    def has(self, index: int, config: SessionConfig) -> bool:
        """Say whether this frame was analysed with this configuration."""
        with self._lock:
            kept = self._of(deciding(config))
            return kept is not None and index in kept.rows

    def get(self, frame: Frame, config: SessionConfig) -> FrameResult | None:
        """Return the kept result with the picture of ``frame``, or None. Crops and heatmaps were not kept."""
        with self._lock:
            kept = self._of(deciding(config))
            rows = None if kept is None else kept.rows.get(frame.index)
            camera = frame.camera if kept is None else kept.cameras.get(frame.index, frame.camera)
        if rows is None:
            return None
        hands = tuple(_unpack(row, config) for row in rows)
        return FrameResult(frame=replace(frame, camera=camera), hands=hands, estimator=config.estimator)

    def curve(self, count: int) -> FloatArray:
        """Return for each of ``count`` frames, as viewed, the mean joint confidence of its hands; 0: no hand, NaN: unknown."""
        curve = np.full(count, np.nan)
        with self._lock:
            known = np.zeros(0) if self._viewed is None else self._viewed.curve[:count]
            curve[: len(known)] = known
        return curve


def _rows(result: FrameResult) -> Row:
    return np.stack([_pack(hand) for hand in result.hands]) if result.hands else np.empty((0, _WIDTH), np.float32)


def _mean_confidence(rows: Row) -> float:
    return float(rows[:, _SLICES["confidence"]].mean()) if len(rows) else 0.0


def _pack(hand: HandEstimate) -> Row:
    row = np.full(_WIDTH, np.nan, np.float32)
    scale, stage = _SCALES.index(hand.joints.scale_source), _STAGES.index(hand.stage)
    row[_SLICES["head"]] = [hand.track_id, needs_mirror(hand.side), hand.score, stage, scale]
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
    track_id, left, score, stage, scale = part["head"]
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
        stage=_STAGES[int(stage)],
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
    # Only meshes need compiled loops: 100 MB that a session without meshes saves.
    from handviz.fit.rig import placed_mesh, rig_named

    return placed_mesh(rig_named(hand_model), params, mirrored=mirrored)
