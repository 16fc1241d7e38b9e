"""Recipes: functions that return a frozen configuration. ``training fit NAME --set key=value`` changes single values."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from handviz.errors import HandvizError
from handviz.models.dense import DenseConfig, dense_live_config, dense_paper_config
from handviz.models.groups import GroupsConfig
from handviz.models.hourglass import HourglassConfig
from training.dense.losses import DenseLossWeights
from training.losses import LossWeights
from training.recipe_checks import problems_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """One data source of a mixture: a name that ``training.data.sources`` knows or a pack folder, and its share of each batch."""

    source: str
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the training: what learns, for which share of the whole, how fast.

    ``hourglass`` is the groups network's hourglass alone, on 2D joints; ``mesh`` all of a dense network but the groups
    network inside; ``side`` the side head alone.
    """

    learns: Literal["hourglass", "mesh", "side", "everything"]
    share: float
    batch_size: int
    lr: float
    lr_selector: float = 1e-1
    lr_fusion: float = 1e-2
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    input_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """How the selector's temperature falls: by ``drop_per_1000`` steps as in the paper, or in a line until a share of the run."""

    start: float = 5.0
    drop_per_1000: float | None = 0.1
    ends_at: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAugmentation:
    """New views of the network's own fits (Baek et al. 2019, section 3.5), from a share of the run on.

    ``seeds`` fits of each batch give ``views`` new hands each; ``per_batch`` of the newest ``keep`` join every batch
    (of each process, under ``torchrun``).
    ``from_share`` stands for the paper's 20 epochs; ``every`` so many steps seeds are taken; ``picture_texture`` is how often
    the picture's own colours are used; ``panoramas`` a folder of backgrounds (None: walls and noise).
    """

    from_share: float = 0.3
    every: int = 1
    seeds: int = 4
    views: int = 3
    per_batch: int = 12
    keep: int = 4096
    shape_sigma: float = 3.0
    picture_texture: float = 0.5
    panoramas: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides a training run. ``steps`` is its length; ``--minutes`` sets a time instead.

    ``augmentation`` is ``training.data.augment``'s: ``full``, ``mild`` for the end of a training, ``paper`` (Li et al.'s), or
    ``none``. ``mirrored``, a share of a batch, says how many of its hands join it once more as left ones, where the network
    tells a hand's side.
    """

    name: str
    network: GroupsConfig | DenseConfig
    data: tuple[DataPart, ...]
    stages: tuple[Stage, ...]
    steps: int
    loss: LossWeights | DenseLossWeights = field(default_factory=LossWeights)
    temperature: Temperature = field(default_factory=Temperature)
    seed: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 5.0
    ema_decay: float = 0.999
    mixed_precision: bool = True
    augmentation: Literal["full", "mild", "paper", "none"] = "full"
    mirrored: float = 0.0
    sync_norm: bool = False
    self_augmentation: SelfAugmentation | None = None
    save_every_s: float = 120.0
    log_every: int = 50
    picture_every: int = 500


# About as often the detector takes a hand for one of the other side: beliefs about sides are then chances in use.
MIRRORED = 1 / 7


def live_network(**changes: Any) -> GroupsConfig:
    """Return the network for two CPU cores: 128 x 128 crops, wider where maps are small, foldable norms, depth lift."""
    hourglass = HourglassConfig(
        block="postactivation",
        stem_width=16,
        light_stem=True,
        level_widths=(64, 128, 192, 256),
        level_modules=(1, 2, 4, 4),
    )
    plain: dict[str, Any] = {
        "input_size": 128,
        "hourglass": hourglass,
        "neck_widths": (64, 32),
        "branch_widths": (32, 32, 32),
        "light_heads": True,
        "lift": True,
        "presence": True,
        "side": True,
    }
    return GroupsConfig(**(plain | changes))


def _paper(name: str, data: tuple[DataPart, ...]) -> Recipe:
    # Epochs and weight decay are unknown in the paper; the temperature needs 50,000 steps to fall from 5 to about 0.
    return Recipe(
        name=name,
        network=GroupsConfig(),
        data=data,
        stages=(
            Stage(learns="hourglass", share=0.2, batch_size=64, lr=1e-3),
            Stage(learns="everything", share=0.8, batch_size=32, lr=1e-4),
        ),
        steps=75_000,
        augmentation="paper",
    )


def groups_paper_rhd() -> Recipe:
    """The paper's training on RHD: two stages, Adam, learning rates and temperature as published."""
    return _paper("groups-paper-rhd", (DataPart(source="rhd"),))


