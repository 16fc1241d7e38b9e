"""More looks at one crop: points are seen in the right place, and are mapped back to where they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handviz.crop import CropWindow, cut_crop, image_to_crop
from handviz.estimate.dense_looks import together
from handviz.estimate.looks import Look, look_again
from handviz.fit.refinement import Target
from handviz.fit.seen import Seen
from handviz.fit.silhouette import Silhouette
from handviz.geometry.camera import FloatArray, camera_from_fov, project
from handviz.hand.mirror import Side
from handviz.records import HandCrop, HandParams
from tests.crops import project_to_crop

CAMERA = camera_from_fov(640, 480)
LOOKS = (Look(), Look(roll_deg=20.0, zoom=1.2), Look(roll_deg=-10.0, zoom=0.9))
MAP = 32
PARAMS = HandParams(pose=np.zeros(45), shape=np.zeros(10), root_rotation=np.zeros(3), translation_m=np.array([0.0, 0.0, 0.5]))


def crop_with_a_dot(side: Side) -> tuple[HandCrop, FloatArray]:
    """A crop of a picture with one bright dot, and the dot's position in front of the camera."""
    place = np.array([0.13, -0.06, 0.5])
    u, v = project(place[None], CAMERA.K)[0].round().astype(int)
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[v - 3 : v + 4, u - 3 : u + 4] = 255
    return cut_crop(rgb, CAMERA, CropWindow(u=u - 15.0, v=v + 10.0, side=160, roll=0.4), side, 128), place


def seen_of(crop: HandCrop, places_m: FloatArray, nudge_px: float) -> Seen:
    """The answer of a network that sees points, and a square mask around the first one, each moved a little."""
    pixels = project_to_crop(places_m, crop) + nudge_px
    cells = (np.mgrid[:MAP, :MAP].transpose(1, 2, 0)[..., ::-1] + 0.5) * (crop.size / MAP) - 0.5
    mask = (np.abs(cells - pixels[0]).max(-1) < 20).astype(float)
    target = Target(
        K=crop.K_crop,
        joints_px_J2=pixels,
        sigma_px_J=np.full(21, 1.0 + nudge_px),
        depth_J=np.full(21, nudge_px),
        sigma_depth_J=np.full(21, 0.1),
        silhouette=Silhouette.of(mask, crop.size, crop.K_crop),
    )
    nothing = np.zeros(21)
    return Seen(
        params=PARAMS,
        target=target,
        refined_px_J2=target.joints_px_J2,
        heatmaps=nothing,
        feature=nothing,
        mask_SS=mask,
        score=1.0,
        confidence=nothing,
    )


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("look", LOOKS)
def test_a_look_is_a_crop_of_its_own(side: Side, look: Look) -> None:
    crop, place = crop_with_a_dot(side)
    seen = look_again(crop, look)
    at = project_to_crop(place[None], seen)[0]
    rows, columns = (seen.rgb[..., 0] > 128).nonzero()
    np.testing.assert_allclose([columns.mean(), rows.mean()], at, atol=1.0)
    np.testing.assert_allclose(image_to_crop(project(place[None], CAMERA.K), seen.H_crop_from_image)[0], at, atol=1e-6)
    assert np.hypot(*(at - seen.K_crop[:2, 2])) == pytest.approx(
        look.zoom * np.hypot(*(project_to_crop(place[None], crop)[0] - crop.K_crop[:2, 2]))
    )


@pytest.mark.parametrize("side", ["right", "left"])
def test_looks_come_back_to_the_first_crop(side: Side) -> None:
    crop, place = crop_with_a_dot(side)
    places = place + 0.02 * np.random.default_rng(0).normal(size=(21, 3))
    crops = [look_again(crop, look) for look in LOOKS]
    seen = together(crops, [seen_of(one, places, 0.0) for one in crops])
    alone = seen_of(crop, places, 0.0)
    np.testing.assert_allclose(seen.target.joints_px_J2, alone.target.joints_px_J2, atol=1e-6)
    assert seen.target.silhouette is not None and alone.target.silhouette is not None
    both, first = seen.target.silhouette.mask_SS, alone.target.silhouette.mask_SS
    # A square turned back is no longer the same square, but it is in the same place.
    assert (both & first).sum() > 0.85 * (both | first).sum()
    np.testing.assert_allclose(np.argwhere(both).mean(0), np.argwhere(first).mean(0), atol=1.0)


def test_what_looks_say_is_averaged() -> None:
    crop, place = crop_with_a_dot("right")
    places = place + 0.02 * np.random.default_rng(0).normal(size=(21, 3))
    crops = [look_again(crop, Look()), look_again(crop, Look())]
    seen = together(crops, [seen_of(one, places, nudge) for one, nudge in zip(crops, (0.0, 2.0), strict=True)])
    np.testing.assert_allclose(seen.target.joints_px_J2, project_to_crop(places, crop) + 1.0, atol=1e-6)
    assert seen.target.depth_J is not None
    np.testing.assert_allclose(seen.target.depth_J, 1.0)
    np.testing.assert_allclose(seen.target.sigma_px_J, 2.0)
    assert seen.side_chance is None
    sides = [replace(seen_of(crop, places, 0.0), side_chance=chance) for chance in (0.2, 0.6)]
    assert together(crops, sides).side_chance == pytest.approx(0.4)
