import numpy as np
import pytest
import torch

from handviz.render.light import light_from_radiance, panorama_background, panorama_directions, room_light, sh_basis
from handviz.render.raster import rasterize
from handviz.render.shade import shade
from handviz.render.surface import Surface, plain_texture, texture_of

K = np.array([[100.0, 0, 31.5], [0, 100.0, 23.5], [0, 0, 1]])
GREY = plain_texture((186, 186, 186))  # linear 0.491
MATT = {"specular": 0.0, "wrap": (0.0, 0.0, 0.0)}
TOWARDS_CAMERA = np.array([0.0, 0.0, -1.0])


def even_light(brightness=0.8):
    return light_from_radiance(np.full((16, 32, 3), brightness))


def wall(z=0.5, size=1.0, texture=GREY, **options):
    """A square that faces the camera."""
    corners = size * np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) + [0, 0, z]
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    uv = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    return Surface(vertices_V3=corners, faces_F3=faces, texture=texture, uv_V2=uv, **(MATT | options))


def ball_surface(ball, shift=(0, 0, 0), **options):
    vertices, faces = ball
    return Surface(vertices_V3=vertices.numpy() + shift, faces_F3=faces.numpy(), texture=GREY, **(MATT | options))


def linear(rgb):
    s = np.asarray(rgb) / 255.0
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def test_a_white_room_lights_a_matt_wall_with_its_own_brightness():
    picture = shade([wall()], K, 48, 64, even_light(0.8), occlusion_views=0)
    assert np.allclose(linear(picture.rgb), 0.8 * linear(186), atol=0.01)
    assert np.allclose(picture.coverage_SHW, 1)


def test_coverage_of_whole_pixels_agrees_with_the_rasteriser(ball):
    vertices, faces = ball
    mask = rasterize(vertices[None], faces, torch.tensor(K), 48, 64).mask_BHW[0].numpy()
    covered = shade([ball_surface(ball)], K, 48, 64, even_light(), samples=1).coverage_SHW[0]
    assert np.array_equal(covered > 0, mask)
    smooth = shade([ball_surface(ball)], K, 48, 64, even_light(), samples=4).coverage_SHW[0]
    assert abs(smooth.sum() - mask.sum()) < 0.02 * mask.sum()
    assert ((smooth > 0.05) & (smooth < 0.95)).sum() > 30


def test_edges_blend_with_the_background_in_linear_light(ball):
    background = np.full((48, 64, 3), 255, np.uint8)
    picture = shade([ball_surface(ball)], K, 48, 64, even_light(0.0), background=background)
    share = picture.coverage_SHW[0]
    assert np.allclose(linear(picture.rgb)[..., 0], 1 - share, atol=0.01)


def test_the_sun_lights_what_faces_it_and_casts_a_shadow(ball):
    light = room_light(np.array([1.0, 0.0, -1.0]), sun=1.0, sky=0.1, ground=0.1)
    lit = linear(shade([ball_surface(ball)], K, 48, 64, light, occlusion_views=0).rgb)
    assert lit[24, 44].mean() > 2.5 * lit[24, 20].mean()
    plain = linear(shade([wall(z=0.7, size=0.3)], K, 48, 64, light, occlusion_views=0).rgb)
    with_ball = shade([wall(z=0.7, size=0.3), ball_surface(ball)], K, 48, 64, light, occlusion_views=0)
    darker = linear(with_ball.rgb)[..., 0] < 0.5 * plain[..., 0]
    shadow = darker & (with_ball.coverage_SHW[0] == 1)
    assert shadow.sum() > 50
    # The light comes from the right, so that the shadow falls to the left.
    assert np.median(shadow.nonzero()[1]) < 20


def test_occlusion_darkens_where_two_surfaces_meet(ball):
    touching = [ball_surface(ball, (-0.1, 0, 0.2)), ball_surface(ball, (0.1, 0, 0.2))]
    picture = shade(touching, K, 48, 64, even_light(), occlusion_views=32)
    left = linear(picture.rgb)[22:26, :, 0]
    seen = picture.coverage_SHW[0, 22:26] == 1
    columns = np.nonzero(seen.all(0))[0]
    gap, far = left[:, columns[-3:]].mean(), left[:, columns[:3]].mean()
    assert gap < 0.8 * far


