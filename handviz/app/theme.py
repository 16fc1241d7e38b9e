"""Puts a palette on the application: Fusion with our own colours and one style sheet."""

from __future__ import annotations

from string import Template

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from handviz.app.colours import Palette, css, mix
from handviz.app.fonts import SMALL_POINTS, SMALLEST_POINTS
from handviz.hand.palette import RGB

SHEET = Template("""
QMainWindow, QDialog { background: $window; }
QToolTip { background: $field; color: $text; border: 1px solid $border; padding: 5px 7px; }
#panel, #transport, #plots, #viewBar { background: $panel; }
#panel { border-left: 1px solid $border; }
#transport { border-top: 1px solid $border; }
#viewBar { border-bottom: 1px solid $border; }
#heading { color: $muted; font-weight: 600; font-size: ${smallest}pt; padding-top: 2px; }
#muted { color: $muted; }
#muted:disabled { color: $faint; }
#viewTitle { color: $muted; font-weight: 600; font-size: ${small}pt; }
#banner { background: $banner; border-left: 4px solid $error; }
#notice { background: $notice; border-left: 4px solid $good; }
#banner QLabel, #notice QLabel { color: $text; }
QToolButton, QPushButton { background: $field; border: 1px solid $border; border-radius: 5px; padding: 4px 9px;
  min-height: 18px; }
QToolButton { padding: 4px; }
QToolButton#chip { padding: 2px 3px; border-radius: 10px; font-size: ${small}pt; background: transparent; }
QToolButton#flat { background: transparent; border-color: transparent; }
#corner QToolButton { padding: 2px 4px; }
QToolButton:hover, QPushButton:hover, QToolButton:focus, QToolButton#flat:focus, QPushButton:focus { border-color: $accent; }
QToolButton:pressed, QPushButton:pressed { background: $border; }
QToolButton:checked, QToolButton#chip:checked, QToolButton#flat:checked { background: $accentSoft; border-color: $accent;
  color: $text; }
QToolButton:checked:focus, QToolButton#chip:checked:focus, QToolButton#flat:checked:focus { border-color: $text; }
QToolButton:disabled, QPushButton:disabled, QLabel:disabled, QCheckBox:disabled { color: $faint; }
QToolButton#chip:checked:disabled { background: $field; border-color: $border; color: $faint; }
QToolButton::menu-indicator { image: none; width: 0; }
QPushButton#primary { background: $accent; color: $onAccent; border-color: $accent; font-weight: 600; }
QPushButton#primary:disabled { background: $field; color: $faint; border-color: $border; }
QLineEdit { background: $field; border: 1px solid $border; border-radius: 5px; padding: 3px 7px;
  min-height: 20px; selection-background-color: $accent; }
QLineEdit:focus { border-color: $accent; }
QComboBox QAbstractItemView { background: $field; border: 1px solid $border; outline: none;
  selection-background-color: $accentSoft; selection-color: $text; }
QSlider::groove:horizontal { height: 4px; background: $border; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::sub-page:horizontal:disabled { background: $border; }
QSlider::handle:horizontal { width: 14px; height: 14px; margin: -5px 0; border-radius: 7px; background: $handle;
  border: 1px solid $muted; }
QSlider::handle:horizontal:focus { border: 2px solid $accent; }
QSlider::handle:horizontal:disabled { background: $border; border-color: $border; }
QTabWidget::pane { border: none; }
QTabBar { qproperty-drawBase: 0; }
QTabBar::tab { background: transparent; color: $muted; padding: 5px 8px; border: none; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom: 2px solid $accent; }
QTabBar::tab:hover { color: $text; }
QMenuBar { background: $panel; border-bottom: 1px solid $border; }
QMenuBar::item { background: transparent; padding: 5px 10px; }
QMenuBar::item:selected { background: $accentSoft; }
QMenu { background: $field; border: 1px solid $border; padding: 4px; }
QMenu::item { padding: 5px 26px 5px 22px; border-radius: 4px; }
QMenu::item:selected { background: $accentSoft; }
QMenu::item:disabled { color: $faint; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QStatusBar { background: $panel; border-top: 1px solid $border; }
QStatusBar::item { border: none; }
QSplitter::handle { background: $window; }
QSplitter::handle:hover { background: $accent; }
QScrollArea { border: none; background: $panel; }
QScrollBar { background: transparent; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $border; border-radius: 4px; margin: 1px; }
QScrollBar::handle:vertical { min-height: 30px; }
QScrollBar::handle:horizontal { min-width: 30px; }
QScrollBar::add-line, QScrollBar::sub-line { height: 0; width: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QProgressBar { background: $field; border: 1px solid $border; border-radius: 5px; text-align: center; }
QProgressBar::chunk { background: $accent; border-radius: 4px; }
""")


def style_sheet(palette: Palette) -> str:
    """The application's style sheet in this palette."""
    return SHEET.substitute(
        small=SMALL_POINTS,
        smallest=SMALLEST_POINTS,
        text=css(palette.text),
        window=css(palette.window),
        panel=css(palette.panel),
        field=css(palette.field),
        border=css(palette.border),
        muted=css(palette.muted),
        faint=css(faint(palette)),
        accent=css(palette.accent),
        accentSoft=css(mix(palette.panel, palette.accent, 0.26)),
        onAccent=css(palette.on_accent),
        error=css(palette.error),
        good=css(palette.good),
        banner=css(mix(palette.panel, palette.error, 0.16)),
        notice=css(mix(palette.panel, palette.good, 0.16)),
        handle=css(palette.text if palette.name == "dark" else palette.field),
    )


def faint(palette: Palette) -> RGB:
    """The colour of what is disabled."""
    return mix(palette.muted, palette.panel, 0.5)


def apply_theme(application: QApplication, palette: Palette) -> None:
    """Colour the whole application."""
    application.setStyle("Fusion")
    colours = QPalette()
    roles = QPalette.ColorRole
    for role, colour in {
        roles.Window: palette.window,
        roles.WindowText: palette.text,
        roles.Base: palette.field,
        roles.AlternateBase: palette.panel,
        roles.Text: palette.text,
        roles.Button: palette.field,
        roles.ButtonText: palette.text,
        roles.Highlight: palette.accent,
        roles.HighlightedText: palette.on_accent,
        roles.ToolTipBase: palette.field,
        roles.ToolTipText: palette.text,
        roles.PlaceholderText: palette.muted,
        roles.Link: palette.accent,
    }.items():
        colours.setColor(role, QColor(*colour))
    for role in (roles.Text, roles.ButtonText, roles.WindowText):
        colours.setColor(QPalette.ColorGroup.Disabled, role, QColor(*faint(palette)))
    application.setPalette(colours)
    application.setStyleSheet(style_sheet(palette))
