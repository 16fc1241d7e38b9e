"""Where hand files live: the default hand inside the package, the user's own in the user's data folder."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from handviz.errors import ModelFileError
from handviz.paths import data_folder

DEFAULT_HAND = "default"


def user_hands_folder() -> Path:
    """Return the folder of the user's own hands."""
    return data_folder() / "hands"


def known_hands() -> dict[str, Path]:
    """Return the file of each known hand by name, the default one first. Raises ModelFileError for an unreadable folder."""
    shipped, own = Path(str(resources.files("handviz") / "assets" / "hands")), user_hands_folder()
    try:
        # A glob passes over a folder that may not be read.
        found = {path.stem: path for path in sorted(own.iterdir()) if path.suffix == ".npz"} if own.is_dir() else {}
    except PermissionError as error:
        raise ModelFileError(f"{own}: cannot be read. Check its permissions, or set HANDVIZ_DATA to another folder.") from error
    return {path.stem: path for path in sorted(shipped.glob("*.npz"))} | found


def hand_path(name: str) -> Path:
    """Return the file of a hand. Raises ModelFileError that lists the known names."""
    known = known_hands()
    if name not in known:
        names = ", ".join(known)
        raise ModelFileError(f"There is no hand model '{name}'. Known: {names}. Add your own with 'handviz add-hand PATH'.")
    return known[name]
