"""The part of ``bench_hand.py`` that draws and fits: mask, shaded pictures, inverse problems, the mesh on the bundled clip."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

import handviz
from handviz.estimate.fit import FitEstimator
from handviz.estimate.mediapipe import MediaPipeEstimator
from handviz.fit.edges import drawn_mask, mask_iou
from handviz.fit.fit import fit_hand
from handviz.fit.problem import FitSettings, HandState, Observations
from handviz.fit.rig import Rig, rig_of
from handviz.geometry.camera import FloatArray, camera_from_fov, project
from handviz.hand.limits import clamp_pose
from handviz.hand.model import HandModel
from handviz.hand.prior import sample_poses
from handviz.hand.skeleton import palm_length
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.step import HandPipeline
from handviz.records import CropResult, Frame, HandCrop
from handviz.render.light import Light, room_light
from handviz.render.scenes import Looks, Scenes, layout_of, lights_of, texture_bank
from handviz.render.shade import shade
from handviz.render.shade_batch import shade_scenes
from handviz.render.soft_mask import soft_mask
from handviz.render.surface import Surface, plain_texture, texture_of

K_128 = np.array([[220.0, 0, 63.5], [0, 220.0, 63.5], [0, 0, 1]])
K_160 = np.array([[275.0, 0, 79.5], [0, 275.0, 79.5], [0, 0, 1]])
# In the inverse problems the hand's shape is known; pose and position are solved for.
INVERSE = FitSettings(hold_shape=0.0, second_thoughts=2)
Timer = Callable[..., float]


def random_hand(rig: Rig, seed: int) -> HandState:
    """Return a natural hand of any orientation, 45 cm in front of the camera."""
    rng = np.random.default_rng(seed)
    state = HandState(
        pose_BP=sample_poses(rng, 1),
        shape_BS=rng.normal(0, 0.7, (1, 10)),
        root_rotation_B3=Rotation.random(random_state=seed).as_rotvec()[None],
        translation_B3=np.zeros((1, 3)),
        scale_B=np.ones(1),
    )
    centre = rig.mesh(state.params(0, rig.name))[1].mean(0)
    return _with(state, translation_B3=(np.array([*rng.normal(0, 0.01, 2), 0.45]) - centre)[None])


def _with(state: HandState, **parts: FloatArray) -> HandState:
    return HandState(**({name: getattr(state, name) for name in HandState.__slots__} | parts))


def shaken(state: HandState, seed: int) -> HandState:
    """Return the hand 20 degrees and 20 mm off: turned as a whole, moved, and each finger joint turned by 20 degrees (rms)."""
    rng = np.random.default_rng(10_000 + seed)
    axis, way = rng.normal(size=(2, 3))
    turn = Rotation.from_rotvec(np.radians(20) * axis / np.linalg.norm(axis))
    return _with(
        state,
        pose_BP=clamp_pose(state.pose_BP + rng.normal(0, np.radians(20) / 3**0.5, (1, 45))),
        root_rotation_B3=(turn * Rotation.from_rotvec(state.root_rotation_B3[0])).as_rotvec()[None],
        translation_B3=state.translation_B3 + 0.02 * way / np.linalg.norm(way),
    )


def inverse_numbers(model: HandModel, count: int = 100) -> dict[str, float]:
    """Solve inverse problems from mask and 2D joints; a hand is recovered below 2 mm mean joint error and above 0.97 mask IoU."""
    rig = rig_of(model)
    converged, errors, times = 0, [], []
    for seed in range(count):
        truth = random_hand(rig, seed)
        vertices, joints = rig.mesh(truth.params(0, rig.name))
        mask = drawn_mask(vertices, rig.faces_F3, K_128, 128, 128)
        seen = Observations(K_B33=K_128, joints_px_BJ2=project(joints, K_128)[None], mask_BHW=mask[None], sigma_px_BJ=0.5)
        begin = time.perf_counter()
        result = fit_hand(seen, shaken(truth, seed), model, INVERSE)
        times.append((time.perf_counter() - begin) * 1e3)
        errors.append(1e3 * float(np.linalg.norm(result.joints_BJ3[0] - joints, axis=-1).mean()))
        again = drawn_mask(rig.mesh(result.params(0))[0], rig.faces_F3, K_128, 128, 128)
        converged += errors[-1] < 2.0 and mask_iou(again, mask) > 0.97
    return {
        f"inverse_converged_of_{count}": converged,
        "inverse_median_mm": statistics.median(errors),
        "inverse_ms": statistics.median(times),
    }


def mask_numbers(model: HandModel, median_ms: Timer, device: str) -> dict[str, float]:
    """Time the soft mask, forward and backward, at 128 x 128: one hand on the CPU, 64 on a GPU."""
    rig, hands = rig_of(model), 64 if device == "cuda" else 1
    vertices = np.stack([rig.mesh(random_hand(rig, seed).params(0, rig.name))[0] for seed in range(hands)])
    start = torch.tensor(vertices, dtype=torch.float32, device=device)
    K, faces = torch.tensor(K_128, dtype=torch.float32, device=device), model.faces_F3.to(device)

    def work() -> None:
        inputs = start.clone().requires_grad_()
        torch.autograd.backward(soft_mask(inputs, faces, K, 128, 128).square().sum())

    name = "mask_fwd_bwd_64x128_ms_gpu" if device == "cuda" else "mask_fwd_bwd_128_ms"
    return {name: median_ms(work, repeats=60, device=device)}


def shaded_numbers(model: HandModel, median_ms: Timer) -> dict[str, float]:
    """Count shaded, textured, antialiased 160 x 160 pictures per second on the CPU, in one thread."""
    rig = rig_of(model)
    texture = plain_texture((210, 160, 135)) if model.texture is None else texture_of(model.texture)
    background = np.full((160, 160, 3), 120, np.uint8)
    light = room_light(np.array([-0.5, -0.8, -0.8]))
    surfaces = [
        Surface(
            vertices_V3=rig.mesh(random_hand(rig, seed).params(0, rig.name))[0],
            faces_F3=rig.faces_F3,
            texture=texture,
            uv_V2=model.uv_V2.numpy(),
        )
        for seed in range(8)
    ]

    def work() -> None:
        for surface in surfaces:
            shade([surface], K_160, 160, 160, light, background=background)

    return {"shaded_160_per_s": 1e3 * len(surfaces) / median_ms(work, repeats=15)}


def shaded_gpu_numbers(model: HandModel, median_ms: Timer, hands: int = 64) -> dict[str, float]:
    """Count shaded, textured, antialiased 160 x 160 pictures per second on a GPU, in batches of 64 hands."""
    rig = rig_of(model)
    texture = plain_texture((210, 160, 135)) if model.texture is None else texture_of(model.texture)
    vertices = np.stack([rig.mesh(random_hand(rig, seed).params(0, rig.name))[0] for seed in range(hands)])
    one = torch.ones(hands, 1)
    looks = Looks(
        flipped_BM=torch.zeros(hands, 1, dtype=torch.bool), texture_BM=torch.zeros(hands, 1, dtype=torch.int64),
        tint_BM3=torch.ones(hands, 1, 3), specular_BM=0.028 * one, gloss_BM=24.0 * one,
        wrap_BM3=torch.tensor((0.3, 0.12, 0.06)).expand(hands, 1, 3),
    )  # fmt: skip
    scenes = Scenes(vertices_BV3=torch.tensor(vertices, dtype=torch.float32), looks=looks)
    light = room_light(np.array([-0.5, -0.8, -0.8]))
    lights = lights_of(Light(**{f.name: np.stack([getattr(light, f.name)] * hands) for f in dataclasses.fields(light)}))
    layout = layout_of([(model.faces_F3.numpy(), model.uv_V2.numpy(), model.first_V)])
    K = torch.tensor(K_160, dtype=torch.float32).repeat(hands, 1, 1)
    background = torch.full((hands, 160, 160, 3), 120, dtype=torch.uint8)
    scenes, layout, bank, lights = scenes.to("cuda"), layout.to("cuda"), texture_bank([texture]).to("cuda"), lights.to("cuda")
    K, background = K.cuda(), background.cuda()

    def work() -> None:
        shade_scenes(scenes, layout, bank, lights, K, background)

    return {"shaded_160_per_s_gpu": 1e3 * hands / median_ms(work, repeats=30, device="cuda")}


class _TimedLandmarks(MediaPipeEstimator):
    """MediaPipe's estimator, keeping its last results and how long they took."""

    last: list[CropResult]
    took_s = 0.0

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        begin = time.perf_counter()
        self.last = super().estimate(crops, track_ids)
        self.took_s = time.perf_counter() - begin
        return self.last