def groups_paper_stb() -> Recipe:
    """The paper's training on STB."""
    return _paper("groups-paper-stb", (DataPart(source="stb"),))


def groups_paper_freihand() -> Recipe:
    """The paper's training on FreiHAND."""
    return _paper("groups-paper-freihand", (DataPart(source="freihand"),))


def groups_live() -> Recipe:
    """The shipped network: rendered and pseudo-labelled hands, AdamW with a cosine, heatmap loss; hours on two cores."""
    step: dict[str, Any] = {
        "learns": "everything",
        "batch_size": 32,
        "lr": 2e-3,
        "lr_selector": 2e-2,
        "lr_fusion": 2e-3,
        "warmup_steps": 200,
    }
    return Recipe(
        name="groups-live",
        network=live_network(),
        data=(DataPart(source="rendered", share=0.65), DataPart(source="photos", share=0.35)),
        # Small pictures first: a step costs a quarter, and most of what a pose is can be learned from them.
        stages=(
            Stage(share=0.4, input_size=64, schedule="constant", **step),
            Stage(share=0.25, input_size=96, schedule="constant", **step),
            Stage(share=0.35, schedule="cosine", **step),
        ),
        steps=40_000,
        loss=LossWeights(xy=0.2, depth=3.0, heat=1.0, first=0.3, presence=0.5, side=0.5),
        temperature=Temperature(start=5.0, drop_per_1000=None, ends_at=0.5),
        weight_decay=1e-2,
        ema_decay=0.998,
        mirrored=MIRRORED,
    )


def groups_live_further() -> Recipe:
    """More training of groups-live (``--start WEIGHTS``): the learned groups stay as they are, small pictures are skipped."""
    begun = groups_live()
    _, middle, last = begun.stages
    return dataclasses.replace(
        begun,
        name="groups-live-further",
        stages=(dataclasses.replace(middle, share=0.35, lr=1.5e-3), dataclasses.replace(last, share=0.65, lr=1.5e-3)),
        # Cold from the start: one-hot samples of what was learned.
        temperature=Temperature(start=0.0, drop_per_1000=None, ends_at=0.5),
    )


def dense_paper() -> Recipe:
    """The paper's dense network at full size, with everything rendered and fitted hands can teach it."""
    return Recipe(
        name="dense-paper",
        network=dense_paper_config(),
        data=(DataPart(source="rendered", share=0.65), DataPart(source="photos", share=0.35)),
        stages=(Stage(learns="everything", share=1.0, batch_size=64, lr=1e-3, schedule="cosine", warmup_steps=500),),
        steps=200_000,
        loss=DenseLossWeights(norm=1, vertices=2.0, pose=1.0, turn=1.0, shape=0.05, feature=0.1, heat=0.1),
        self_augmentation=SelfAugmentation(),
    )


def dense_paper_2d() -> Recipe:
    """The paper's own setting: 2D and 3D joints and masks, no parameters and no vertices; Adam at 1e-3; Eq. 7 as it stands."""
    paper = dense_paper()
    return dataclasses.replace(
        paper,
        name="dense-paper-2d",
        stages=(Stage(learns="everything", share=1.0, batch_size=64, lr=1e-3),),
        loss=DenseLossWeights(heat=0.1),
    )


