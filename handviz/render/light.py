"""Light: a small radiance map becomes nine irradiance coefficients per colour and one sun that casts shadows.

Irradiance follows Ramamoorthi and Hanrahan (2001): radiance is projected on real spherical harmonics up to degree 2
and convolved with the cosine lobe, which keeps natural light on a matt surface to within 3 %.

A panorama's frame has the camera's axes: its middle column looks along +z, columns grow to the right (+x), rows
grow downwards (+y).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
# Cosine-lobe factors of degree 0, 1, 2 over pi, so that albedo times the sum is outgoing radiance.
_LOBE = np.array([1.0, 2 / 3, 2 / 3, 2 / 3, 0.25, 0.25, 0.25, 0.25, 0.25])
_SUN_RADIUS = np.cos(np.radians(18.0))
_SUN_OVER_MEAN = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Light:
    """Light on a scene, in linear RGB, in the camera frame; or, with leading axes, on each of many scenes.

    ``sh_93`` (..., 9, 3): a matt white surface of normal n shines with ``sh_basis(n) @ sh_93``. ``sun_direction`` (..., 3) unit,
    towards the sun; ``sun_rgb`` (..., 3) what a matt white surface that faces it shines with; zero for none.
    """

    sh_93: FloatArray
    sun_direction: FloatArray
    sun_rgb: FloatArray

    def turned(self, R: FloatArray) -> Light:
        """Return the light after its world is turned by R (..., 3, 3)."""
        points, solve = _sh_samples()
        sh = solve @ (sh_basis(points @ R) @ self.sh_93)
        return replace(self, sh_93=sh, sun_direction=(R @ self.sun_direction[..., None])[..., 0])

    def exposed(self, brightness: FloatArray | float) -> Light:
        """Return the light scaled so that a matt white ball in front of the camera has this mean linear luminance."""
        normals, basis = _ball()
        direct = np.maximum(normals @ self.sun_direction[..., None], 0) * self.sun_rgb[..., None, :]
        seen = np.maximum(basis @ self.sh_93, 0) + direct
        gain = np.asarray(brightness / np.maximum((seen @ _LUMINANCE).mean(-1), 1e-9))
        return replace(self, sh_93=self.sh_93 * gain[..., None, None], sun_rgb=self.sun_rgb * gain[..., None])


@cache
def _sh_samples() -> tuple[FloatArray, FloatArray]:
    """Return directions (64, 3) and the map (9, 64) from light in them to the harmonics that fit it best."""
    points = fibonacci_sphere(64)
    return points, np.linalg.pinv(sh_basis(points))


@cache
def _ball() -> tuple[FloatArray, FloatArray]:
    """Return normals (N, 3) of a ball's side towards the camera, and their harmonics (N, 9)."""
    normals = fibonacci_sphere(256)
    normals = normals[normals[:, 2] < -0.1]
    return normals, sh_basis(normals)


def sh_basis(n: FloatArray) -> FloatArray:
    """Return the nine real spherical harmonics (..., 9) of unit vectors (..., 3)."""
    x, y, z = n[..., 0], n[..., 1], n[..., 2]
    one = np.ones_like(x)
    linear = [0.282095 * one, 0.488603 * y, 0.488603 * z, 0.488603 * x]
    square = [1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)]
    return np.stack(linear + square, -1)


def panorama_directions(height: int, width: int) -> FloatArray:
    """Return the unit directions (H, W, 3) of an equirectangular map's pixels."""
    turn = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    down = (np.arange(height) + 0.5) / height * np.pi - np.pi / 2
    turn_HW, down_HW = np.meshgrid(turn, down)
    return np.stack([np.sin(turn_HW) * np.cos(down_HW), np.sin(down_HW), np.cos(turn_HW) * np.cos(down_HW)], -1)


