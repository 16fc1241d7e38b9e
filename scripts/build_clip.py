"""Rebuild the bundled clip: ``python scripts/build_clip.py [--out FOLDER]``.

Writes ``demo.mp4`` (ten seconds, 640 x 480, 30 frames a second) and ``demo.npz`` with its exact ground truth:
``K`` (3, 3), ``t_s`` (T,), ``joints_camera_m`` (T, 21, 3), ``joints_px`` (T, 21, 2), and the parameters ``pose`` (T, 45),
``shape`` (10,), ``root_rotation`` (T, 3), ``translation_m`` (T, 3) of the default right hand. Hand, forearm, rooms and light
are all generated here; it contains no photograph. At the end it prints in how many pictures MediaPipe finds the hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from clip_build.arm import Tube, forearm, rim_loop
from clip_build.backgrounds import Scene, blend, blend_light, scenes
from clip_build.motion import motion
from scipy.spatial.transform import Rotation

from handviz.detect.mediapipe_detector import MediaPipeDetector
from handviz.fit.rig import rig_of
from handviz.geometry.camera import FloatArray, intrinsics_from_fov, project
from handviz.hand.model import HandModel, load_hand_model
from handviz.hand.skeleton import PALM
from handviz.records import HandParams, IntArray, UInt8Array
from handviz.render.light import Light
from handviz.render.shade import shade
from handviz.render.surface import Surface, Texture, texture_of
from training.data.synth.patterns import cloth

WIDTH, HEIGHT, FPS, SECONDS = 640, 480, 30, 10
FADE_S = 0.35
# Where the elbow stays while the hand moves, camera frame, metres.
ELBOW_M = np.array([0.07, 0.37, 0.60])
SHAPE = np.array([0.3, 0.4, -0.2, 0.3, 0.0, 0.2, 0.0, 0.0, 0.0, 0.2])


class Actor:
    """The hand with its forearm and sleeve: what to draw for given parameters."""

    def __init__(self, model: HandModel) -> None:
        assert model.texture is not None, "the default hand has a skin"
        self.rig, self._uv = rig_of(model), model.uv_V2.numpy()
        self._rim = rim_loop(self.rig)
        self._skin, self._arm_skin = texture_of(model.texture), _arm_skin(model, self._rim)
        self._cloth = texture_of(cloth(np.random.default_rng(12)))

    def surfaces(self, params: HandParams) -> list[Surface]:
        """Return the surfaces in the camera's frame."""
        vertices, _ = self.rig.mesh(params)
        hand_axis = Rotation.from_rotvec(params.root_rotation).as_matrix()[:, 0]
        arm, sleeve = forearm(vertices[self._rim], hand_axis, ELBOW_M)
        return [
            Surface(vertices_V3=vertices, faces_F3=self.rig.faces_F3, texture=self._skin, uv_V2=self._uv),
            _surface(arm, self._arm_skin),
            _surface(sleeve, self._cloth, specular=0.01, gloss=8.0, wrap=(0.05, 0.05, 0.05)),
        ]


def _surface(tube: Tube, texture: Texture, **looks: Any) -> Surface:
    return Surface(vertices_V3=tube.vertices, faces_F3=tube.faces, uv_V2=tube.uv, texture=texture, **looks)


def _arm_skin(model: HandModel, rim: IntArray) -> Texture:
    """Return a skin for the forearm: at the wrist the hand's own colours round its rim, further on their mean; fine grain."""
    assert model.texture is not None
    smooth = cv2.GaussianBlur(model.texture, (0, 0), 6.0)
    height, width = smooth.shape[:2]
    u, v = (model.uv_V2.numpy()[rim] * [width - 1, height - 1]).astype(int).T
    round_it = np.linspace(0, len(rim) - 1, 128)
    row = np.stack([np.interp(round_it, np.arange(len(rim)), channel) for channel in smooth[v, u].T.astype(float)], -1)
    share = np.clip(np.linspace(0, 3, 256), 0, 1)[:, None, None]
    colours = (1 - share) * row + share * row.mean(0)
    grain = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (256, 128)), (0, 0), 2.0)
    return texture_of(np.clip(colours * (1 + 0.05 * grain[..., None]), 0, 255).astype(np.uint8))


def hand_params(times_s: FloatArray, actor: Actor) -> list[HandParams]:
    """Return the hand's parameters at these times."""
    moves = motion(times_s)
    found = []
    for pose, R, place in zip(moves.pose_TP, moves.R_T33, moves.place_T3, strict=True):
        params = HandParams(pose=pose, shape=SHAPE, root_rotation=Rotation.from_matrix(R).as_rotvec(), translation_m=np.zeros(3))
        _, joints = actor.rig.mesh(params)
        middle = joints[list(PALM)].mean(0)
        found.append(HandParams(pose=pose, shape=SHAPE, root_rotation=params.root_rotation, translation_m=place - middle))
    return found


def scene_at(t_s: float, rooms: tuple[Scene, ...]) -> tuple[UInt8Array, Light]:
    """Return background and light at a time: one room after the other, each fading into the next."""
    length = SECONDS / len(rooms)
    index = min(int(t_s / length), len(rooms) - 1)
    share = (t_s - (index + 1) * length + FADE_S) / FADE_S
    if share <= 0 or index + 1 == len(rooms):
        return rooms[index].picture, rooms[index].light
    return blend(rooms[index].picture, rooms[index + 1].picture, share), blend_light(
        rooms[index].light, rooms[index + 1].light, share
    )


def build(folder: Path) -> None:
    """Render the clip and write it with its ground truth."""
    actor, K = Actor(load_hand_model()), intrinsics_from_fov(WIDTH, HEIGHT)
    rooms = scenes(WIDTH, HEIGHT)
    times = np.arange(FPS * SECONDS) / FPS
    hands = hand_params(times, actor)
    folder.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(folder / "demo.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    detector, found = MediaPipeDetector(1), 0
    for t, params in zip(times, hands, strict=True):
        background, light = scene_at(float(t), rooms)
        rgb = shade(actor.surfaces(params), K, HEIGHT, WIDTH, light, background=background, samples=3, occlusion_views=24).rgb
        found += bool(detector.detect(rgb))
        video.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    video.release()
    detector.close()
    joints = np.stack([actor.rig.mesh(params)[1] for params in hands])
    np.savez_compressed(
        folder / "demo.npz",
        K=K,
        t_s=times,
        joints_camera_m=joints.astype(np.float32),
        joints_px=project(joints, K).astype(np.float32),
        pose=np.stack([p.pose for p in hands]).astype(np.float32),
        shape=SHAPE,
        root_rotation=np.stack([p.root_rotation for p in hands]).astype(np.float32),
        translation_m=np.stack([p.translation_m for p in hands]).astype(np.float32),
    )
    size = (folder / "demo.mp4").stat().st_size / 1e6
    print(f"{len(times)} pictures, {size:.2f} MB; MediaPipe finds the hand in {found} of them ({100 * found / len(times):.1f} %)")


def main() -> None:
    parser = argparse.ArgumentParser(description="Rebuild the bundled clip.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "handviz" / "assets" / "clip")
    build(parser.parse_args().out)


if __name__ == "__main__":
    main()