def dense_live() -> Recipe:
    """The shipped dense network: begins from ``training warm-dense`` (``--start``); mesh and groups then learn together.

    The groups network inside goes on learning its own losses, which weigh most; ``training export --groups`` takes it out.
    """
    loss = DenseLossWeights(
        norm=1,
        articulation=2.0,
        place=2.0,
        vertices=3.0,
        pose=1.5,
        turn=2.0,
        shape=0.05,
        refiner=2.0,
        feature=0.0,
        heat=0.0,
        laplacian=0.0,
        mask=4.0,
        mask_samples=4,
        mask_head=2.0,
        evidence=1.0,
    )
    return Recipe(
        name="dense-live",
        network=dense_live_config(live_network()),
        data=(DataPart(source="rendered", share=0.6), DataPart(source="photos", share=0.4)),
        stages=(Stage(learns="everything", share=1.0, batch_size=32, lr=1.2e-3, schedule="cosine", warmup_steps=200),),
        steps=40_000,
        loss=loss,
        # Of a groups network that learns its groups here. One that has learned them stays as it is.
        temperature=Temperature(start=5.0, drop_per_1000=None, ends_at=0.5),
        weight_decay=1e-2,
        ema_decay=0.998,
        mirrored=MIRRORED,
    )


def dense_live_end() -> Recipe:
    """The end of dense-live's training (``--start WEIGHTS``): half the learning rate, crops as the app mostly sees them.

    Photographs have depths of a second opinion (``training second-opinion``), which count half. New views of its own fits
    (section 3.5 of the paper) are an eighth of what it learns from.
    """
    begun = dense_live()
    assert isinstance(begun.loss, DenseLossWeights)
    return dataclasses.replace(
        begun,
        name="dense-live-end",
        data=(DataPart(source="rendered", share=0.6), DataPart(source="photos-2/train.safetensors", share=0.4)),
        loss=dataclasses.replace(begun.loss, groups=dataclasses.replace(begun.loss.groups, opinion_depth=0.5)),
        stages=tuple(dataclasses.replace(stage, lr=stage.lr / 2, batch_size=28) for stage in begun.stages),
        augmentation="mild",
        self_augmentation=SelfAugmentation(from_share=0.0, every=4, seeds=2, per_batch=4),
    )


def dense_live_side() -> Recipe:
    """The last minutes of dense-live's training (``--start WEIGHTS``): the side head alone, from as many left as right hands."""
    begun = dense_live_end()
    return dataclasses.replace(
        begun,
        name="dense-live-side",
        stages=(Stage(learns="side", share=1.0, batch_size=32, lr=1e-3, schedule="cosine", warmup_steps=20),),
        steps=2000,
        mirrored=1.0,
        self_augmentation=None,
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "groups-live": groups_live,
    "groups-live-further": groups_live_further,
    "dense-live": dense_live,
    "dense-live-end": dense_live_end,
    "dense-live-side": dense_live_side,
    "dense-paper": dense_paper,
    "dense-paper-2d": dense_paper_2d,
    "groups-paper-rhd": groups_paper_rhd,
    "groups-paper-stb": groups_paper_stb,
    "groups-paper-freihand": groups_paper_freihand,
}


def recipe(name: str, changes: Mapping[str, str] | None = None, *, base: Recipe | None = None) -> Recipe:
    """Return the recipe of this name with changes such as ``{"seed": "3", "network.groups": "5"}``.

    Values are JSON (a bare word is a string). ``base`` is changed instead of the named recipe where given.
    Raises HandvizError for an unknown recipe, key or unfitting value.
    """
    make = RECIPES.get(name)
    if make is None:
        raise HandvizError(f"unknown recipe '{name}'. Choose one of: {', '.join(RECIPES)}")
    result = base or make()
    for key, text in (changes or {}).items():
        result = _changed(result, key.split("."), _value(text), f"recipe {name}: {key}")
    for problem in problems_of(result):
        raise HandvizError(f"recipe {name}: {problem}")
    return result


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _data_parts(value: Any, what: str) -> tuple[DataPart, ...]:
    """Turn a source's name, or a list of names and of {"source": NAME, "share": NUMBER}, into parts."""
    entries = value if isinstance(value, tuple) else (value,)
    parts = []
    for entry in entries:
        part = {"source": entry} if isinstance(entry, str) else entry
        good = isinstance(part, dict) and set(part) <= {"source", "share"} and isinstance(part.get("source"), str)
        share = part.get("share", 1.0) if good else None
        if not isinstance(share, (int, float)) or not 0 < share < math.inf:
            raise HandvizError(
                f'{what}: give a source\'s name, or a list such as [{{"source": "rendered", "share": 0.65}}, "photos"]'
            )
        parts.append(DataPart(source=part["source"], share=share))
    return tuple(parts)


