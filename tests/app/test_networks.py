"""Estimators and networks in the window: what can run, other weights without a restart, whose heatmaps, the selector."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QFileDialog

from handviz.app.application import App
from handviz.app.model_form import OPEN_FILE
from handviz.app.offering import Installed, Offering
from handviz.app.resolve import resolve
from handviz.app.state import Offer, Wish
from handviz.capture.base import SourceSpec, parse_source
from handviz.hand.skeleton import JOINT_NAMES
from handviz.models.checkpoint import save_groups, save_weights
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from handviz.models.weights_files import Weights, WeightsFile, own_folder
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.session import Session

VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))
SMALL = HourglassConfig(light_stem=True, stem_width=16, level_widths=(16, 16), level_modules=(1, 1))


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path / "data"))


def put_weights(name: str, groups: int) -> Path:
    """An untrained network with K groups among the user's own weights."""
    config = GroupsConfig(input_size=32, hourglass=SMALL, groups=groups, neck_widths=(8,), branch_widths=(8, 8, 8), presence=True)
    path = own_folder() / f"{name}.safetensors"
    save_groups(path, GroupsNetwork(config), {})
    return path


def texts(combo: QComboBox) -> list[str]:
    return [combo.itemText(place) for place in range(combo.count())]


def choose(combo: QComboBox, text: str) -> None:
    """Choose as with the mouse: only the user's choices emit the signal."""
    place = texts(combo).index(text)
    combo.setCurrentIndex(place)
    combo.activated.emit(place)


# What can run


def offering(**weights: int) -> Offering:
    files = {name: (WeightsFile(path=Path(f"{name}.safetensors"), kind=name),) * count for name, count in weights.items()}
    return Offering(
        Installed(
            estimators=lambda: ("fit", "groups", "dense"),
            hand_models=lambda: ("default",),
            lacks=lambda name: None if name == "fit" or files.get(name) else f"no weights for '{name}'",
            weights=lambda name: files.get(name, ()),
        )
    )


def test_estimators_without_weights_are_named_with_the_reason() -> None:
    looked = offering(groups=1)
    looked.survey(SessionConfig())
    assert looked.offer.lacking == (("dense", "no weights for 'dense'"),)
    looked.survey(SessionConfig(dense_weights=Path("mine.safetensors")))
    assert looked.offer.lacking == ()


def test_a_file_that_the_user_gave_is_listed_and_in_force() -> None:
    looked = offering(groups=1)
    config = SessionConfig(estimator="groups", groups_weights=Path("elsewhere/mine.safetensors"))
    looked.survey(config)
    controls = resolve(Wish(config=config), looked.offer).controls
    assert [words for words, _ in controls.networks] == ["groups", "mine"] and controls.network == "mine"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_networks_of_one_name_are_told_apart(place: int) -> None:
    shipped, own, given = (Path(folder) / "dense-live.safetensors" for folder in ("shipped", "models", "elsewhere"))
    files = tuple(WeightsFile(path=path, kind="dense") for path in (shipped, own))
    chosen = (None, own, given)[place]
    config = SessionConfig(estimator="dense", dense_weights=chosen)
    controls = resolve(Wish(config=config), Offer(weights=files, default_weights=shipped)).controls
    words = ["dense-live", "yours: dense-live", "elsewhere: dense-live"]
    assert [known for known, _ in controls.networks] == words[: max(place + 1, 2)]
    assert controls.network == words[place] and dict(controls.networks)[words[place]] == chosen


@pytest.fixture
def app(open_app: Callable[..., App]) -> App:
    return open_app(Wish(source=VIDEO, config=SessionConfig(estimator="groups")))