def test_texture_lies_the_right_way_up_and_keeps_its_colours():
    quarters = np.zeros((64, 64, 3), np.uint8)
    quarters[:32, :32], quarters[:32, 32:], quarters[32:, :32], quarters[32:, 32:] = 50, 100, 150, 200
    picture = shade([wall(size=0.1, texture=texture_of(quarters))], K, 48, 64, even_light(1.0), occlusion_views=0).rgb
    for (y, x), value in {(14, 22): 50, (14, 42): 100, (34, 22): 150, (34, 42): 200}.items():
        assert abs(int(picture[y, x, 0]) - value) <= 1


def test_small_texture_detail_is_averaged_not_aliased():
    checks = np.indices((512, 512)).sum(0) % 2 * 255
    texture = texture_of(np.repeat(checks[..., None], 3, 2).astype(np.uint8))
    picture = shade([wall(size=0.1, texture=texture)], K, 48, 64, even_light(1.0), occlusion_views=0).rgb
    inside = picture[8:40, 16:48, 0].astype(float)
    assert inside.std() < 8


def test_a_flat_normal_map_changes_nothing_and_a_tilted_one_does():
    light = room_light(np.array([1.0, 0.0, -1.0]), sun=1.0, sky=0.0, ground=0.0)
    flat = texture_of(np.full((4, 4, 3), (128, 128, 255), np.uint8))
    # Tilted along u, which grows to the right here: towards the sun.
    tilted = texture_of(np.full((4, 4, 3), (218, 128, 218), np.uint8))
    pictures = [
        linear(shade([wall(normal_map=bumps)], K, 48, 64, light, occlusion_views=0).rgb).mean() for bumps in (None, flat, tilted)
    ]
    assert abs(pictures[0] - pictures[1]) < 0.01
    assert pictures[2] > 1.3 * pictures[0]


def test_inside_and_outside_are_both_lit():
    backwards = Surface(vertices_V3=wall().vertices_V3, faces_F3=wall().faces_F3[:, ::-1].copy(), texture=GREY, **MATT)
    picture = shade([backwards], K, 48, 64, even_light(0.8), occlusion_views=0)
    assert np.allclose(linear(picture.rgb), 0.8 * linear(186), atol=0.01)


@pytest.mark.parametrize("case", ["none", "behind", "beside", "degenerate", "no faces"])
def test_nothing_to_see_gives_the_background(case):
    background = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    surfaces = {
        "none": [],
        "behind": [wall(z=-0.5)],
        "beside": [Surface(vertices_V3=wall().vertices_V3 + [9, 0, 0], faces_F3=wall().faces_F3, texture=GREY)],
        "degenerate": [Surface(vertices_V3=wall().vertices_V3, faces_F3=np.array([[0, 1, 1]]), texture=GREY)],
        "no faces": [Surface(vertices_V3=np.zeros((0, 3)), faces_F3=np.zeros((0, 3), np.int32), texture=GREY)],
    }[case]
    picture = shade(surfaces, K, 48, 64, room_light(TOWARDS_CAMERA), background=background)
    assert np.array_equal(picture.rgb, background)
    assert picture.coverage_SHW.shape == (len(surfaces), 48, 64)
    assert not picture.coverage_SHW.any()


def test_a_picture_without_area_is_empty():
    assert shade([wall()], K, 0, 64, even_light()).rgb.shape == (0, 64, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices_V3": np.full((4, 3), np.nan)}, "finite"),
        ({"faces_F3": np.array([[0, 1, 4]])}, "does not exist"),
        ({"uv_V2": np.zeros((3, 2))}, "as many uv"),
        ({"first_V": np.arange(3)}, "as many in first_V"),
        ({"first_V": np.array([0, 1, 2, 4])}, "does not exist"),
        ({"vertices_V3": np.zeros((4, 2))}, "needs vertices"),
    ],
)
def test_wrong_surfaces_are_refused_with_a_reason(change, message):
    good = {"vertices_V3": wall().vertices_V3, "faces_F3": wall().faces_F3, "texture": GREY}
    with pytest.raises(ValueError, match=message):
        shade([Surface(**(good | change))], K, 48, 64, even_light())