def _default_part(config: Any, name: str) -> Any:
    """Return what a field that holds nothing yet begins as, where it may hold a part with fields of its own and defaults."""
    kinds = get_args(get_type_hints(type(config))[name])
    return next((kind() for kind in kinds if dataclasses.is_dataclass(kind) and isinstance(kind, type)), None)


def _check(config: Any, name: str, value: Any, what: str) -> None:
    """Raise HandvizError where a field of a configuration can not hold a value."""
    hint = get_type_hints(type(config))[name]
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise HandvizError(f"{what}: unknown {name} '{value}'. Choose one of: {', '.join(map(str, get_args(hint)))}")
        return
    kinds = [get_origin(kind) or kind for kind in (get_args(hint) if isinstance(hint, UnionType) else (hint,))]
    if float in kinds:
        kinds.append(int)
    # Python takes True for 1.
    if not isinstance(value, tuple(kinds)) or (isinstance(value, bool) and bool not in kinds):
        named = " or ".join({NoneType: "null", tuple: "a list"}.get(kind, kind.__name__) for kind in kinds)
        raise HandvizError(f"{what}: needs {named}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise HandvizError(f"{what}: needs a finite number, not {value}")
    if isinstance(value, tuple):
        _check_list(get_args(hint), value, what)


def _check_list(kinds: tuple[Any, ...], values: tuple[Any, ...], what: str) -> None:
    """Raise HandvizError where a list of sizes or counts is not of the length that its field has, or not of whole numbers."""
    open_ended = kinds[-1] is Ellipsis
    if not open_ended and len(values) != len(kinds):
        raise HandvizError(f"{what}: needs a list of {len(kinds)}, not of {len(values)}")
    if any(type(value) is not int or value < 1 for value in values):
        raise HandvizError(f"{what}: needs a list of whole numbers from 1, not {list(values)!r}")


def _changed_stages(stages: tuple[Stage, ...], path: list[str], value: Any, what: str) -> tuple[Stage, ...]:
    """Return stages with one field of one of them changed; ``path`` is its number and the field."""
    number = path[0] if len(path) == 2 else ""
    if not number.isdecimal() or int(number) >= len(stages):
        raise HandvizError(f"{what}: name a stage, 0 to {len(stages) - 1}, and what to change of it, such as stages.0.lr=0.001")
    at = int(number)
    return (*stages[:at], _changed(stages[at], path[1:], value, what), *stages[at + 1 :])


def _changed(config: Any, path: list[str], value: Any, what: str) -> Any:
    known = [f.name for f in dataclasses.fields(config)]
    head, *rest = path
    if head not in known:
        raise HandvizError(f"{what}: unknown key '{head}'. Known here: {', '.join(known)}")
    old = getattr(config, head)
    if head == "stages":
        value = _changed_stages(old, rest, value, what)
    elif rest:
        old = _default_part(config, head) if old is None else old
        if not dataclasses.is_dataclass(old):
            raise HandvizError(f"{what}: '{head}' has no parts. Set it as a whole.")
        value = _changed(old, rest, value, what)
    elif head == "data":
        value = _data_parts(value, what)
    else:
        _check(config, head, value, what)
    try:
        return dataclasses.replace(config, **{head: value})
    except (ValueError, TypeError) as error:
        raise HandvizError(f"{what}: {error}") from error