@pytest.mark.gui
def test_estimators_that_lack_weights_are_grey(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handviz.estimate.registry.weights_for", lambda name: ())
    app.controller.configure(smoothing=False)
    combo = app.window.panel.model.estimator
    model = combo.model()
    assert isinstance(model, QStandardItemModel)
    item = model.item(texts(combo).index("dense"))
    assert not item.isEnabled() and "no weights for 'dense'" in item.data(Qt.ItemDataRole.ToolTipRole)
    assert model.item(texts(combo).index("fit")).isEnabled()
    seen = set()
    for _ in range(4):
        app.commands.run("next_estimator")
        seen.add(app.controller.wish.config.estimator)
    assert seen == {"auto", "mediapipe", "fit"}


@pytest.mark.gui
def test_auto_says_which_one_it_is(app: App, qtbot: Any) -> None:
    choose(app.window.panel.model.estimator, "auto")
    assert app.controller.wish.config.estimator == "auto"
    qtbot.waitUntil(lambda: any("auto: mediapipe" in text for text in app.window.status.shown_texts()), timeout=60_000)


# Other weights


@pytest.mark.gui
def test_own_weights_are_listed_and_taken(app: App, factory: Any) -> None:
    mine = put_weights("mine", 5)
    app.controller.configure(smoothing=False)
    combo = app.window.panel.model.network
    assert texts(combo)[-2:] == ["K 5 · mine", OPEN_FILE]
    choose(combo, "K 5 · mine")
    assert factory.made[-1].config.options().weights == mine
    assert combo.currentText() == "K 5 · mine"
    choose(combo, texts(combo)[0])
    assert factory.made[-1].config.groups_weights is None, "the shipped ones are no choice of the user's"


@pytest.mark.gui
def test_a_hand_model_that_is_gone_stays_named_while_it_is_chosen() -> None:
    controls = resolve(Wish(config=SessionConfig(hand_model="gone")), Offer(hand_models=("default", "mine"))).controls
    assert controls.hand_models == ("default", "mine", "gone")
    assert resolve(Wish(), Offer(hand_models=("default", "mine"))).controls.hand_models == ("default", "mine")


def test_under_auto_another_network_stays_and_the_shipped_one_changes_nothing(app: App, factory: Any) -> None:
    mine = put_weights("mine", 5)
    app.controller.configure(estimator="auto")
    combo = app.window.panel.model.network
    choose(combo, texts(combo)[0])
    assert factory.made[-1].config.estimator == "auto"
    choose(combo, "K 5 · mine")
    config = factory.made[-1].config
    assert (config.estimator, config.options().weights) == ("groups-fit", mine)


@pytest.mark.gui
def test_a_file_from_elsewhere_is_opened_by_dialog_or_drop(
    app: App, factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "other.safetensors"
    put_weights("mine", 2).replace(elsewhere)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(elsewhere), ""))
    choose(app.window.panel.model.network, OPEN_FILE)
    assert factory.made[-1].config.groups_weights == elsewhere
    assert app.window.panel.model.network.currentText() == "other"
    app.controller.choices.network(None)
    app.controller.configure(estimator="fit")
    app.window.dropped.emit(str(elsewhere))
    assert factory.made[-1].config.estimator == "groups" and factory.made[-1].config.groups_weights == elsewhere
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    choose(app.window.panel.model.network, OPEN_FILE)
    assert app.window.panel.model.network.currentText() == "other"


@pytest.mark.gui
@pytest.mark.parametrize("what", ["gone", "text", "foreign"])
def test_a_wrong_file_is_told_and_nothing_changes(app: App, factory: Any, tmp_path: Path, what: str) -> None:
    path = tmp_path / f"{what}.safetensors"
    if what == "text":
        path.write_text("no weights")
    elif what == "foreign":
        save_weights(path, Weights(kind="theirs", config={}, tensors={"a": torch.ones(1)}, notes={}))
    before = factory.made[-1].config
    app.controller.choices.network(path)
    assert app.window.banner.isVisible() and path.name in app.window.banner.words.text()
    assert factory.made[-1].config == before and app.controller.wish.config == before
    assert app.window.panel.model.network.currentText().endswith("groups-live")


@pytest.mark.gui
def test_an_estimator_without_weights_of_its_own_keeps_those_of_others(app: App, factory: Any) -> None:
    mine = put_weights("mine", 5)
    app.controller.choices.network(mine)
    app.controller.configure(estimator="fit")
    combo = app.window.panel.model.network
    choose(combo, texts(combo)[0])
    assert factory.made[-1].config.groups_weights == mine and factory.made[-1].config.estimator == "fit"


@pytest.mark.gui
def test_networks_with_another_k_run_one_after_the_other(open_app: Callable[..., App], qtbot: Any, numbered_video: Path) -> None:
    two, four = put_weights("two", 2), put_weights("four", 4)
    config = SessionConfig(estimator="groups", groups_weights=two, device="cpu")
    app = open_app(Wish(source=parse_source(str(numbered_video)), config=config), Session)
    app.controller.playback.set_loop(True)
    page, tabs = app.window.plots.groups, app.window.plots.tabs
    tabs.setCurrentWidget(page)
    qtbot.waitUntil(lambda: page.selector_JK is not None and page.selector_JK.shape == (21, 2), timeout=60_000)
    app.controller.choices.network(four)
    qtbot.waitUntil(lambda: page.selector_JK is not None and page.selector_JK.shape == (21, 4), timeout=60_000)
    broken = own_folder() / "cut.safetensors"
    broken.write_bytes(four.read_bytes()[:-500])
    config = replace(app.controller.wish.config, groups_weights=broken)
    # As from a preset: the header was not read before.
    app.controller.change_wish(replace(app.controller.wish, config=config))
    qtbot.waitUntil(lambda: "cut.safetensors" in app.window.banner.words.text(), timeout=60_000)
    qtbot.waitUntil(lambda: app.controller.wish.config.groups_weights == four, timeout=60_000)
    assert page.selector_JK is not None and page.selector_JK.shape == (21, 4)


def choose_estimator_again(app: App) -> None:
    choose(app.window.panel.model.estimator, "groups")


def choose_network_again(app: App) -> None:
    choose(app.window.panel.model.network, app.window.panel.model.network.currentText())


def drop_again(app: App) -> None:
    app.window.dropped.emit(str(own_folder() / "mine.safetensors"))


