"""The recipe of a rendered hand: every factor and its range, in one place.

Ranges are (low, high) and drawn uniformly, ``*_chance`` are probabilities, ``*_weights`` relative weights, ``*_sigma`` standard
deviations. Lengths in metres, angles in degrees (``*_rad`` in radians), light as a multiple of the mean light of the
surroundings. Both renderers, sample by sample and in batches, draw from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from training.data.dice import Range

Triple = tuple[float, float, float]

# No second hand is shown nearer to the camera's plane than this (metres).
NEAREST_SECOND_M = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseRecipe:
    """Poses: gestures of the library, mixtures of two, closed hands (fists and fists with one finger out), random ones."""

    gesture_weight: float = 0.30
    mixture_weight: float = 0.25
    closed_weight: float = 0.20
    random_weight: float = 0.25
    jitter_deg: float = 7.0
    # A gesture's fingers are bent by this share of its angles: nobody closes every finger completely.
    bend_share: Range = (0.85, 1.0)
    # A pose is drawn again while any two bones that are not neighbours come nearer than this share of their thickness.
    overlap: float = 0.72
    max_redraws: int = 6
    shape_sigma: float = 1.0
    # None: shapes are normal, clipped at 2.5 standard deviations; else uniform, up to this many.
    shape_within: float | None = None
    scale: Range = (0.86, 1.14)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRecipe:
    """Where the hand is seen from. Weights: palm or back towards a webcam, a wearer's view, edge-on, any view."""

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
    # Share of light reflected head-on by the shiniest skin (``shine`` 1).
    full_shine: float = 0.25
    # How far light wraps around into shadow, a share for red, green and blue.
    wrap: Triple = (0.3, 0.12, 0.06)
    glove_wrap: Triple = (0.05, 0.05, 0.05)
    glove_chance: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ClutterRecipe:
    """Forearm and sleeve, objects in the hand or in front of it, a second hand, a head behind.

    Half sizes are along an object's own axes. ``*_squareness`` lists values to choose from: 1 is an ellipsoid, less is more
    like a box.
    """

    no_arm_chance: float = 0.04
    sleeve_chance: float = 0.6
    sleeve_start: Range = (0.005, 0.12)
    sleeve_width: Range = (1.1, 1.5)
    # Share of light that cloth reflects head-on, and the exponent of its highlight.
    sleeve_specular: float = 0.01
    sleeve_gloss: float = 8.0
    # A normal draw's sigma, and the share of it that each axis of the bend takes.
    wrist_bend_deg: float = 22.0
    wrist_bend_axes: Triple = (0.2, 0.6, 1.0)
    # Factor on the skin's colour at the wrist.
    arm_brightness: Range = (0.97, 1.03)
    held_chance: float = 0.12
    # Half sizes of a stick, a box, a ball and a phone, and the factor on them.
    held_half: tuple[Triple, ...] = ((0.008, 0.008, 0.09), (0.03, 0.03, 0.07), (0.035, 0.035, 0.035), (0.006, 0.037, 0.075))
    held_size: Range = (0.7, 1.2)
    held_squareness: tuple[float, ...] = (0.25, 0.6, 1.0)
    # Share of light that a held object reflects head-on.
    held_specular: float = 0.04
    before_chance: float = 0.08
    # Position between the camera and a joint of the hand, as a share of that distance.
    before_way: Range = (0.55, 0.9)
    # Each axis's half size is drawn separately, then multiplied.
    before_half: Range = (0.004, 0.028)
    before_stretch: Triple = (1.0, 1.0, 2.0)
    before_squareness: tuple[float, ...] = (0.25, 0.6, 1.0)
    second_hand_chance: float = 0.15
    second_left_chance: float = 0.7
    # It is oriented like the first hand, else randomly; then it is turned by a normal draw about each axis.
    second_alike_chance: float = 0.5
    second_turn_sigma_rad: float = 0.5
    # Offset from the first hand's middle: across the line of sight, and along it (negative: nearer to the camera).
    second_aside: Range = (0.08, 0.2)
    second_behind: Range = (-0.04, 0.15)
    head_chance: float = 0.18
    # The head's distance from the camera over the hand's, and a normal draw across the line of sight.
    head_distance: Range = (1.25, 2.2)
    head_aside_sigma: float = 0.09
    # With the hand's own skin colour; never where the hand is gloved.
    head_own_skin_chance: float = 0.7
    # Half width, half depth and half height, and the factor on them.
    head_half: Triple = (0.075, 0.09, 0.115)
    head_size: Range = (0.9, 1.1)
    head_nod_sigma_rad: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRecipe:
    """Light of the surroundings, and an additional key light.

    Lamps and key lights shine from the direction ``lamp_from`` (x right, y down, z away) plus a standard normal draw.
    """

    # Drawn uniformly in its logarithm; at 1, a matt white ball has the mean linear luminance ``middle_exposure``.
    exposure: Range = (0.65, 1.7)
    middle_exposure: float = 0.5
    # How much more light there is for the darkest skin, as a share.
    dark_skin_gain: float = 0.7
    # How far the camera's white balance moves the light's colour towards white.
    white_balance: Range = (0.45, 1.0)
    lamp_from: Triple = (0.0, -0.5, -0.8)
    # A light without a panorama: linear brightness on white facing up, down, and the lamp; warmth from blue -1 to yellow 1.
    flat_light_chance: float = 0.25
    flat_sky: Range = (0.4, 0.8)
    flat_ground: Range = (0.2, 0.6)
    flat_lamp: Range = (0.0, 0.8)
    flat_warmth: Range = (-0.5, 0.8)
    key_chance: float = 0.55
    key_strength: Range = (0.3, 2.2)
    key_warmth: Range = (-0.25, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundRecipe:
    """Photographed rooms where photographs are given, panoramas, plain walls, noise.

    Panoramas are seen through a lens ``widen`` times as wide as the crop's, whose focal length counts as at most
    ``longest_lens`` crop widths.
    """

    photo_weight: float = 0.5
    # Share of a photograph's side; small enough that the crop can be rotated inside it.
    photo_share: Range = (0.4, 0.7)
    photo_mirrored_chance: float = 0.5
    panorama_weight: float = 0.75
    wall_weight: float = 0.2
    noise_weight: float = 0.04
    widen: Range = (1.0, 3.5)
    longest_lens: float = 1.2
    # Factor on the picture's sRGB values.
    gain: Range = (0.55, 1.5)
    blur_chance: float = 0.5
    # Sigma in pixels of the crop.
    blur: Range = (0.5, 4.0)
    # Walls coloured like skin, so that colour alone does not give the hand away.
    skin_wall_chance: float = 0.25
    # Darkness of that skin, from very light (0) to very dark (1), and the factor on its colour.
    skin_wall_darkness: Range = (0.0, 0.8)
    skin_wall_brightness: Range = (0.7, 1.1)


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
    # Share of the noise that comes in spots of two pixels; the rest in spots of one.
    noise_spots: float = 0.4
    white_balance_sigma: float = 0.09
    gamma: Range = (0.72, 1.15)
    contrast: Range = (0.75, 1.25)
    # Far too dark or too bright, by these factors.
    under_chance: float = 0.05
    under: Range = (0.2, 0.6)
    over_chance: float = 0.06
    over: Range = (1.4, 2.3)
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
        # Panoramas show halls, streets and meadows; a webcam's hands are in rooms, in front of people.
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
