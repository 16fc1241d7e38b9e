"""The recipe of a rendered hand: every factor and its range, in one place.

Ranges are (low, high) and drawn evenly, ``*_chance`` are probabilities, ``*_weights`` relative weights. Lengths in metres,
angles in degrees, light as a multiple of the mean light of the surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from training.data.dice import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseRecipe:
    """Poses: gestures of the library, mixtures of two, closed hands (fists and fists with one thing out), random ones."""

    gesture_weight: float = 0.30
    mixture_weight: float = 0.25
    closed_weight: float = 0.20
    random_weight: float = 0.25
    jitter_deg: float = 7.0
    # A gesture's fingers are bent by this much of what it says: nobody closes every finger to the end.
    bend_share: Range = (0.85, 1.0)
    # A pose is drawn again while any two bones that are not neighbours come nearer than this share of their thickness.
    overlap: float = 0.72
    max_redraws: int = 6
    shape_sigma: float = 1.0
    # None: shapes are normal, cut off at 2.5 standard deviations; else even, up to so many.
    shape_within: float | None = None
    scale: Range = (0.86, 1.14)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRecipe:
    """From where the hand is seen. Weights: palm or back towards a webcam, a wearer's view, edge-on, any view."""

    webcam: float = 0.48
    egocentric: float = 0.14
    edge_on: float = 0.13
    any: float = 0.25
    back_chance: float = 0.35
    yaw_sigma_deg: float = 32.0
    pitch_sigma_deg: float = 24.0
    roll_sigma_deg: float = 40.0
    distance: Range = (0.22, 1.1)
    # A sample is drawn again when fewer than this share of its joints lie on visible parts of the hand.
    min_visible: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinRecipe:
    """Skin from very light (0) to very dark (1), palms lighter on dark hands, blotches, shine; gloves rarely."""

    darkness: Range = (0.0, 1.0)
    tint_sigma: float = 0.05
    palm_lightening: Range = (0.25, 0.75)
    redness: Range = (0.0, 0.16)
    detail_strength: Range = (0.6, 1.5)
    shine: Range = (0.0, 0.28)
    shininess: Range = (6.0, 45.0)
    glove_chance: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ClutterRecipe:
    """Forearm and sleeve, things in the hand or before it, a second hand, a head behind."""

    no_arm_chance: float = 0.04
    sleeve_chance: float = 0.6
    sleeve_start: Range = (0.005, 0.12)
    sleeve_width: Range = (1.1, 1.5)
    wrist_bend_deg: float = 22.0
    held_chance: float = 0.12
    before_chance: float = 0.08
    second_hand_chance: float = 0.15
    head_chance: float = 0.18


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRecipe:
    """Light of the surroundings, and a key light more."""

    exposure: Range = (0.65, 1.7)
    # How far the camera's white balance takes the light's colour to white.
    white_balance: Range = (0.45, 1.0)
    flat_light_chance: float = 0.25
    key_chance: float = 0.55
    key_strength: Range = (0.3, 2.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundRecipe:
    """Photographed rooms where there are photographs, panoramas, plain walls, noise.

    Panoramas are seen through a lens ``widen`` times as wide as the crop's.
    """

    photo_weight: float = 0.5
    # Of a photograph's side; less than what could be turned out of it.
    photo_share: Range = (0.4, 0.7)
    panorama_weight: float = 0.75
    wall_weight: float = 0.2
    noise_weight: float = 0.04
    widen: Range = (1.0, 3.5)
    gain: Range = (0.55, 1.5)
    blur_chance: float = 0.5
    # Colours of a wall near the skin's own, so that colour alone does not give the hand away.
    skin_wall_chance: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecipe:
    """What a cheap camera does to a picture. Blurs in pixels of a 160 px crop."""

    defocus_chance: float = 0.5
    defocus: Range = (0.3, 1.6)
    motion_chance: float = 0.22
    motion: Range = (2.0, 11.0)
    low_res_chance: float = 0.3
    low_res: Range = (1.5, 3.5)
    noise_chance: float = 0.7
    noise: Range = (0.002, 0.035)
    white_balance_sigma: float = 0.09
    gamma: Range = (0.72, 1.15)
    contrast: Range = (0.75, 1.25)
    under_chance: float = 0.05
    over_chance: float = 0.06
    grey_chance: float = 0.03
    jpeg_chance: float = 0.6
    jpeg_quality: tuple[int, int] = (25, 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything about a rendered hand."""

    pose: PoseRecipe = field(default_factory=PoseRecipe)
    view: ViewRecipe = field(default_factory=ViewRecipe)
    skin: SkinRecipe = field(default_factory=SkinRecipe)
    clutter: ClutterRecipe = field(default_factory=ClutterRecipe)
    light: LightRecipe = field(default_factory=LightRecipe)
    background: BackgroundRecipe = field(default_factory=BackgroundRecipe)
    camera: CameraRecipe = field(default_factory=CameraRecipe)


def webcam_like() -> Recipe:
    """Return a recipe of ordinary webcam pictures: mostly frontal views, decent light, mild faults.

    Skin's shading, detail and redness are spread as in 212 photographed hands of four folders (standard deviation over mean of
    smooth shading, quartiles .13 .19 .26; of detail .044 .067 .103; ln red/green .10 at 5 %, .31 in the middle).
    """
    return Recipe(
        view=ViewRecipe(
            webcam=0.83, egocentric=0.0, edge_on=0.1, any=0.07, yaw_sigma_deg=25.0, pitch_sigma_deg=18.0, roll_sigma_deg=20.0
        ),
        skin=SkinRecipe(glove_chance=0.0, detail_strength=(1.0, 2.6)),
        clutter=ClutterRecipe(held_chance=0.0, before_chance=0.0, second_hand_chance=0.1),
        light=LightRecipe(exposure=(0.8, 1.4), key_chance=0.8, key_strength=(0.5, 3.0)),
        # Panoramas are halls, streets and meadows; a webcam's hands are in rooms, before people.
        background=BackgroundRecipe(photo_weight=1.5, noise_weight=0.0, skin_wall_chance=0.1),
        camera=CameraRecipe(
            white_balance_sigma=0.045,
            defocus_chance=0.35,
            defocus=(0.3, 0.9),
            motion=(2.0, 5.0),
            low_res=(1.2, 2.0),
            noise=(0.002, 0.015),
            under_chance=0.0,
            over_chance=0.0,
            grey_chance=0.0,
            jpeg_quality=(60, 95),
        ),
    )