def test_light_runs_smoothly_across_a_seam():
    """A roof of two squares whose ridge has two vertices at each end, as along a texture's seam."""
    corners = np.array([[-0.1, -0.1, 0.6], [0, -0.1, 0.5], [0, 0.1, 0.5], [-0.1, 0.1, 0.6]])
    points = np.concatenate([corners, corners * [-1, 1, 1]])
    faces = np.array([[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]])
    light = room_light(np.array([-0.4, 0.0, -0.9]), sun=1.0)
    steps = []
    for first in (None, np.array([0, 1, 2, 3, 4, 1, 2, 7])):
        roof = Surface(vertices_V3=points, faces_F3=faces, texture=GREY, first_V=first, **MATT)
        row = shade([roof], K, 48, 64, light, occlusion_views=0).rgb[24, 20:44].astype(int).sum(-1)
        steps.append(np.abs(np.diff(row)).max())
    assert steps[1] < 0.35 * steps[0]


def test_wrong_textures_backgrounds_and_maps_are_refused():
    with pytest.raises(ValueError, match="texture"):
        texture_of(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="background"):
        shade([wall()], K, 48, 64, even_light(), background=np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="radiance"):
        light_from_radiance(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="finite values"):
        light_from_radiance(np.full((4, 8, 3), np.nan))


def test_orthographic_pictures_keep_size_with_depth():
    camera = np.array([[100.0, 0, 31.5], [0, 100.0, 23.5], [0, 0, 1]])
    near, far = (
        shade([wall(z=z, size=0.1)], camera, 48, 64, even_light(), orthographic=True).coverage_SHW.sum() for z in (0.5, 5.0)
    )
    assert near == far == pytest.approx(400, rel=0.1)


def test_spherical_harmonics_give_the_irradiance_of_a_map():
    rng = np.random.default_rng(3)
    radiance = np.kron(rng.uniform(0.2, 1.0, (4, 8, 3)), np.ones((8, 8, 1)))
    light = light_from_radiance(radiance)
    directions = panorama_directions(32, 64)
    solid = np.cos((np.arange(32) + 0.5) / 32 * np.pi - np.pi / 2)[:, None, None] * (np.pi / 32) ** 2
    for normal in np.eye(3):
        exact = (radiance * solid * np.maximum(directions @ normal, 0)[..., None]).sum((0, 1)) / np.pi
        assert np.allclose(
            sh_basis(normal) @ light.sh_93 + light.sun_rgb * max(normal @ light.sun_direction, 0), exact, rtol=0.06
        )


def test_a_bright_spot_becomes_the_sun_in_its_direction():
    radiance = np.full((32, 64, 3), 0.1)
    radiance[8, 48] = 300.0
    light = light_from_radiance(radiance)
    assert light.sun_direction @ panorama_directions(32, 64)[8, 48] > 0.9999
    assert light.sun_rgb.min() > 0.3


def test_turning_a_light_turns_sun_and_sky():
    R = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    light = light_from_radiance(np.random.default_rng(1).uniform(0, 1, (16, 32, 3)) ** 8 * 9)
    turned = light.turned(R)
    for normal in np.eye(3):
        assert np.allclose(sh_basis(R @ normal) @ turned.sh_93, sh_basis(normal) @ light.sh_93, atol=1e-5)
    assert np.allclose(turned.sun_direction, R @ light.sun_direction)


def test_exposure_sets_the_brightness_of_a_white_ball():
    light = room_light(np.array([0.3, -1.0, -1.0])).exposed(0.4)
    assert np.allclose(light.exposed(0.4).sh_93, light.sh_93)
    assert np.allclose(light.exposed(0.8).sun_rgb, 2 * light.sun_rgb)


def test_a_panorama_shows_what_its_directions_say():
    panorama = np.zeros((64, 128, 3), np.uint8)
    panorama[16:24, 92:100] = 255
    direction = panorama_directions(64, 128)[16:24, 92:100].mean((0, 1))
    forward = direction / np.linalg.norm(direction)
    right = np.cross([0, 1.0, 0], forward)
    right /= np.linalg.norm(right)
    R_camera_from_world = np.stack([right, np.cross(forward, right), forward])
    seen = panorama_background(panorama, K, 48, 64, R_camera_from_world)[..., 0]
    y, x = np.nonzero(seen > 128)
    assert abs(y.mean() - 23.5) < 1
    assert abs(x.mean() - 31.5) < 1