def light_from_radiance(radiance_HW3: FloatArray) -> Light:
    """Return the light of an equirectangular radiance map (H, W, 3), linear RGB, in the panorama's frame.

    The brightest spot within 18 degrees becomes the sun as far as it outshines four times the mean; the rest becomes
    spherical harmonics. Raises ValueError for a map that is not (H, W, 3) or holds negative or infinite light.
    """
    if radiance_HW3.ndim != 3 or radiance_HW3.shape[2] != 3 or min(radiance_HW3.shape) == 0:
        raise ValueError(f"a radiance map must have shape (H, W, 3), not {radiance_HW3.shape}")
    if not np.isfinite(radiance_HW3).all() or radiance_HW3.min() < 0:
        raise ValueError("a radiance map must hold finite values of at least zero")
    height, width = radiance_HW3.shape[:2]
    direction = panorama_directions(height, width)
    solid = np.cos((np.arange(height) + 0.5) / height * np.pi - np.pi / 2)[:, None] * (np.pi / height) * (2 * np.pi / width)
    excess = _sun_excess(radiance_HW3, direction, solid)
    flux = (excess * solid[..., None]).reshape(-1, 3)
    toward = (flux @ _LUMINANCE) @ direction.reshape(-1, 3)
    length = float(np.linalg.norm(toward))
    sun = toward / length if length > 0 else np.array([0.0, -1.0, 0.0])
    rest = (radiance_HW3 - excess) * solid[..., None]
    sh = (sh_basis(direction).reshape(-1, 9).T @ rest.reshape(-1, 3)) * _LOBE[:, None]
    return Light(sh_93=sh, sun_direction=sun, sun_rgb=flux.sum(0) / np.pi)


def _sun_excess(radiance_HW3: FloatArray, direction_HW3: FloatArray, solid: FloatArray) -> FloatArray:
    """Return the light (H, W, 3) of the brightest spot above four times the mean."""
    luminance = radiance_HW3 @ _LUMINANCE
    limit = _SUN_OVER_MEAN * float((luminance * solid).sum() / (solid.sum() * luminance.shape[1]))
    peak = direction_HW3.reshape(-1, 3)[np.argmax(luminance)]
    share = np.where(direction_HW3 @ peak > _SUN_RADIUS, np.maximum(1 - limit / np.maximum(luminance, 1e-12), 0), 0)
    return np.asarray(radiance_HW3 * share[..., None])


def room_light(
    sun_direction: FloatArray, *, sun: float = 0.7, sky: float = 0.5, ground: float = 0.25, warmth: float = 0.0
) -> Light:
    """Return a simple light that needs no file: brighter above than below, and one lamp or window.

    ``sun_direction`` (3,) points towards the lamp, camera frame; ``sun``, ``sky``, ``ground`` are linear brightness on a white
    surface facing each; ``warmth`` in [-1, 1] turns the lamp from blue to yellow.
    """
    rows = np.linspace(0, 1, 16)[:, None, None]
    gradient = np.repeat(sky * (1 - rows) + ground * rows, 32, 1) * np.array([0.97, 1.0, 1.03])
    base = light_from_radiance(gradient)
    colour = sun * lamp_colour(warmth)
    return replace(base, sun_direction=np.asarray(sun_direction / np.linalg.norm(sun_direction)), sun_rgb=colour)


def lamp_colour(warmth: FloatArray | float) -> FloatArray:
    """Return the linear colour (..., 3) of a lamp, or of each of many, from blue (-1) to yellow (1)."""
    return np.asarray(1 + np.asarray(warmth)[..., None] * np.array([0.25, 0.0, -0.35]))


def panorama_background(
    panorama_HW3: npt.NDArray[np.uint8], K: FloatArray, height: int, width: int, R_camera_from_world: FloatArray
) -> npt.NDArray[np.uint8]:
    """Return what a camera (height, width, 3) sees of an equirectangular picture, with the frame used for its light."""
    v, u = np.mgrid[0:height, 0:width].astype(np.float64)
    ray = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T @ R_camera_from_world
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    rows, columns = panorama_HW3.shape[:2]
    x = (np.arctan2(ray[..., 0], ray[..., 2]) / (2 * np.pi) + 0.5) * columns - 0.5
    y = (np.arcsin(np.clip(ray[..., 1], -1, 1)) / np.pi + 0.5) * rows - 0.5
    mapped = cv2.remap(panorama_HW3, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(mapped, np.uint8)


def fibonacci_sphere(count: int) -> FloatArray:
    """Return ``count`` unit vectors (count, 3) spread evenly over all directions."""
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, i * np.pi * (3 - 5**0.5)
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], -1)
