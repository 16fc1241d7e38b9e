"""The main window: lays the parts out and shows what the controller says. What a user does goes to ``Commands``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QFont
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMainWindow, QSplitter, QVBoxLayout, QWidget

from handviz.app.colours import PALETTES, ThemeName
from handviz.app.history import History
from handviz.app.keyboard import ControlKeys, name_controls
from handviz.app.mesh_pictures import make_ready
from handviz.app.overlay import OverlayContext
from handviz.app.panel import Panel
from handviz.app.panes import Banner, JobStrip, Pane, StatusLine
from handviz.app.picture import drawing
from handviz.app.plots import Plots
from handviz.app.settings import WindowLayout
from handviz.app.shape_memory import ShapeState
from handviz.app.state import Controls, JobState, StatusItem, Transport
from handviz.app.theme import apply_theme
from handviz.app.transport_bar import TransportBar
from handviz.app.video_view import VideoView
from handviz.app.view_options import ViewOptions
from handviz.app.viewport.widget import Viewport
from handviz.app.views import Drawing, Trails
from handviz.app.watch import WatchState
from handviz.app.widgets import native
from handviz.geometry.camera import FloatArray
from handviz.pipeline.inference import Preparation
from handviz.pipeline.stats import SessionStats
from handviz.records import Frame, FrameResult

SMALLEST = (1024, 700)
USUAL = (1440, 900)
LEAST_VIEW = 120
# Room for a window's frame and title bar, whose size is unknown before it is shown.
FRAME = QSize(8, 40)
LOOKS = (("Front", "front"), ("Side", "side"), ("Top", "top"), ("Camera", "camera"))


class MainWindow(QMainWindow):
    """Has the shape of ``handviz.app.views.MainView``."""

    closing = Signal()
    dropped = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        # Called before the window is closed.
        self.may_close: Callable[[], bool] = lambda: True
        self.setWindowTitle("handviz")
        self.setMinimumSize(*SMALLEST)
        self.resize(*USUAL)
        self.setAcceptDrops(True)
        self.video = VideoView()
        self.viewport = Viewport()
        self.plots = Plots()
        self.panel = Panel()
        self.transport = TransportBar()
        self.banner, self.notice = Banner("banner"), Banner("notice")
        self.job_strip = JobStrip()
        self.status = StatusLine()
        self.setStatusBar(self.status)
        self._build_panes()
        self._build_layout()
        name_controls(self)
        ControlKeys(self)

    def _build_panes(self) -> None:
        self.video_pane = Pane("PICTURE", self.video)
        words = f"Save this picture with its overlay ({native('Ctrl+S')})"
        self.snapshot_button = self.video_pane.add_icon_button("snapshot", words)
        self.full_screen_button = self.video_pane.add_icon_button("full_screen", "Full screen (F)")
        self.scene_pane = Pane("3D SCENE", self.viewport)
        self.look_buttons = {
            view: self.scene_pane.add_text_button(words, f"{words} view ({key})") for key, (words, view) in enumerate(LOOKS, 1)
        }
        self.reset_button = self.scene_pane.add_icon_button("frame_all", "Frame the hands again (0, or a double click)")

    def _build_layout(self) -> None:
        self.views = QSplitter(Qt.Orientation.Horizontal)
        self.views.addWidget(self.video_pane)
        self.views.addWidget(self.scene_pane)
        self.upright = QSplitter(Qt.Orientation.Vertical)
        self.upright.addWidget(self.views)
        self.upright.addWidget(self.plots)
        self.upright.setStretchFactor(0, 1)
        self.upright.setSizes([620, 190])
        for splitter in (self.views, self.upright):
            splitter.setHandleWidth(4)
            splitter.setChildrenCollapsible(False)
        left = QVBoxLayout()
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(0)
        left.addWidget(self.banner)
        left.addWidget(self.notice)
        left.addWidget(self.job_strip)
        left.addWidget(self.upright, 1)
        left.addWidget(self.transport)
        body = QWidget()
        row = QHBoxLayout(body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addLayout(left, 1)
        row.addWidget(self.panel)
        self.setCentralWidget(body)
        # It has the focus until Tab gives it to a control, and again after a click: meanwhile all keys go to the window.
        body.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        body.setFocus()

    # What the controller shows

    def show_controls(self, controls: Controls) -> None:
        """Show the choices in force."""
        self.panel.show_controls(controls)

    def show_transport(self, transport: Transport) -> None:
        """Show where the source stands."""
        self.transport.show_transport(transport)

    def show_status(self, items: tuple[StatusItem, ...]) -> None:
        """Show the status line."""
        self.status.show_items(items)

    def show_options(self, options: ViewOptions, useful: frozenset[str]) -> None:
        """Show the view toggles."""
        self.panel.show_options(options, useful)

    def show_banner(self, text: str | None) -> None:
        """Show or hide the message about what is wrong."""
        self.banner.show_text(text)

    def show_notice(self, text: str | None) -> None:
        """Show or hide the message about what was done."""
        self.notice.show_text(text)

    def show_title(self, title: str) -> None:
        """Show the window's title."""
        self.setWindowTitle(title)

    def show_theme(self, name: ThemeName) -> None:
        """Colour everything."""
        palette = PALETTES[name]
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        apply_theme(application, palette)
        for part in (self.video, self.viewport, self.plots, self.transport, self.job_strip, self.status):
            part.set_palette(palette)
        for pane in (self.video_pane, self.scene_pane):
            pane.set_palette(palette)
        for banner in (self.banner, self.notice):
            banner.set_palette(palette)

    def show_message(self, text: str, behind: Frame | None) -> None:
        """Show words in place of a result, over a frame that has none yet."""
        self.video.show_message(text, behind)
        self.viewport.show_result(None, self.viewport.options)

    def show_result(self, result: FrameResult, options: ViewOptions, trails: Trails) -> None:
        """Show a result in the picture and in 3D."""
        self.video.show_result(result, OverlayContext(options, trails=trails))
        self.viewport.show_result(result, options)

    def drawing(self, options: ViewOptions, trails: Trails) -> Drawing:
        """Return a function that draws a result as it is shown, for a recording."""
        return drawing(OverlayContext(options, trails=trails, font=QFont(self.font())))

    def preparation(self, options: ViewOptions) -> Preparation:
        """Return a function that prepares what the views will need of a result."""
        return partial(make_ready, options=options)

    def show_refinement(self, state: WatchState) -> None:
        """Show the refinement of the held frame, and say over the picture that an iterate of it is shown."""
        self.plots.refinement.show_state(state)
        step = None if state.trace is None else f"REFINEMENT STEP {state.place} OF {len(state.trace.iterates) - 1}"
        self.video_pane.show_note(step)

    def show_shape(self, state: ShapeState) -> None:
        """Show the person's hand shape."""
        self.plots.show_shape(state)

    def show_job(self, job: JobState | None) -> None:
        """Show a longer job's progress."""
        self.job_strip.show_job(job)

    def show_plots(self, history: History, stats: SessionStats, curve: FloatArray) -> None:
        """Update the plots and the curve over the seek bar."""
        self.plots.show_data(history, stats)
        self.transport.seek_bar.show_curve(curve)

    # Layout that is kept between runs

    def layout_state(self) -> WindowLayout:
        """How the window is arranged."""
        return WindowLayout(
            width=self.width(),
            height=self.height(),
            views=tuple(self.views.sizes()),
            upright=tuple(self.upright.sizes()),
            plots=not self.plots.isHidden(),
            panel=not self.panel.isHidden(),
        )

    def arrange(self, layout: WindowLayout) -> None:
        """Arrange the window as it was."""
        self.resize(layout.width, layout.height)
        if layout.views:
            self.views.setSizes(list(layout.views))
        if layout.upright:
            self.upright.setSizes(list(layout.upright))
        self.plots.setVisible(layout.plots)
        self.panel.setVisible(layout.panel)

    def fit(self, screen: QSize) -> None:
        """Be no larger than this screen, whatever the last one was; if it is very low, the plots shrink.

        So do the views, if a message and a job's progress would not leave room for them.
        """
        room = screen - FRAME
        lacking = max(self.minimumSizeHint().height() - room.height(), 0)
        self.plots.setMinimumHeight(max(self.plots.minimumHeight() - lacking, 0))
        strips = self.banner.sizeHint().height() + self.job_strip.sizeHint().height()
        lacking = max(self.minimumSizeHint().height() + strips - room.height(), 0)
        for view in (self.video, self.viewport):
            view.setMinimumHeight(max(view.minimumHeight() - lacking, LEAST_VIEW))
        self.setMinimumSize(self.minimumSize().boundedTo(room))
        self.resize(self.size().boundedTo(room))

    # Events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the first file dropped."""
        path = next((url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()), "")
        if path:
            self.dropped.emit(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Emit ``closing`` and close, unless ``may_close`` forbids it; then the renderer is free for another window."""
        if not self.may_close():
            event.ignore()
            return
        self.closing.emit()
        self.viewport.release()
        super().closeEvent(event)
