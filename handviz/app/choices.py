"""The user's intents about the analysis: estimator, weights, smoothing, comparison, a held shape. No Qt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handviz.app.shape_memory import NO_SHAPE
from handviz.errors import HandvizError
from handviz.estimate.registry import default_weights, estimator_of
from handviz.pipeline.auto import meant
from handviz.pipeline.config import AUTO, with_weights

if TYPE_CHECKING:
    from handviz.app.controller import Controller


class Choices:
    """Turns these intents into changes of a controller's configuration; a problem goes to its banner."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def next_estimator(self) -> None:
        """Switch to the next installed estimator in the panel's list, and from the last to ``auto``."""
        offer, present = self._controller.offer, self._controller.wish.config.estimator
        names = [name for name in offer.estimators if name not in dict(offer.lacking)]
        place = names.index(present) if present in names else -1
        self._controller.configure(estimator=names[(place + 1) % len(names)])

    def network(self, path: Path | None) -> None:
        """Run other weights, with the estimator they belong to; None: the shipped ones of the current estimator.

        Under ``auto`` the current estimator is the best one, and choosing one's own weights fixes it, so that they are really
        used. Choosing the same weights again reloads them if their file has changed.
        """
        config = self._controller.wish.config
        present = meant(config.estimator)
        try:
            name = present if path is None else estimator_of(path, present)
        except HandvizError as error:
            self._controller.show_again()
            self._controller.report(str(error))
            return
        own = default_weights(name)
        if own is not None:
            changed = with_weights(config, name, None if path == own else path)
            stays = config.estimator == AUTO and changed == config
            self._controller.configure(
                estimator=AUTO if stays else name, groups_weights=changed.groups_weights, dense_weights=changed.dense_weights
            )
        # The list shows the entry that was chosen, which may be another label of what is in force.
        self._controller.show_again()

    def compare(self, name: str | None) -> None:
        """Run a second estimator beside the first, or stop doing so."""
        self._controller.configure(compare_with=name)

    def flip_smoothing(self) -> None:
        """Smoothing on or off."""
        self._controller.configure(smoothing=not self._controller.wish.config.smoothing)

    def flip_shape(self) -> None:
        """Hold the mean of the shapes seen so far, or release the one that is held."""
        held = self._controller.wish.config.hand_shape is not None
        mean = None if held else self._controller.shapes.mean()
        if not held and mean is None:
            self._controller.report(NO_SHAPE)
            return
        self._controller.configure(hand_shape=mean)