class _TimedFit(FitEstimator):
    """The fit estimator, recording for each hand its own time in ms and how far its joints lie from the landmarks."""

    def __init__(self) -> None:
        self.inner = _TimedLandmarks()
        super().__init__(landmarks=self.inner)
        self.ms: list[float] = []
        self.residuals: list[float] = []

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        begin = time.perf_counter()
        results = super().estimate(crops, track_ids)
        if results:
            self.ms.append((time.perf_counter() - begin - self.inner.took_s) * 1e3 / len(results))
        for fitted, seen in zip(results, self.inner.last, strict=True):
            apart = np.linalg.norm(fitted.joints.joints_px - seen.joints.joints_px, axis=-1).mean()
            self.residuals.append(float(apart / palm_length(seen.joints.joints_px)))
        return results


def clip_numbers() -> dict[str, float]:
    """Run the fit estimator over the bundled clip: time per hand, and mean 2D residual as a share of the palm's length."""
    estimator = _TimedFit()
    pipeline = HandPipeline(SessionConfig(smoothing=False, max_hands=1))
    pipeline._estimators.first = estimator
    video = cv2.VideoCapture(str(Path(handviz.__file__).parent / "assets" / "clip" / "demo.mp4"))
    camera, index = camera_from_fov(640, 480), 0
    while True:
        more, bgr = video.read()
        if not more:
            break
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        pipeline.process(Frame(index=index, t_capture_s=index / 30, t_arrival_s=index / 30, rgb=np.asarray(rgb), camera=camera))
        index += 1
    pipeline.close()
    return {"fit_ms": statistics.median(estimator.ms), "fit_residual_palms": statistics.fmean(estimator.residuals)}


def render_numbers(model: HandModel, median_ms: Timer) -> dict[str, float]:
    """Return every number of this file, and those of a GPU where there is one."""
    numbers = mask_numbers(model, median_ms, "cpu") | shaded_numbers(model, median_ms) | clip_numbers()
    if torch.cuda.is_available():
        numbers |= mask_numbers(model, median_ms, "cuda") | shaded_gpu_numbers(model, median_ms)
    return numbers | inverse_numbers(model)
