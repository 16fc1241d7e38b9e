"""The menu bar: the same commands as the keys, for people who look for them with the mouse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QMenuBar

from handviz.app.commands import Commands
from handviz.app.settings import preset_names
from handviz.app.shortcuts import SHORTCUTS
from handviz.app.view_options import TOGGLES
from handviz.app.widgets import literal, native
from handviz.export.formats import FORMAT_NAMES

KEYS = {shortcut.command: shortcut.key for shortcut in SHORTCUTS}
SEPARATOR = ("", "")
PLAYBACK = (
    ("Play or pause", "play_pause"),
    ("One frame back", "step_back"),
    ("One frame forward", "step_on"),
    ("First frame", "first"),
    ("Last frame", "last"),
    SEPARATOR,
    ("Loop", "loop"),
    ("Range begins here", "mark_in"),
    ("Range ends here", "mark_out"),
    ("Slower", "slower"),
    ("Faster", "faster"),
    SEPARATOR,
    ("Analyse all frames", "analyse"),
)
WINDOW = (
    ("Front", "look:front"),
    ("Side", "look:side"),
    ("Top", "look:top"),
    ("Through the camera", "look:camera"),
    ("Reset the 3D view", "reset_view"),
    ("Hold or release the hand's shape", "hold_shape"),
    SEPARATOR,
    ("Plots", "plots"),
    ("Panel", "panel"),
    ("Dark or light", "theme"),
    ("Full screen", "full_screen"),
)
CAMERA = (
    ("Settings…", "camera_settings"),
    ("Calibrate…", "calibrate"),
    ("Load intrinsics…", "load_calibration"),
    ("Forget intrinsics", "forget_calibration"),
    SEPARATOR,
    ("Hand size…", "hand_size"),
)


class Menus:
    """Fills the window's menu bar; menus whose entries change are filled when they open."""

    def __init__(self, bar: QMenuBar, commands: Commands) -> None:
        self._commands = commands
        self._fill_file(bar.addMenu("&File"))
        self._add_all(bar.addMenu("&Playback"), PLAYBACK)
        self._fill_view(bar.addMenu("&View"))
        self._add_all(bar.addMenu("&Camera"), CAMERA)
        self._presets = bar.addMenu("P&resets")
        self._presets.aboutToShow.connect(self.fill_presets)
        self._add_all(bar.addMenu("&Help"), (("Keys", "help"),))

    def _add_all(self, menu: QMenu, entries: tuple[tuple[str, str], ...]) -> None:
        for words, command in entries:
            if command:
                self._add(menu, words, command)
            else:
                menu.addSeparator()

    def _add(self, menu: QMenu, words: str, command: str, act: Callable[[], object] | None = None) -> None:
        # The keys themselves are the window's shortcuts: two owners of one key would block each other.
        key = f"\t{native(KEYS[command])}" if command in KEYS else ""
        action = menu.addAction(words + key, act or partial(self._commands.run, command))
        if command != "quit":
            # macOS moves what sounds like the program's own settings into another menu.
            action.setMenuRole(QAction.MenuRole.NoRole)

    def _fill_file(self, menu: QMenu) -> None:
        self._add(menu, "Open a video or picture…", "open_file")
        self._add(menu, "Open a folder of pictures…", "open_folder")
        self._add(menu, "Open weights of a network…", "open_network")
        menu.addSeparator()
        self._add(menu, "Save this picture…", "snapshot")
        self._add(menu, "Record or stop…", "record")
        self._add(menu, "Record without overlay…", "record_plain")
        export = menu.addMenu("Export the recording")
        for suffix, words in FORMAT_NAMES.items():
            self._add(export, f"{suffix.upper()} — {words}…", "", partial(self._commands.export, suffix))
        self._add(export, "MP4 — video with the overlay…", "", partial(self._commands.export, "mp4"))
        menu.addSeparator()
        self._add(menu, "Close the source", "close_source")
        self._add(menu, "Quit", "quit")

    def _fill_view(self, menu: QMenu) -> None:
        for place, title in (("video", "Picture"), ("scene", "3D scene")):
            part = menu.addMenu(title)
            for toggle in TOGGLES:
                if toggle.place == place:
                    self._add(part, toggle.label, f"toggle:{toggle.name}")
        menu.addSeparator()
        self._add_all(menu, WINDOW)

    def fill_presets(self) -> None:
        """List the saved presets."""
        menu = self._presets
        menu.clear()
        menu.addAction("Save as…", self._commands.save_preset)
        menu.addAction("Open the folder…", self._commands.show_presets)
        menu.addSeparator()
        for name in preset_names():
            menu.addAction(literal(name), partial(self._commands.load_preset, name))
        menu.addSeparator()
        menu.addAction("Reset everything", self._commands.reset_all)
