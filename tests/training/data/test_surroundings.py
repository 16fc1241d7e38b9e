"""A hand's surroundings and light follow the world's gravity, however the crop is turned."""

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handviz.errors import SourceError
from handviz.hand.model import load_hand_model
from training.data.synth.clutter import Posed, _head, _second_hand
from training.data.synth.command import SynthesisJob, render_job
from training.data.synth.recipe import BackgroundRecipe, ClutterRecipe, LightRecipe, Recipe
from training.data.synth.skin import skin_of
from training.data.synth.surroundings import Surroundings, background_chances, photo_from_pixel, read_panoramas


@pytest.mark.parametrize("change", [{}, {"key_chance": 1.0}, {"key_chance": 0.0}])
def test_light_is_the_worlds_however_the_crop_is_turned(change):
    places = Surroundings(panoramas=[], light=LightRecipe(**change), background=BackgroundRecipe())
    turn = cv2.Rodrigues(np.array([0.4, -0.3, 2.0]))[0]
    for seed in range(8):
        level, turned = (
            places.draw(np.random.default_rng(seed), R, np.diag([300.0, 300.0, 1.0]), 32, gain=1.0)[0] for R in (np.eye(3), turn)
        )
        back = turned.turned(turn.T)
        np.testing.assert_allclose(back.sun_direction, level.sun_direction, atol=1e-9)
        np.testing.assert_allclose(back.sh_93 / np.linalg.norm(back.sh_93), level.sh_93 / np.linalg.norm(level.sh_93), atol=1e-9)


def test_a_scene_whose_arm_holds_the_camera_is_drawn_again(monkeypatch):
    drawn = []

    def holds(vertices):
        drawn.append(len(vertices))
        return len(drawn) == 1

    monkeypatch.setattr("training.data.synth.command.SKINS_PER_HAND", 2)
    monkeypatch.setattr("training.data.synth.renderer.holds_camera", holds)
    recipe = Recipe(clutter=ClutterRecipe(no_arm_chance=0.0, sleeve_chance=0.0))
    samples = next(render_job(SynthesisJob(count=2, seed=3, workers=1, recipe=recipe)))
    assert len(samples) == 2 and len(drawn) > 2


def test_photographs_keep_their_upright_and_fill_the_crop():
    """A world turned about the axis turns the photograph with it; no part of a crop lies beyond the photograph."""
    rng, side, size = np.random.default_rng(0), 180, 64
    count = 200
    R = Rotation.random(count, random_state=rng).as_matrix()
    share, mirrored = rng.uniform(*BackgroundRecipe().photo_share, count), rng.random(count) < 0.5
    place = photo_from_pixel(R, share, mirrored, side, size)
    corners = np.array([[u, v, 1.0] for u in (0, size - 1) for v in (0, size - 1)])
    seen = corners @ place.transpose(0, 2, 1)
    assert seen[..., :2].min() > -0.5 and seen[..., :2].max() < side - 0.5
    np.testing.assert_allclose(place @ [(size - 1) / 2, (size - 1) / 2, 1.0], [[(side - 1) / 2, (side - 1) / 2, 1.0]] * count)
    # The world's down, as the crop shows it, is the photograph's down.
    down = np.concatenate([R[:, :2, 1] / np.linalg.norm(R[:, :2, 1], axis=1, keepdims=True), np.zeros((count, 1))], 1)
    moved = (place @ down[..., None])[:, :2, 0]
    np.testing.assert_allclose(moved, share[:, None] * side / size * np.array([0.0, 1.0]), atol=1e-9)
    assert np.array_equal(np.sign(np.linalg.det(place)), np.where(mirrored, -1, 1))


def test_photographs_are_backgrounds_where_there_are_some():
    photograph = np.full((90, 90, 3), (10, 200, 60), np.uint8)
    recipe = BackgroundRecipe(photo_weight=1.0, panorama_weight=0.0, wall_weight=0.0, noise_weight=0.0, gain=(1.0, 1.0))
    places = Surroundings(panoramas=[], light=LightRecipe(), background=recipe, photographs=[photograph])
    picture = places.draw(np.random.default_rng(0), np.eye(3), np.diag([300.0, 300.0, 1.0]), 32, gain=1.0)[1]
    assert (picture == (10, 200, 60)).all()
    chances = background_chances(BackgroundRecipe(), panoramas=False, photographs=False)
    assert chances[[0, 3]].sum() == 0 and chances.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_second_hand_has_its_arm_at_its_wrist(seed):
    model = load_hand_model()
    still = torch.zeros(1, 3)
    flat = model.forward(torch.zeros(1, 45), torch.zeros(1, 10), still, torch.ones(1), still)
    vertices, joints = (x[0].double().numpy() for x in (flat.vertices_BV3, flat.joints_BJ3))
    posed = Posed(
        model=model, vertices=vertices, joints=joints, second_vertices=vertices, R_crop_from_model=np.eye(3),
        t=np.array([0, 0, 0.8]), R_crop_from_world=np.eye(3),
    )  # fmt: skip
    skin = skin_of(np.full((8, 8, 3), 150, np.uint8), model, np.array([180.0, 140, 120]), 0.3)
    hand, arm = (s.vertices_V3 for s in _second_hand(np.random.default_rng(seed), posed, skin, Recipe()))
    ends = vertices[:, 0] > vertices[:, 0].max() - 0.004
    assert np.linalg.norm(hand[ends].mean(0) - arm[:21].mean(0)) < 0.035


def test_heads_stand_upright_in_the_world():
    model, turn = load_hand_model(), cv2.Rodrigues(np.array([0.4, -0.3, 2.0]))[0]
    flat = model.template_V3.double().numpy()
    posed = Posed(
        model=model, vertices=flat, joints=flat[:21], second_vertices=flat, R_crop_from_model=np.eye(3), t=np.array([0, 0, 0.5]),
        R_crop_from_world=turn,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    skin = skin_of(np.full((8, 8, 3), 150, np.uint8), model, np.array([180.0, 140, 120]), 0.3)
    rows = [_head(rng, posed, skin, ClutterRecipe()).vertices_V3.reshape(14, -1, 3).mean(1) for _ in range(30)]
    up = np.stack([(row[-1] - row[0]) / np.linalg.norm(row[-1] - row[0]) for row in rows])
    assert (up @ -turn[:, 1]).mean() > 0.8


def test_one_panorama_is_too_few_to_train_with(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((8, 16, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "a_light.hdr"), np.ones((4, 8, 3), np.float32))
    assert len(read_panoramas(tmp_path, test=True)) == 1
    with pytest.raises(SourceError, match="belongs to the test set"):
        read_panoramas(tmp_path)
