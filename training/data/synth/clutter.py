"""The scene around a posed hand: its own surface, forearm and sleeve, things, a second hand, a head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import mirror_faces, mirror_points
from handviz.hand.model import HandModel
from handviz.hand.skeleton import FINGERTIPS, MIDDLE_MCP, WRIST, palm_length
from handviz.render.surface import Surface, Texture, plain_texture, texture_of
from training.data.synth.patterns import cloth, face, thing
from training.data.synth.props import Mesh, ellipsoid, forearm
from training.data.synth.recipe import Recipe, SkinRecipe
from training.data.synth.skin import Skin, tone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posed:
    """One posed hand in the model's frame, another pose of it for a second hand, and the way to the crop camera.

    ``R_crop_from_world`` (3, 3) says where gravity went; see ``views``.
    """

    model: HandModel
    vertices: FloatArray
    joints: FloatArray
    second_vertices: FloatArray
    R_crop_from_model: FloatArray
    t: FloatArray
    R_crop_from_world: FloatArray

    def to_camera(self, points: FloatArray) -> FloatArray:
        """Bring points (..., 3) to the crop camera's frame."""
        return np.asarray(points @ self.R_crop_from_model.T + self.t)


def hand_surface(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: SkinRecipe) -> Surface:
    """Return the labelled hand's surface."""
    return _skin_surface(rng, posed.to_camera(posed.vertices), posed.model, skin, recipe)


def arm_of(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: Recipe) -> list[Surface]:
    """Return the hand's forearm and its sleeve, as far as the recipe draws them: none, one or two tubes."""
    return _arm(rng, posed, skin, recipe) if rng.random() >= recipe.clutter.no_arm_chance else []


def clutter_around(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: Recipe) -> list[Surface]:
    """Return everything else of the scene, drawn by the recipe."""
    clutter, surfaces = recipe.clutter, []
    if rng.random() < clutter.held_chance:
        surfaces.append(_held(rng, posed))
    if rng.random() < clutter.before_chance:
        surfaces.append(_before(rng, posed))
    if rng.random() < clutter.second_hand_chance:
        surfaces += _second_hand(rng, posed, skin, recipe)
    if rng.random() < clutter.head_chance:
        surfaces.append(_head(rng, posed, skin))
    return surfaces


def _skin_surface(rng: np.random.Generator, vertices: FloatArray, model: HandModel, skin: Skin, recipe: SkinRecipe) -> Surface:
    wrap = (0.05, 0.05, 0.05) if skin.is_glove else (0.3, 0.12, 0.06)
    return Surface(
        vertices_V3=vertices,
        faces_F3=model.faces_F3.numpy(),
        uv_V2=model.uv_V2.numpy() % 1.0,
        texture=skin.texture,
        first_V=model.first_V,
        specular=float(rng.uniform(*recipe.shine)) * 0.25,
        gloss=float(rng.uniform(*recipe.shininess)),
        wrap=wrap,
    )


def _surface(posed: Posed, mesh: Mesh, texture: Texture, **looks: float) -> Surface:
    return _textured(replace(mesh, vertices=posed.to_camera(mesh.vertices)), texture, **looks)


def _textured(mesh: Mesh, texture: Texture, **looks: float) -> Surface:
    """Return the surface of a mesh in the camera's frame."""
    return Surface(vertices_V3=mesh.vertices, faces_F3=mesh.faces, uv_V2=mesh.uv, texture=texture, first_V=mesh.first_V, **looks)  # type: ignore[arg-type]


def _arm(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: Recipe) -> list[Surface]:
    clutter, wrist = recipe.clutter, posed.joints[WRIST]
    palm = float(palm_length(posed.joints))
    bend = _wrist_bend(rng, recipe)
    arm = _surface(posed, forearm(wrist, palm, bend), _arm_texture(rng, skin))
    if rng.random() >= clutter.sleeve_chance:
        return [arm]
    start = rng.uniform(*clutter.sleeve_start) / palm
    mesh = forearm(wrist, palm, bend, start=start, width=rng.uniform(*clutter.sleeve_width))
    sleeve = _surface(posed, mesh, texture_of(cloth(rng)), specular=0.01, gloss=8.0)
    return [arm, sleeve]


def _wrist_bend(rng: np.random.Generator, recipe: Recipe) -> FloatArray:
    """Return the axis-angle (3,) between a hand and its forearm."""
    return np.radians(rng.normal(0, recipe.clutter.wrist_bend_deg, 3)) * np.array([0.2, 0.6, 1.0])


