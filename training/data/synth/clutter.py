"""The scene of a posed hand: its own surface, forearm and sleeve, objects, a second hand, a head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import mirror_faces, mirror_points
from handviz.hand.model import HandModel
from handviz.hand.skeleton import WRIST, palm_length
from handviz.render.surface import Surface, Texture, plain_texture, texture_of
from training.data.synth.patterns import cloth, face, thing
from training.data.synth.props import HEAD_UPRIGHT, Mesh, ellipsoid, forearm, grip
from training.data.synth.recipe import NEAREST_SECOND_M, ClutterRecipe, Recipe, SkinRecipe
from training.data.synth.skin import Skin, tone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posed:
    """One posed hand in the model's frame, another pose of it for a second hand, and the transform to the crop camera.

    ``R_crop_from_world`` (3, 3) tells the direction of gravity; see ``views``.
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
    """Return the hand's forearm and its sleeve, if the recipe draws them: none, one or two tubes."""
    return _arm(rng, posed, skin, recipe) if rng.random() >= recipe.clutter.no_arm_chance else []


def clutter_around(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: Recipe) -> list[Surface]:
    """Return everything else of the scene, drawn by the recipe."""
    clutter, surfaces = recipe.clutter, []
    if rng.random() < clutter.held_chance:
        surfaces.append(_held(rng, posed, clutter))
    if rng.random() < clutter.before_chance:
        surfaces.append(_before(rng, posed, clutter))
    if rng.random() < clutter.second_hand_chance:
        surfaces += _second_hand(rng, posed, skin, recipe)
    if rng.random() < clutter.head_chance:
        surfaces.append(_head(rng, posed, skin, clutter))
    return surfaces


def _skin_surface(rng: np.random.Generator, vertices: FloatArray, model: HandModel, skin: Skin, recipe: SkinRecipe) -> Surface:
    return Surface(
        vertices_V3=vertices,
        faces_F3=model.faces_F3.numpy(),
        uv_V2=model.uv_V2.numpy() % 1.0,
        texture=skin.texture,
        first_V=model.first_V,
        specular=float(rng.uniform(*recipe.shine)) * recipe.full_shine,
        gloss=float(rng.uniform(*recipe.shininess)),
        wrap=recipe.glove_wrap if skin.is_glove else recipe.wrap,
    )


def _surface(posed: Posed, mesh: Mesh, texture: Texture, **looks: float) -> Surface:
    return _textured(replace(mesh, vertices=posed.to_camera(mesh.vertices)), texture, **looks)


def _textured(mesh: Mesh, texture: Texture, **looks: float) -> Surface:
    """Return the surface of a mesh in the camera's frame."""
    return Surface(vertices_V3=mesh.vertices, faces_F3=mesh.faces, uv_V2=mesh.uv, texture=texture, first_V=mesh.first_V, **looks)  # type: ignore[arg-type]


def _arm(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: Recipe) -> list[Surface]:
    clutter, wrist = recipe.clutter, posed.joints[WRIST]
    palm = float(palm_length(posed.joints))
    bend = _wrist_bend(rng, clutter)
    arm = _surface(posed, forearm(wrist, palm, bend), _arm_texture(rng, skin, clutter))
    if rng.random() >= clutter.sleeve_chance:
        return [arm]
    start = rng.uniform(*clutter.sleeve_start) / palm
    mesh = forearm(wrist, palm, bend, start=start, width=rng.uniform(*clutter.sleeve_width))
    sleeve = _surface(posed, mesh, texture_of(cloth(rng)), specular=clutter.sleeve_specular, gloss=clutter.sleeve_gloss)
    return [arm, sleeve]


def _wrist_bend(rng: np.random.Generator, clutter: ClutterRecipe) -> FloatArray:
    """Return the axis-angle (3,) between a hand and its forearm."""
    return np.radians(rng.normal(0, clutter.wrist_bend_deg, 3)) * np.array(clutter.wrist_bend_axes)


