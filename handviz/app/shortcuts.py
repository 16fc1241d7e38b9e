"""Every key of the window in one table: it makes the shortcuts, and the page under ``?`` lists it. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

from handviz.app.view_options import TOGGLES


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A key, what it does in words, the command it runs, and the section of the help page."""

    key: str
    words: str
    command: str
    section: str


SHORTCUTS: tuple[Shortcut, ...] = (
    Shortcut("Space", "Play or pause; a camera freezes", "play_pause", "Playback"),
    Shortcut("Left", "One frame back", "step_back", "Playback"),
    Shortcut("Right", "One frame forward", "step_on", "Playback"),
    Shortcut("Shift+Left", "Ten frames back", "jump_back", "Playback"),
    Shortcut("Shift+Right", "Ten frames forward", "jump_on", "Playback"),
    Shortcut("Home", "First frame", "first", "Playback"),
    Shortcut("End", "Last frame", "last", "Playback"),
    Shortcut("[", "Range begins here", "mark_in", "Playback"),
    Shortcut("]", "Range ends here", "mark_out", "Playback"),
    Shortcut("R", "Loop on or off", "loop", "Playback"),
    Shortcut(",", "Slower", "slower", "Playback"),
    Shortcut(".", "Faster", "faster", "Playback"),
    *(Shortcut(t.key, t.tip, f"toggle:{t.name}", "Picture" if t.place == "video" else "3D scene") for t in TOGGLES),
    Shortcut("W", "Surface: solid, wire, glass", "mesh_style", "3D scene"),
    Shortcut("1", "Front view", "look:front", "3D scene"),
    Shortcut("2", "Side view", "look:side", "3D scene"),
    Shortcut("3", "Top view", "look:top", "3D scene"),
    Shortcut("4", "Through the camera", "look:camera", "3D scene"),
    Shortcut("0", "Reset the view", "reset_view", "3D scene"),
    Shortcut("Y", "Hold this hand's shape, or release it", "hold_shape", "3D scene"),
    Shortcut("E", "Next estimator", "next_estimator", "Window"),
    Shortcut("X", "Smoothing on or off", "smoothing", "Window"),
    Shortcut("Ctrl+O", "Open a file", "open_file", "Window"),
    Shortcut("Ctrl+S", "Save a picture of the frame", "snapshot", "Window"),
    Shortcut("Ctrl+R", "Record, or stop recording", "record", "Window"),
    Shortcut("A", "Analyse all frames ahead", "analyse", "Playback"),
    Shortcut("P", "Plots on or off", "plots", "Window"),
    Shortcut("Ctrl+B", "Panel on or off", "panel", "Window"),
    Shortcut("F", "Full screen", "full_screen", "Window"),
    Shortcut("Escape", "Leave full screen", "leave_full_screen", "Window"),
    Shortcut("D", "Dark or light", "theme", "Window"),
    Shortcut("?", "This page", "help", "Window"),
    Shortcut("Ctrl+Q", "Quit", "quit", "Window"),
)


def sections() -> dict[str, list[Shortcut]]:
    """Shortcuts by section, in the table's order."""
    found: dict[str, list[Shortcut]] = {}
    for shortcut in SHORTCUTS:
        found.setdefault(shortcut.section, []).append(shortcut)
    return found
