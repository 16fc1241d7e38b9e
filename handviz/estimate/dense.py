"""Estimator ``dense``: the mesh of a dense hand network, refined at test time by as many steps as the user wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from handviz.crop import CropSpec, batch_of, crop_to_image, joints_from_crop, params_from_crop, params_to_crop, resized
from handviz.estimate.base import EstimatorOptions, Finish, held_shape
from handviz.estimate.between import between
from handviz.estimate.dense_looks import together
from handviz.estimate.feature_view import FeatureView
from handviz.estimate.groups import STILL_SIDE_MARGIN, shipped_weights, torch_device
from handviz.estimate.looks import Look, look_again
from handviz.fit.refine_paper import PaperSettings, PaperTarget, refine_paper
from handviz.fit.refinement import DEFAULT_SETTINGS, RefinementTrace, Solver, check_iterations, refine_newton
from handviz.fit.rig import rig_of
from handviz.fit.seen import Seen, see
from handviz.geometry.camera import FloatArray, project
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import ROOT, palm_length
from handviz.models.compiled import compiled_for
from handviz.models.confidence import calibration_from
from handviz.models.dense_checkpoint import load_dense
from handviz.models.dense_deploy import DenseRunner
from handviz.models.weights_files import DEFAULT_NAMES, DENSE_KIND
from handviz.records import CropResult, HandCrop, HandJoints, HandMesh, HandParams

DEFAULT_WEIGHTS = DEFAULT_NAMES[DENSE_KIND]
# Refinement steps that a live view waits for. Started from the track's last answer, two come close to many: on a
# recording of a hand, overlap with the seen mask 0.72 without a step, 0.82 with two, 0.83 with five, 0.85 with fifty.
QUICK_STEPS = 2
# From this many steps on the network also sees a crop rolled and zoomed: better evidence gains more than steps beyond the first
# few. Two more looks give most of what four would gain. A live view goes without them.
LOOK_AGAIN_FROM = 5
MORE_LOOKS = (Look(roll_deg=15.0, zoom=1.1), Look(roll_deg=-15.0, zoom=1.1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answer:
    """The answer for a crop of a track, and the parameters behind it in the crop's camera.

    ``era`` is replaced by another object when the track is forgotten: an answer of an earlier era is no longer a valid start.
    """

    crop: HandCrop
    track: int | None
    era: object
    seen: Seen
    params: HandParams
    result: CropResult


class DenseEstimator:
    """Hand model parameters from a crop, on the hand the user chose."""

    name = "dense"

    def __init__(self, options: EstimatorOptions | None = None) -> None:
        options = options or EstimatorOptions()
        self._options = options
        self._watched: tuple[HandCrop, Seen] | None = None
        self._last: dict[int, HandParams] = {}
        # Answers that were finished in parallel to the live view, each for a frame before the one in ``_last``.
        self._finished: dict[int, HandParams] = {}
        self._eras: dict[int, object] = {}
        self._take(options)
        self._device = torch_device(options.device)
        self._hand = load_hand_model(options.hand_model)
        self._rig, self._own_rig = rig_of(self._hand), rig_of(load_hand_model())
        self.weights = options.weights or shipped_weights(DEFAULT_WEIGHTS)
        network, notes = load_dense(self.weights)
        self._calibration = calibration_from(notes, str(self.weights))
        on_cpu = self._device.type == "cpu"
        # Eight bits halve the network's time in a live view; refinement and smoothing remove the jitter that they add.
        compiled = compiled_for(self.weights, eight_bits=options.live) if on_cpu else None
        self._runner = DenseRunner(network, self._device, compiled)
        self._features = FeatureView(self._runner.network)
        self.crop_spec = CropSpec(size=network.config.input_size, still_side_margin=STILL_SIDE_MARGIN)

    @property
    def device(self) -> str:
        """Where it runs."""
        return torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate each crop; see ``handviz.estimate.base``. A refined track starts from its last answer if that is better."""
        return [answer.result for answer in self._answers(crops, track_ids, self._iterations)]

    def glance(self, crops: Sequence[HandCrop]) -> list[CropResult]:
        """Return the network's own answers; see ``handviz.estimate.base.Glancing``."""
        return [self.result(crop, seen, seen.params) for crop, seen in zip(crops, self.look(crops), strict=True)]

    def estimate_quickly(
        self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]
    ) -> tuple[list[CropResult], Finish | None]:
        """Take the first ``QUICK_STEPS`` of the refinement; see ``handviz.estimate.base.Resumable``.

        The track's next refinement may start from the result of the remaining steps.
        """
        answers = self._answers(crops, track_ids, min(self._iterations, QUICK_STEPS))
        left = self._iterations - QUICK_STEPS
        finish = partial(self._finish, answers, left) if answers and left > 0 else None
        return [answer.result for answer in answers], finish

    def _answers(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None], iterations: int) -> list[_Answer]:
        answers: list[_Answer] = []
        for crop, track, first in zip(crops, track_ids, self.look(crops) if crops else [], strict=True):
            seen = self._look_closely(crop, first, iterations)
            params = self._refined(crop, seen, track, iterations) if iterations else seen.params
            era = None if track is None else self._eras.setdefault(track, object())
            result = self.result(crop, seen, params)
            if track is None and iterations:
                seen_px = crop_to_image(seen.target.joints_px_J2, crop.H_crop_from_image)
                result = replace(result, joints=between(result.joints, seen_px, crop.camera.K))
            answers.append(_Answer(crop=crop, track=track, era=era, seen=seen, params=params, result=result))
            if track is not None:
                self._last[track] = self._to_camera(crop, params)
        return answers

    def _finish(self, answers: list[_Answer], iterations: int) -> list[CropResult]:
        results = []
        for answer in answers:
            # No more looks at this crop: they would compete with the live view's next frame.
            params = self._newton(answer.seen, answer.params, iterations).answer
            joints, mesh = self._hand_of(answer.crop, answer.seen, params)
            results.append(replace(answer.result, joints=joints, mesh=mesh))
            if answer.track is not None and self._eras.get(answer.track) is answer.era:
                self._finished[answer.track] = mesh.params
        return results

    def forget(self, track_id: int) -> None:
        """Drop the last answers for a track."""
        self._last.pop(track_id, None)
        self._finished.pop(track_id, None)
        self._eras.pop(track_id, None)

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over other options from the next crop on; see ``handviz.estimate.base.Adjustable``."""
        if options.fixed != self._options.fixed:
            return False
        self._take(options)
        return True

    def _take(self, options: EstimatorOptions) -> None:
        iterations, shape = check_iterations(options.refine_iterations), held_shape(options)
        before = self._options
        self._options, self._iterations, self._shape = options, iterations, shape
        self._scale_m, self._want_heatmaps = options.hand_scale_m, options.want_heatmaps
        if (options.hand_shape, options.hand_scale_m) != (before.hand_shape, before.hand_scale_m):
            # Warm starts have another shape or size, including those still being computed.
            self._watched = None
            self._last.clear()
            self._finished.clear()
            self._eras.clear()

    def look(self, crops: Sequence[HandCrop]) -> list[Seen]:
        """Return the network's output for each crop, before any refinement."""
        rgb = torch.from_numpy(batch_of(crops)).to(self._device).permute(0, 3, 1, 2).float() / 255
        K = torch.from_numpy(np.stack([crop.K_crop for crop in crops])).float().to(self._device)
        seen = see(self._runner, rgb, K, self._calibration)
        return [replace(one, params=self._onto_hand(one.params)) for one in seen]

    def _look_closely(self, crop: HandCrop, first: Seen, iterations: int) -> Seen:
        """Return the combined output of several looks at a crop, if there are enough refinement steps to make them worthwhile."""
        if iterations < LOOK_AGAIN_FROM:
            return first
        again = [look_again(crop, look) for look in MORE_LOOKS]
        return together([crop, *again], [first, *self.look(again)])

    def _onto_hand(self, params: HandParams) -> HandParams:
        """Put the network's answer on the user's hand model, shape and size: same pose and rotation, palm and middle MCP kept."""
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

    def _refined(self, crop: HandCrop, seen: Seen, track: int | None, iterations: int) -> HandParams:
        before = [] if track is None else [self._last.get(track), self._finished.pop(track, None)]
        earlier = [self._to_crop(crop, last) for last in before if last is not None]
        return self._newton(seen, seen.params, iterations, other_starts=earlier).answer

    def _newton(
        self,
        seen: Seen,
        start: HandParams,
        iterations: int,
        *,
        keep: bool = False,
        other_starts: Sequence[HandParams] = (),
    ) -> RefinementTrace:
        return refine_newton(
            self._rig,
            seen.target,
            start,
            iterations,
            keep=keep,
            anchor=seen.params,
            other_starts=other_starts,
            settings=DEFAULT_SETTINGS if self._shape is None else replace(DEFAULT_SETTINGS, hold_shape=0.0),
        )

    def refine(
        self,
        crop: HandCrop,
        iterations: int = 20,
        *,
        keep: bool = True,
        solver: Solver = "newton",
        wanted: Callable[[], bool] = lambda: True,
    ) -> RefinementTrace:
        """Refine one crop from the network's own answer and keep every iterate (or only the start and the best).

        The iterates' parameters are in the full camera's frame; ``steps`` turns them into answers. The slow solver calls
        ``wanted`` before each step to ask whether to go on. Raises ValueError for a count outside 0 to 100.
        """
        check_iterations(iterations)
        seen = self.look([crop])[0]
        if solver == "newton":
            seen = self._look_closely(crop, seen, iterations)
        self._watched = crop, seen
        if solver == "newton":
            trace = self._newton(seen, seen.params, iterations, keep=keep)
        else:
            trace = refine_paper(
                self._runner.network,
                self._hand,
                self._paper_target(crop, seen),
                seen.params,
                iterations,
                keep=keep,
                settings=PaperSettings(hold_shape=self._shape is not None),
                wanted=wanted,
            )
        return replace(trace, iterates=tuple(replace(it, params=self._to_camera(crop, it.params)) for it in trace.iterates))

    def _paper_target(self, crop: HandCrop, seen: Seen) -> PaperTarget:
        return PaperTarget(
            rgb=crop.rgb, K=crop.K_crop, joints_px_J2=seen.refined_px_J2, feature=seen.feature, size=self.crop_spec.size
        )

    def _to_camera(self, crop: HandCrop, params: HandParams) -> HandParams:
        return params_from_crop(crop, params, self._rig.wrist(params.shape))

    def _to_crop(self, crop: HandCrop, params: HandParams) -> HandParams:
        return params_to_crop(crop, params, self._rig.wrist(params.shape))

    def steps(self, crop: HandCrop, trace: RefinementTrace) -> list[CropResult]:
        """Return each iterate of a crop's trace as an answer: its joints, its mesh, its overlap with the mask."""
        seen = self._watched[1] if self._watched is not None and self._watched[0] is crop else self.look([crop])[0]
        answers = []
        for iterate in trace.iterates:
            params = self._to_crop(crop, iterate.params)
            # The default solver has already compared every iterate with the mask.
            miss = iterate.terms.get("silhouette")
            answers.append(self.result(crop, seen, params, None if miss is None else 1.0 - miss))
        return answers

    def result(self, crop: HandCrop, seen: Seen, params: HandParams, overlap: float | None = None) -> CropResult:
        """Return the answer for parameters in the crop's camera; ``overlap`` with the mask if it is already known."""
        joints, mesh = self._hand_of(crop, seen, params, overlap)
        return CropResult(
            score=seen.score,
            side_chance=seen.side_chance,
            joints=joints,
            mesh=mesh,
            heatmaps=seen.heatmaps if self._want_heatmaps else None,
            mask=seen.mask_SS if self._want_heatmaps else None,
            features=self._features(crop.rgb) if self._options.want_features else None,
        )

    def _hand_of(
        self, crop: HandCrop, seen: Seen, params: HandParams, overlap: float | None = None
    ) -> tuple[HandJoints, HandMesh]:
        vertices, joints = self._rig.mesh(params)
        if self._scale_m is not None:
            # Refinement may have changed the hand's shape, and with it the palm that the user measured.
            factor = self._scale_m / float(palm_length(joints))
            params, vertices, joints = resized(params, factor), factor * vertices, factor * joints
        if overlap is None and seen.target.silhouette is not None:
            overlap = seen.target.silhouette.iou(self._rig, vertices)
        found = joints_from_crop(crop, joints, project(joints, crop.K_crop), seen.confidence)
        return replace(found, scale_source="model" if self._scale_m is None else "user"), self._mesh(
            crop, params, vertices, overlap
        )

    def _mesh(self, crop: HandCrop, params: HandParams, vertices: FloatArray, overlap: float | None) -> HandMesh:
        return HandMesh(
            vertices_camera_m=vertices @ crop.Q_crop_from_camera,
            faces=self._rig.mirrored_F3 if crop.mirrored else self._rig.faces_F3,
            params=self._to_camera(crop, params),
            silhouette_iou=overlap,
        )