def _arm_texture(rng: np.random.Generator, skin: Skin, clutter: ClutterRecipe) -> Texture:
    red, green, blue = (int(c) for c in np.clip(skin.arm_colour * rng.uniform(*clutter.arm_brightness), 0, 255))
    return plain_texture((red, green, blue))


def _held(rng: np.random.Generator, posed: Posed, clutter: ClutterRecipe) -> Surface:
    """Return an object between the palm and the fingertips: a stick, a box, a ball, a phone."""
    half = np.array(clutter.held_half[rng.integers(len(clutter.held_half))]) * rng.uniform(*clutter.held_size)
    R = Rotation.random(random_state=rng).as_matrix()
    mesh = ellipsoid(grip(posed.joints), half, R, squareness=rng.choice(clutter.held_squareness))
    return _surface(posed, mesh, texture_of(thing(rng)), specular=clutter.held_specular)


def _before(rng: np.random.Generator, posed: Posed, clutter: ClutterRecipe) -> Surface:
    """Return an object between camera and hand that hides a part of it."""
    target = posed.to_camera(posed.joints[rng.integers(len(posed.joints))])
    centre = target * rng.uniform(*clutter.before_way)
    half = rng.uniform(*clutter.before_half, 3) * np.array(clutter.before_stretch)
    R = Rotation.random(random_state=rng).as_matrix()
    mesh = ellipsoid(centre, half, R, squareness=rng.choice(clutter.before_squareness))
    return _textured(mesh, texture_of(thing(rng)))


def _second_hand(rng: np.random.Generator, posed: Posed, skin: Skin, recipe: Recipe) -> list[Surface]:
    """Return another hand with its forearm, left or right, beside or behind, rarely in front, in any direction."""
    clutter = recipe.clutter
    left = rng.random() < clutter.second_left_chance
    arm = forearm(posed.joints[WRIST], float(palm_length(posed.joints)), _wrist_bend(rng, clutter))
    points = np.concatenate([posed.second_vertices, arm.vertices])
    vertices = mirror_points(points) if left else points
    R = posed.R_crop_from_model if rng.random() < clutter.second_alike_chance else Rotation.random(random_state=rng).as_matrix()
    hand = slice(len(posed.second_vertices))
    turn = Rotation.from_rotvec(rng.normal(0, clutter.second_turn_sigma_rad, 3)).as_matrix()
    turned = (vertices - vertices[hand].mean(0)) @ R.T @ turn.T
    away = rng.normal(0, 1, 3)
    away[:2] *= rng.uniform(*clutter.second_aside) / np.linalg.norm(away[:2])
    away[2] = rng.uniform(*clutter.second_behind)
    own = posed.to_camera(posed.joints).mean(0)
    placed = turned + own + away
    if placed[:, 2].min() < NEAREST_SECOND_M:
        return []
    surfaces = [
        _skin_surface(rng, placed[hand], posed.model, skin, recipe.skin),
        _textured(replace(arm, vertices=placed[hand.stop :]), _arm_texture(rng, skin, clutter)),
    ]
    return [replace(surface, faces_F3=mirror_faces(surface.faces_F3)) if left else surface for surface in surfaces]


def _head(rng: np.random.Generator, posed: Posed, skin: Skin, clutter: ClutterRecipe) -> Surface:
    """Return a head somewhere behind the hand, mostly of the hand's own skin colour."""
    centre = posed.to_camera(posed.joints).mean(0) * rng.uniform(*clutter.head_distance)
    centre = centre + rng.normal(0, clutter.head_aside_sigma, 3) * [1, 1, 0]
    colour = skin.colour if rng.random() < clutter.head_own_skin_chance and not skin.is_glove else tone(rng.random())
    half = np.array(clutter.head_half) * rng.uniform(*clutter.head_size)
    nod = Rotation.from_rotvec(rng.normal(0, clutter.head_nod_sigma_rad, 3)).as_matrix()
    mesh = ellipsoid(centre, half[[1, 0, 2]], nod @ posed.R_crop_from_world @ HEAD_UPRIGHT)
    return _textured(mesh, texture_of(face(rng, colour)))
