"""The recipes by name, each a function that returns one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from handviz.models.dense import dense_live_config, dense_paper_config
from handviz.models.groups import GroupsConfig
from handviz.models.hourglass import HourglassConfig
from training.dense.losses import DenseLossWeights
from training.losses import LossWeights
from training.recipes.records import DataPart, Recipe, SelfAugmentation, Stage, Temperature

# The last part of a training uses second-opinion labels.
_END_DATA = (DataPart(source="rendered", share=0.6), DataPart(source="photos-2/train.safetensors", share=0.4))
# About how often the detector mistakes a hand's side, so that the side head's answers are true probabilities in use.
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
        # Small pictures first: a step costs a quarter, and most of a pose can be learned from them.
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
    """Further training of groups-live (``--start WEIGHTS``): the learned groups are kept, small pictures are skipped."""
    begun = groups_live()
    _, middle, last = begun.stages
    return dataclasses.replace(
        begun,
        name="groups-live-further",
        stages=(dataclasses.replace(middle, share=0.35, lr=1.5e-3), dataclasses.replace(last, share=0.65, lr=1.5e-3)),
        # Cold from the start: one-hot samples of what was learned.
        temperature=Temperature(start=0.0, drop_per_1000=None, ends_at=0.5),
    )


def groups_live_regroup() -> Recipe:
    """New groups on a trained network's shared layers (``--start WEIGHTS --set network.groups=5``): first the groups alone, on
    the frozen hourglass, which costs half; then everything, from crops as the app mostly sees them."""
    begun = groups_live()
    step: dict[str, Any] = {"batch_size": 32, "lr_selector": 2e-2, "warmup_steps": 100}
    assert isinstance(begun.loss, LossWeights)
    return dataclasses.replace(
        begun,
        name="groups-live-regroup",
        data=_END_DATA,
        loss=dataclasses.replace(begun.loss, depth=5.0, opinion_depth=0.5),
        stages=(
            Stage(learns="groups", share=0.5, lr=1.5e-3, lr_fusion=1.5e-3, schedule="constant", **step),
            Stage(learns="everything", share=0.5, lr=6e-4, lr_fusion=6e-4, schedule="cosine", **step),
        ),
        steps=10_000,
        temperature=Temperature(start=5.0, drop_per_1000=None, ends_at=0.4),
        augmentation="mild",
    )


def groups_live_side() -> Recipe:
    """The last minutes of groups-live-regroup's training (``--start WEIGHTS``): the side head alone, as in dense-live-side."""
    return dataclasses.replace(_side_alone(groups_live_regroup()), name="groups-live-side")


def _side_alone(begun: Recipe) -> Recipe:
    stage = Stage(learns="side", share=1.0, batch_size=32, lr=1e-3, schedule="cosine", warmup_steps=20)
    return dataclasses.replace(begun, stages=(stage,), steps=2000, mirrored=1.0)


def dense_paper() -> Recipe:
    """The paper's dense network at full size, with all the supervision that rendered and fitted hands offer."""
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
    """The paper's own setting: 2D and 3D joints and masks, no parameters and no vertices; Adam at 1e-3; Eq. 7 and ``place``."""
    paper = dense_paper()
    return dataclasses.replace(
        paper,
        name="dense-paper-2d",
        stages=(Stage(learns="everything", share=1.0, batch_size=64, lr=1e-3),),
        loss=DenseLossWeights(heat=0.1, limits=0.0, shape_prior=0.0),
    )


def one_rate(lr: float) -> dict[str, Any]:
    """Return one learning rate for all, the groups network's selector and fusion too."""
    return {"lr": lr, "lr_selector": lr, "lr_fusion": lr}


def dense_live() -> Recipe:
    """The shipped dense network: starts from ``training warm-dense`` (``--start``); mesh and groups then learn together.

    The groups network inside keeps learning by its own losses, which weigh most; ``training export --groups`` extracts it.
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
        mask=0.6,
        mask_samples=4,
        mask_head=2.0,
        evidence=1.0,
    )
    return Recipe(
        name="dense-live",
        network=dense_live_config(live_network()),
        data=(DataPart(source="rendered", share=0.6), DataPart(source="photos", share=0.4)),
        stages=(Stage(learns="everything", share=1.0, batch_size=32, schedule="cosine", warmup_steps=200, **one_rate(1.2e-3)),),
        steps=40_000,
        loss=loss,
        # For a groups network that learns its groups here. One that has learned them already stays cold.
        temperature=Temperature(start=5.0, drop_per_1000=None, ends_at=0.5),
        weight_decay=1e-2,
        ema_decay=0.998,
        mirrored=MIRRORED,
    )


def dense_live_end() -> Recipe:
    """The end of dense-live's training (``--start WEIGHTS``): half the learning rate, crops as the app mostly sees them.

    Photographs have second-opinion labels (``training second-opinion``), whose depths count half. New views of its own fits
    (section 3.5 of the paper) are an eighth of what it learns from.
    """
    begun = dense_live()
    assert isinstance(begun.loss, DenseLossWeights)
    return dataclasses.replace(
        begun,
        name="dense-live-end",
        data=_END_DATA,
        loss=dataclasses.replace(begun.loss, groups=dataclasses.replace(begun.loss.groups, opinion_depth=0.5)),
        stages=tuple(dataclasses.replace(stage, batch_size=28, **one_rate(stage.lr / 2)) for stage in begun.stages),
        augmentation="mild",
        self_augmentation=SelfAugmentation(from_share=0.0, every=4, seeds=2, per_batch=4),
    )


def dense_live_side() -> Recipe:
    """The last minutes of dense-live's training (``--start WEIGHTS``): the side head alone, from as many left as right hands."""
    return dataclasses.replace(_side_alone(dense_live_end()), name="dense-live-side", self_augmentation=None)


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "groups-live": groups_live,
    "groups-live-further": groups_live_further,
    "groups-live-regroup": groups_live_regroup,
    "groups-live-side": groups_live_side,
    "dense-live": dense_live,
    "dense-live-end": dense_live_end,
    "dense-live-side": dense_live_side,
    "dense-paper": dense_paper,
    "dense-paper-2d": dense_paper_2d,
    "groups-paper-rhd": groups_paper_rhd,
    "groups-paper-stb": groups_paper_stb,
    "groups-paper-freihand": groups_paper_freihand,
}
