"""What each key, button and menu entry does: from Qt's signals to the controller."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QObject, QPoint, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMessageBox, QWidget

from handviz.app.controller import Controller
from handviz.app.dialogs import Dialogs
from handviz.app.help_page import HelpPage
from handviz.app.settings import Settings, load, preset_path, save
from handviz.app.shortcuts import SHORTCUTS
from handviz.app.source_menu import SourceMenu
from handviz.app.state import Wish
from handviz.app.transport_bar import SPEEDS
from handviz.app.view_options import MESH_STYLES
from handviz.app.viewport.orbit import ViewName
from handviz.app.window import MainWindow
from handviz.capture.base import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from handviz.errors import HandvizError
from handviz.export.video import recorded_files

JUMP = 10
# Commands that repeat while their key is held.
HELD = frozenset({"step_back", "step_on", "jump_back", "jump_on", "slower", "faster"})
_KNOWN = " ".join(f"*{suffix}" for suffix in (*sorted(VIDEO_SUFFIXES), ".gif", *sorted(IMAGE_SUFFIXES)))
FILE_FILTER = f"Videos and pictures ({_KNOWN});;All files (*)"


class Commands(QObject):
    """Connects one window to one controller. ``run`` takes a command's name, as listed in the shortcut table."""

    def __init__(self, window: MainWindow, controller: Controller) -> None:
        super().__init__(window)
        self._window = window
        self._controller = controller
        self.dialogs = Dialogs(window, controller)
        self.table: dict[str, Callable[[], Any]] = {**self._playback(), **self._looks(), **self._window_commands()}
        self._bind_keys()
        self._bind_panel()
        self._bind_transport()
        self._bind_panes()

    def run(self, name: str) -> None:
        """Run a command. ``toggle:`` and ``look:`` name what they act on after the colon."""
        kind, _, what = name.partition(":")
        if kind == "toggle":
            self._controller.toggle(what)
        elif kind == "look":
            self._window.viewport.look(cast(ViewName, what))
        else:
            self.table[name]()

    def _playback(self) -> dict[str, Callable[[], Any]]:
        playback = self._controller.playback
        return {
            "play_pause": playback.play_pause,
            "step_back": partial(playback.step, -1),
            "step_on": partial(playback.step, 1),
            "jump_back": partial(playback.step, -JUMP),
            "jump_on": partial(playback.step, JUMP),
            "first": partial(playback.seek, 0),
            "last": playback.seek_end,
            "mark_in": playback.mark_in,
            "mark_out": playback.mark_out,
            "loop": playback.flip_loop,
            "slower": partial(self._change_speed, -1),
            "faster": partial(self._change_speed, 1),
        }

    def _looks(self) -> dict[str, Callable[[], Any]]:
        return {
            "mesh_style": self._next_mesh_style,
            "reset_view": self._reset_view,
            "next_estimator": self._controller.choices.next_estimator,
            "smoothing": self._controller.choices.flip_smoothing,
            "hold_shape": self._controller.choices.flip_shape,
            "theme": self._controller.switch_theme,
        }

    def _window_commands(self) -> dict[str, Callable[[], Any]]:
        window = self._window
        return {
            "open_file": self.open_file,
            "open_folder": self.open_folder,
            "snapshot": self.snapshot,
            "record": partial(self.record, overlay=True),
            "record_plain": partial(self.record, overlay=False),
            "analyse": self._controller.works.analyse_all,
            "close_source": self._controller.close_source,
            "open_network": self.dialogs.open_network,
            "hand_size": self.dialogs.hand_size,
            "camera_settings": self.dialogs.camera_settings,
            "calibrate": self.dialogs.calibrate,
            "load_calibration": self.dialogs.load_calibration,
            "forget_calibration": self._controller.lens.forget,
            "plots": partial(self._flip, window.plots),
            "panel": partial(self._flip, window.panel),
            "full_screen": self._full_screen,
            "leave_full_screen": self._leave_full_screen,
            "help": self._help,
            "quit": window.close,
        }

    def _bind_keys(self) -> None:
        for shortcut in SHORTCUTS:
            key = QShortcut(QKeySequence(shortcut.key), self._window)
            key.setAutoRepeat(shortcut.command in HELD)
            key.activated.connect(partial(self.run, shortcut.command))

    def _bind_panel(self) -> None:
        panel, controller = self._window.panel, self._controller
        panel.configured.connect(lambda name, value: controller.configure(**{name: value}))
        panel.viewed.connect(lambda name, value: controller.change_view(**{name: value}))
        panel.toggled.connect(controller.toggle)
        panel.model.compared.connect(controller.choices.compare)
        panel.model.network_chosen.connect(controller.choices.network)
        panel.model.network_file_wanted.connect(self.dialogs.open_network)
        panel.model.hand_size_wanted.connect(self.dialogs.hand_size)
        panel.source_menu_wanted.connect(self.source_menu)

    def _bind_transport(self) -> None:
        bar, playback = self._window.transport, self._controller.playback
        bar.play_clicked.connect(playback.play_pause)
        bar.stepped.connect(playback.step)
        bar.speed_chosen.connect(playback.set_speed)
        bar.loop_chosen.connect(playback.set_loop)
        bar.in_clicked.connect(playback.mark_in)
        bar.out_clicked.connect(playback.mark_out)
        bar.seek_bar.sought.connect(playback.seek)

    def _bind_panes(self) -> None:
        window = self._window
        window.snapshot_button.clicked.connect(lambda: self.snapshot())
        window.full_screen_button.clicked.connect(lambda: self._full_screen())
        window.reset_button.clicked.connect(lambda: self._reset_view())
        for view, button in window.look_buttons.items():
            button.clicked.connect(partial(self.run, f"look:{view}"))
        window.viewport.orbited.connect(lambda: self._controller.change_view(follow=False))
        window.job_strip.cancelled.connect(lambda: self._controller.works.cancel())
        window.banner.closed.connect(lambda: self._controller.dismiss())
        window.notice.closed.connect(lambda: self._controller.tell(None))
        window.dropped.connect(self._controller.open_text)
        window.plots.csv_wanted.connect(self._save_csv)
        page, watch = window.plots.refinement, self._controller.watch
        page.opened.connect(watch.set_open)
        page.scrubbed.connect(watch.scrub)
        page.chosen.connect(watch.choose)
        page.viewed.connect(lambda name, value: self._controller.change_view(**{name: value}))
        window.plots.shape.hold_clicked.connect(lambda: self._controller.choices.flip_shape())
        window.plots.shape.chosen.connect(self._controller.shapes.choose)

    def _change_speed(self, by: int) -> None:
        place = min(max(self._window.transport.speed.currentIndex() + by, 0), len(SPEEDS) - 1)
        self._controller.playback.set_speed(SPEEDS[place])

    def _next_mesh_style(self) -> None:
        place = MESH_STYLES.index(self._controller.wish.view.mesh_style)
        self._controller.change_view(mesh_style=MESH_STYLES[(place + 1) % len(MESH_STYLES)])

    def _reset_view(self) -> None:
        self._window.viewport.reset_view()
        self._controller.change_view(follow=True)

    def _flip(self, widget: QWidget) -> None:
        widget.setVisible(widget.isHidden())

    def _full_screen(self) -> None:
        # A maximized window is maximized again afterwards.
        self._window.setWindowState(self._window.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _leave_full_screen(self) -> None:
        if self._window.isFullScreen():
            self._full_screen()

    def _help(self) -> None:
        HelpPage(self._window).open()

    # Files

    def source_menu(self, button: QWidget) -> SourceMenu:
        """Show the sources under a button."""
        menu = SourceMenu(self._window, self._controller.wish.source, self._controller.open)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Open a video or picture…", self.open_file)
        menu.addAction("Open a folder of pictures…", self.open_folder)
        menu.addSeparator()
        menu.addAction("Close the source", self._controller.close_source)
        menu.popup(button.mapToGlobal(QPoint(0, button.height() + 2)))
        return menu

    def open_file(self) -> None:
        """Ask for a video or picture and open it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Open a video or picture", "", FILE_FILTER)
        if path:
            self._controller.open_text(path)

    def open_folder(self) -> None:
        """Ask for a folder of pictures and open it."""
        path = QFileDialog.getExistingDirectory(self._window, "Open a folder of pictures")
        if path:
            self._controller.open_text(path)

    def snapshot(self) -> None:
        """Ask for a file and save the picture with its overlay."""
        image = self._window.video.snapshot()
        if image is None:
            self._controller.report("There is no picture to save yet. Open a source first.")
            return
        path = self._ask_save("Save the picture", "hand.png", "Pictures (*.png *.jpg)")
        if path is not None and not image.save(str(path)):
            self._controller.report(f"{path}: could not be written. Choose another folder, and a name that ends in .png or .jpg.")

    def record(self, *, overlay: bool) -> None:
        """Stop the running recording, or ask for a file and start one."""
        if self._controller.works.recording:
            self._controller.works.stop_recording()
            return
        if self._controller.works.recordable() is None:
            return
        path = self._ask_save("Record a video", "hand.mp4", "Videos (*.mp4)")
        if path is not None and self._may_replace(recorded_files(path)[1]):
            self._controller.works.record(path, overlay=overlay)

    def _may_replace(self, poses: Path) -> bool:
        """Ask before replacing a file of poses: the dialog asked about the video alone."""
        question = f"The poses are saved next to the video as {poses.name}, which already exists. Replace it?"
        yes = QMessageBox.StandardButton.Yes
        return not poses.exists() or QMessageBox.question(self._window, "Record a video", question) == yes

    def export(self, suffix: str) -> None:
        """Ask for a file and export the whole recording in a format."""
        if self._controller.works.exportable() is None:
            return
        path = self._ask_save("Export the recording", f"hand.{suffix}", f"{suffix.upper()} (*.{suffix})")
        if path is not None:
            self._controller.works.export(path)

    def _ask_save(self, title: str, name: str, kinds: str) -> Path | None:
        dialog = QFileDialog(self._window, title, "", kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        # Set on the dialog, so that it asks before replacing the file that will actually be written.
        dialog.setDefaultSuffix(Path(name).suffix)
        dialog.selectFile(name)
        agreed = dialog.exec()
        dialog.deleteLater()
        return Path(dialog.selectedFiles()[0]) if agreed else None

    # Presets

    def save_preset(self) -> None:
        """Ask for a name and save the current choices under it."""
        name, agreed = QInputDialog.getText(self._window, "Save a preset", "Name of the preset:")
        if agreed:
            self._try(lambda: save(Settings(wish=self._controller.lasting), preset_path(name.strip())))

    def load_preset(self, name: str) -> None:
        """Apply a preset's choices; the source stays."""
        self._try(lambda: self._controller.change_wish(load(preset_path(name)).wish))

    def show_presets(self) -> None:
        """Open the folder of presets in the system's file manager."""
        folder = preset_path("name").parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._controller.report(f"{folder}: cannot be created ({error.strerror}). Check its parent folder's permissions.")
            return
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def reset_all(self) -> None:
        """Back to the defaults; the source stays."""
        self._controller.change_wish(Wish())
        self._reset_view()

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except HandvizError as error:
            self._controller.report(str(error))

    def _save_csv(self) -> None:
        plots, tables = self._window.plots, self._controller.tables
        title, name, save = {
            plots.refinement: ("Save the refinement", "refinement.csv", tables.save_refinement),
            plots.shape: ("Save the hand shape", "shape.csv", tables.save_shape),
            plots.groups: ("Save the selector", "selector.csv", tables.save_selector),
        }.get(plots.tabs.currentWidget(), ("Save what is plotted", "plots.csv", tables.save_csv))
        path = self._ask_save(title, name, "Tables (*.csv)")
        if path is not None:
            save(path)