@pytest.mark.gui
@pytest.mark.parametrize("choose_again", [choose_estimator_again, choose_network_again, drop_again])
def test_weights_that_were_written_anew_are_read_anew_when_they_are_chosen_again(
    open_app: Callable[..., App], qtbot: Any, numbered_video: Path, choose_again: Callable[[App], None]
) -> None:
    mine = put_weights("mine", 2)
    config = SessionConfig(estimator="groups", groups_weights=mine, device="cpu")
    app = open_app(Wish(source=parse_source(str(numbered_video)), config=config), Session)
    app.controller.playback.play_pause()
    page, tabs = app.window.plots.groups, app.window.plots.tabs
    tabs.setCurrentWidget(page)
    qtbot.waitUntil(lambda: page.selector_JK is not None and page.selector_JK.shape == (21, 2), timeout=60_000)
    config = app.controller.wish.config
    choose_again(app)
    assert app.controller.wish.config == config, "it is the same file"
    put_weights("mine", 4)
    held = app.controller.result
    app.controller.configure(smoothing=False)
    qtbot.waitUntil(lambda: app.controller.result is not held, timeout=60_000)
    assert page.selector_JK.shape == (21, 2), "nobody asked for them yet"
    held = app.controller.result
    choose_again(app)
    qtbot.waitUntil(lambda: page.selector_JK.shape == (21, 4), timeout=60_000)
    qtbot.waitUntil(lambda: app.controller.result is not held, timeout=60_000)
    assert app.controller.result.timings_ms, "it is no kept one"


@pytest.mark.gui
def test_under_auto_weights_that_were_written_anew_are_read_anew_and_auto_stays(app: App, factory: Any) -> None:
    mine = put_weights("mine", 5)
    app.controller.configure(estimator="auto", groups_weights=mine)
    before = factory.made[-1].config
    choose_network_again(app)
    assert factory.made[-1].config == before
    put_weights("mine", 4)
    choose_network_again(app)
    assert factory.made[-1].config != before and factory.made[-1].config.estimator == "auto"


@pytest.mark.gui
def test_weights_in_force_that_are_opened_again_are_named_in_the_list(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = put_weights("mine", 2)
    app.controller.choices.network(mine)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(mine), ""))
    choose(app.window.panel.model.network, OPEN_FILE)
    assert app.window.panel.model.network.currentText() == "K 2 · mine"


# Whose heatmaps, and the selector


@pytest.mark.gui
def test_the_list_of_heatmaps_follows_the_network(app: App, qtbot: Any) -> None:
    combo = app.window.panel.heatmap_of
    assert not combo.isEnabled()
    app.controller.toggle("heatmaps")
    qtbot.waitUntil(lambda: "group 2" in texts(combo), timeout=60_000)
    assert combo.isEnabled() and len(texts(combo)) == 1 + 3 + 21
    choose(combo, "group 2")
    assert app.controller.wish.view.heatmap_of == "group 2"
    choose(combo, "index tip")
    assert app.controller.wish.view.heatmap_of == "index_tip"
    app.controller.configure(estimator="fit")
    qtbot.waitUntil(lambda: "group 2" not in texts(combo), timeout=60_000)
    assert combo.currentText() == "index tip"


@pytest.mark.gui
def test_heatmaps_are_asked_for_from_the_start(open_app: Callable[..., App], factory: Any) -> None:
    wish = Wish(source=VIDEO)
    open_app(replace(wish, view=replace(wish.view, heatmaps=True)))
    assert factory.made[-1].config.want_heatmaps


@pytest.mark.gui
def test_the_selector_is_shown_told_and_saved(app: App, qtbot: Any, tmp_path: Path, save_as: Callable[[Path], None]) -> None:
    page, tabs = app.window.plots.groups, app.window.plots.tabs
    tabs.setCurrentWidget(page)
    qtbot.waitUntil(lambda: page.selector_JK is not None, timeout=60_000)
    image = page.grab().toImage()
    centre = next(
        QPointF(x, y)
        for x in range(page.width())
        for y in range(page.height())
        if page.cell_at(QPointF(x, y)) == (JOINT_NAMES.index("index_tip"), 1)
    )
    QTest.mouseMove(page, centre.toPoint() + QPointF(4, 4).toPoint())
    qtbot.waitUntil(lambda: page.grab().toImage() != image, timeout=60_000)
    assert page.value_text(8, 1) == "index tip, group 1: 90.0%"
    save_as(tmp_path / "selector")
    app.window.plots.csv_button.click()
    with (tmp_path / "selector.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["joint", "group_0", "group_1", "group_2"] and [row[0] for row in rows[1:]] == list(JOINT_NAMES)
    np.testing.assert_allclose([[float(value) for value in row[1:]] for row in rows[1:]], page.selector_JK)
    app.controller.configure(estimator="fit")
    qtbot.waitUntil(lambda: page.selector_JK is None, timeout=60_000)
    app.window.plots.csv_button.click()
    assert "no selector to save" in app.window.banner.words.text()
