"""Estimator ``dense``: the mesh of a dense hand network, refined at test time as far as the user asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from handviz.crop import CropSpec, batch_of, joints_from_crop, params_from_crop, params_to_crop
from handviz.estimate.base import EstimatorOptions, held_shape
from handviz.estimate.feature_view import FeatureView
from handviz.estimate.groups import shipped_weights, torch_device
from handviz.fit.edges import drawn_mask, mask_iou
from handviz.fit.refine_paper import PaperSettings, PaperTarget, refine_paper
from handviz.fit.refinement import DEFAULT_SETTINGS, Iterate, RefinementTrace, Solver, check_iterations, refine_newton
from handviz.fit.rig import rig_of
from handviz.fit.seen import Seen, see
from handviz.geometry.camera import FloatArray, project, scale_intrinsics
from handviz.hand.mirror import mirror_faces
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import ROOT, palm_length
from handviz.models.compiled import compiled_for
from handviz.models.confidence import calibration_from
from handviz.models.dense_checkpoint import load_dense
from handviz.models.dense_deploy import DenseRunner
from handviz.models.weights_files import DEFAULT_NAMES, DENSE_KIND
from handviz.records import CropResult, HandCrop, HandMesh, HandParams

DEFAULT_WEIGHTS = DEFAULT_NAMES[DENSE_KIND]


class DenseEstimator:
    """Hand model parameters from a crop, on the hand the user chose."""

    name = "dense"

    def __init__(self, options: EstimatorOptions | None = None) -> None:
        options = options or EstimatorOptions()
        self._last: dict[int, HandParams] = {}
        self._take(options)
        self._device = torch_device(options.device)
        self._hand = load_hand_model(options.hand_model)
        self._rig, self._own_rig = rig_of(self._hand), rig_of(load_hand_model())
        self.weights = options.weights or shipped_weights(DEFAULT_WEIGHTS)
        network, notes = load_dense(self.weights)
        self._calibration = calibration_from(notes)
        compiled = compiled_for(self.weights) if self._device.type == "cpu" else None
        self._runner = DenseRunner(network, self._device, compiled)
        self._features = FeatureView(self._runner.network)
        self.crop_spec = CropSpec(size=network.config.input_size)

    @property
    def device(self) -> str:
        """Where it runs."""
        return torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate each crop; see ``handviz.estimate.base``. A refined track starts from its last answer where that is better."""
        if not crops:
            return []
        results = []
        for crop, track, seen in zip(crops, track_ids, self.look(crops), strict=True):
            params = self._refined(crop, seen, track) if self._iterations else seen.params
            results.append(self.result(crop, seen, params))
            if track is not None:
                self._last[track] = params_from_crop(crop, params, self._wrist(params))
        return results

    def forget(self, track_id: int) -> None:
        """Drop the last answer for a track."""
        self._last.pop(track_id, None)

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over other options from the next crop on; see ``handviz.estimate.base.Adjustable``."""
        if _built_for(options) != _built_for(self._options):
            return False
        self._take(options)
        return True

    def _take(self, options: EstimatorOptions) -> None:
        iterations, shape = check_iterations(options.refine_iterations), held_shape(options)
        self._options, self._iterations = options, iterations
        self._scale_m, self._want_heatmaps = options.hand_scale_m, options.want_heatmaps
        self.hold_shape(shape)

    def hold_shape(self, shape: FloatArray | None) -> None:
        """Answer with these ten shape values from now on (None: with the network's own)."""
        self._shape = None if shape is None else np.asarray(shape, float).copy()
        # Warm starts have another shape.
        self._last.clear()

    def look(self, crops: Sequence[HandCrop]) -> list[Seen]:
        """Return what the network says of each crop, before any refinement."""
        rgb = torch.from_numpy(batch_of(crops)).to(self._device).permute(0, 3, 1, 2).float() / 255
        K = torch.from_numpy(np.stack([crop.K_crop for crop in crops])).float().to(self._device)
        seen = see(self._runner, rgb, K, self._calibration)
        return [replace(one, params=self._onto_hand(one.params)) for one in seen]

    def _onto_hand(self, params: HandParams) -> HandParams:
        """Put the network's answer on the user's hand, shape and size: same pose and turn, palm and middle MCP as they were."""
        same_hand = self._rig.name == self._own_rig.name
        if same_hand and self._shape is None and self._scale_m is None:
            return params
        _, joints = self._own_rig.mesh(params)
        shape = self._shape if self._shape is not None else (params.shape if same_hand else np.zeros(10))
        new = replace(params, shape=shape, translation_m=np.zeros(3), scale=1.0, hand_model=self._rig.name)
        _, plain = self._rig.mesh(new)
        palm = float(palm_length(joints))
        scale = palm / float(palm_length(plain))
        root = joints[ROOT]
        if self._scale_m is not None:
            # The picture stays the same when hand and distance grow together.
            scale, root = scale * self._scale_m / palm, root * (self._scale_m / palm)
        return replace(new, scale=scale, translation_m=root - scale * plain[ROOT])

    def _refined(self, crop: HandCrop, seen: Seen, track: int | None) -> HandParams:
        start, last = seen.params, self._last.get(track) if track is not None else None
        if last is not None:
            before = params_to_crop(crop, last, self._wrist(last))
            totals = [self._newton(seen, params, 0).iterates[0].total for params in (start, before)]
            start = before if totals[1] < totals[0] else start
        return self._newton(seen, start, self._iterations).answer

    def _newton(self, seen: Seen, start: HandParams, iterations: int, *, keep: bool = False) -> RefinementTrace:
        settings = DEFAULT_SETTINGS if self._shape is None else replace(DEFAULT_SETTINGS, hold_shape=0.0)
        return refine_newton(self._rig, seen.target, start, iterations, keep=keep, anchor=seen.params, settings=settings)

    def refine(
        self,
        crop: HandCrop,
        start: HandParams | None = None,
        iterations: int = 20,
        *,
        keep: bool = True,
        solver: Solver = "newton",
        wanted: Callable[[], bool] = lambda: True,
    ) -> RefinementTrace:
        """Refine one crop and keep every iterate (or the start and the best alone).

        ``start`` are parameters in the full camera's frame; without it the network's own answer. The iterates' parameters are in
        the full camera's frame too; ``mesh`` draws any of them. The slow solver asks ``wanted`` before each step whether to go
        on. Raises ValueError for a count outside 0 to 100.
        """
        check_iterations(iterations)
        seen = self.look([crop])[0]
        begin = seen.params if start is None else params_to_crop(crop, start, self._wrist(start))
        if solver == "newton":
            trace = self._newton(seen, begin, iterations, keep=keep)
        else:
            trace = refine_paper(
                self._runner.network,
                self._hand,
                self._paper_target(crop, seen),
                begin,
                iterations,
                keep=keep,
                settings=PaperSettings(hold_shape=self._shape is not None),
                wanted=wanted,
            )
        return replace(trace, iterates=tuple(self._to_camera(crop, it) for it in trace.iterates))

    def _paper_target(self, crop: HandCrop, seen: Seen) -> PaperTarget:
        return PaperTarget(
            rgb=crop.rgb, K=crop.K_crop, joints_px_J2=seen.target.joints_px_J2, feature=seen.feature, size=self.crop_spec.size
        )

    def _to_camera(self, crop: HandCrop, iterate: Iterate) -> Iterate:
        return replace(iterate, params=params_from_crop(crop, iterate.params, self._wrist(iterate.params)))

    def steps(self, crop: HandCrop, trace: RefinementTrace) -> list[CropResult]:
        """Return what each iterate of a crop's trace is as an answer: its joints, its mesh, its overlap with the mask."""
        seen = self.look([crop])[0]
        found = (params_to_crop(crop, iterate.params, self._wrist(iterate.params)) for iterate in trace.iterates)
        return [self.result(crop, seen, params) for params in found]

    def mesh(self, crop: HandCrop, params: HandParams) -> HandMesh:
        """Return the mesh of parameters in the full camera's frame, for the hand that this crop shows."""
        return self._mesh(crop, params_to_crop(crop, params, self._wrist(params)), None)[0]

    def result(self, crop: HandCrop, seen: Seen, params: HandParams) -> CropResult:
        """Return the answer for parameters in the crop's camera."""
        mesh, joints = self._mesh(crop, params, seen.mask_SS)
        found = joints_from_crop(crop, joints, project(joints, crop.K_crop), seen.confidence)
        return CropResult(
            score=seen.score,
            joints=replace(found, scale_source="model" if self._scale_m is None else "user"),
            mesh=mesh,
            heatmaps=seen.heatmaps if self._want_heatmaps else None,
            mask=seen.mask_SS if self._want_heatmaps else None,
            features=self._features(crop.rgb) if self._options.want_features else None,
        )

    def _mesh(self, crop: HandCrop, params: HandParams, mask_SS: FloatArray | None) -> tuple[HandMesh, FloatArray]:
        vertices, joints = self._rig.mesh(params)
        iou = None if mask_SS is None else self._agreement(vertices, crop, mask_SS)
        faces = self._rig.faces_F3
        mesh = HandMesh(
            vertices_camera_m=vertices @ crop.Q_crop_from_camera,
            faces=mirror_faces(faces) if crop.mirrored else faces,
            params=params_from_crop(crop, params, self._wrist(params)),
            silhouette_iou=iou,
        )
        return mesh, joints

    def _agreement(self, vertices: FloatArray, crop: HandCrop, mask_SS: FloatArray) -> float:
        """Return the IoU of the mesh's silhouette with the mask the network sees, at the maps' size."""
        side = mask_SS.shape[0]
        K = scale_intrinsics(crop.K_crop, side / crop.size, side / crop.size)
        return mask_iou(drawn_mask(vertices, self._rig.faces_F3, K, side, side), mask_SS > 0.5)

    def _wrist(self, params: HandParams) -> FloatArray:
        return np.asarray(self._rig.rest_J3[0] + self._rig.rest_dirs_J3S[0] @ params.shape)


def _built_for(options: EstimatorOptions) -> tuple[object, ...]:
    """Return what an estimator can not change as it runs."""
    return options.device, options.hand_model, options.weights