def _arm_texture(rng: np.random.Generator, skin: Skin) -> Texture:
    red, green, blue = (int(c) for c in np.clip(skin.arm_colour * rng.uniform(0.97, 1.03), 0, 255))
    return plain_texture((red, green, blue))


def _held(rng: np.random.Generator, posed: Posed) -> Surface:
    """Return a thing between the palm and the fingertips: a stick, a box, a ball, a phone."""
    tips = posed.joints[list(FINGERTIPS)].mean(0)
    palm = 0.5 * (posed.joints[WRIST] + posed.joints[MIDDLE_MCP])
    centre = 0.6 * tips + 0.4 * palm + np.array([0.0, -0.012, 0.0])
    sizes = [(0.008, 0.008, 0.09), (0.03, 0.03, 0.07), (0.035, 0.035, 0.035), (0.006, 0.037, 0.075)]
    half = np.array(sizes[rng.integers(len(sizes))]) * rng.uniform(0.7, 1.2)
    R = Rotation.random(random_state=rng).as_matrix()
    return _surface(
        posed, ellipsoid(centre, half, R, squareness=rng.choice([0.25, 0.6, 1.0])), texture_of(thing(rng)), specular=0.04
    )


def _before(rng: np.random.Generator, posed: Posed) -> Surface:
    """Return a thing between camera and hand that hides a part of it."""
    target = posed.to_camera(posed.joints[rng.integers(len(posed.joints))])
    centre = target * rng.uniform(0.55, 0.9)
    half = rng.uniform(0.004, 0.028, 3) * np.array([1.0, 1.0, 2.0])
    mesh = ellipsoid(centre, half, Rotation.random(random_state=rng).as_matrix(), squareness=rng.choice([0.25, 0.6, 1.0]))
    return _textured(mesh, texture_of(thing(rng)))


def _second_hand(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: Recipe) -> list[Surface]:
    """Return another hand with its forearm, left or right, beside or behind, seldom before, in any direction."""
    left = rng.random() < 0.7
    arm = forearm(posed.joints[WRIST], float(palm_length(posed.joints)), _wrist_bend(rng, recipe))
    points = np.concatenate([posed.second_vertices, arm.vertices])
    vertices = mirror_points(points) if left else points
    R = posed.R_crop_from_model if rng.random() < 0.5 else Rotation.random(random_state=rng).as_matrix()
    hand = slice(len(posed.second_vertices))
    turned = (vertices - vertices[hand].mean(0)) @ R.T @ Rotation.from_rotvec(rng.normal(0, 0.5, 3)).as_matrix().T
    away = rng.normal(0, 1, 3)
    away[:2] *= rng.uniform(0.08, 0.2) / np.linalg.norm(away[:2])
    away[2] = rng.uniform(-0.04, 0.15)
    own = posed.to_camera(posed.joints).mean(0)
    placed = turned + own + away
    if placed[:, 2].min() < 0.08:
        return []
    surfaces = [
        _skin_surface(rng, placed[hand], posed.model, skin, recipe.skin),
        _textured(replace(arm, vertices=placed[hand.stop :]), _arm_texture(rng, skin)),
    ]
    return [replace(surface, faces_F3=mirror_faces(surface.faces_F3)) if left else surface for surface in surfaces]


def _head(rng: np.random.Generator, posed: Posed, skin: Skin) -> Surface:
    """Return a head somewhere behind the hand, mostly of the hand's own skin colour."""
    centre = posed.to_camera(posed.joints).mean(0) * rng.uniform(1.25, 2.2) + rng.normal(0, 0.09, 3) * [1, 1, 0]
    colour = skin.colour if rng.random() < 0.7 and not skin.is_glove else tone(rng.random())
    half = np.array([0.075, 0.09, 0.115]) * rng.uniform(0.9, 1.1)
    # The ellipsoid's pole is its z: stand it up; its picture's middle column looks along -x: turn it to the camera.
    upright = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]) @ np.diag([-1.0, 1.0, 1.0])
    nod = Rotation.from_rotvec(rng.normal(0, 0.4, 3)).as_matrix()
    mesh = ellipsoid(centre, half[[1, 0, 2]], nod @ posed.R_crop_from_world @ upright)
    return _textured(mesh, texture_of(face(rng, colour)))
