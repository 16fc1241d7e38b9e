"""Compares the new snapshot with the shown one and touches only the parts of the window that changed. No Qt."""

from __future__ import annotations

from handviz.app.state import Snapshot
from handviz.app.views import MainView


class Presenter:
    """Remembers what a view shows."""

    def __init__(self, view: MainView) -> None:
        self._view = view
        self._shown: Snapshot | None = None

    @property
    def banner(self) -> str | None:
        """The message shown."""
        return None if self._shown is None else self._shown.banner

    def forget(self) -> None:
        """Show everything at the next call."""
        self._shown = None

    def show(self, new: Snapshot, *, with_message: bool) -> None:
        """Show a snapshot; its message only ``with_message``, because a picture takes the same place."""
        old, view, self._shown = self._shown, self._view, new
        if old is None or new.controls != old.controls:
            view.show_controls(new.controls)
        if old is None or new.transport != old.transport:
            view.show_transport(new.transport)
        if old is None or new.status != old.status:
            view.show_status(new.status)
        if old is None or (new.options, new.toggles) != (old.options, old.toggles):
            view.show_options(new.options, new.toggles)
        self._show_words(old, new, with_message)

    def _show_words(self, old: Snapshot | None, new: Snapshot, with_message: bool) -> None:
        view = self._view
        if old is None or new.job != old.job:
            view.show_job(new.job)
        if old is None or new.banner != old.banner:
            view.show_banner(new.banner)
        if old is None or new.notice != old.notice:
            view.show_notice(new.notice)
        if old is None or new.title != old.title:
            view.show_title(new.title)
        if with_message and (old is None or (new.message, new.behind) != (old.message, old.behind)):
            view.show_message(new.message, new.behind)
