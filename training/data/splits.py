"""Which photographs are held out: whole rooms or persons, named by the file's prefix, never single pictures.

``split_key`` derives the room or person from a file name, as far as the name tells; ``is_held_out`` is the fixed rule, and
``shares_person`` says which held-out pictures may show somebody who is also in the training set: those are not used at all.
"""

from __future__ import annotations

import re
import zlib

# Folders whose file names tell nothing about the person: they are only trained on.
_NEVER_HELD_OUT = frozenset({"green_mat_hands"})
# About this percentage of all other keys is held out, chosen by a checksum of the key, so that the choice never changes.
HELD_OUT_PERCENT = 10
# Files whose name does not tell the room or person: they may show anyone, so they are only trained on.
UNNAMED = "unnamed"
# Rooms and recordings held out by name, because a checksum over so few keys would be a coin toss.
_HELD_OUT_KEYS = frozenset(
    {
        ("webcam_hands", "1528664299.56"),
        ("webcam_hands", "3_1528505750.77"),
        ("rps_crops", "youtube"),
        ("rps_crops", "IMG_7043_MOV"),
        ("rps_crops", "zoom_tests_RockPaperScissors-mohamed_mp4"),
    }
)
# How many consecutive camera numbers are trained on or held out together, and how many numbers one person may extend beyond.
BLOCK = 20
_BLOCKS = {"digit_hands": 2, "home_counting": 4}
_NAMED_ONLY = frozenset({"webcam_hands"})


def split_key(source: str, stem: str) -> str:
    """Return the room, person or recording that a file name tells.

    ``webcam_hands``: the prefix before ``pic``. ``rps_crops``: the recording's name; uploads of one public set by the
    ten-thousand-second block of their time stamp in ms. ``digit_hands``: blocks of 20 consecutive camera numbers (a
    student showed ten digits). ``home_counting``: blocks of 20 consecutive numbers. ``asl_letters``: the
    number behind the letter. Any other folder: the prefix before the first digit or underscore.
    """
    rule = _RULES.get(source)
    return rule(stem) if rule else re.split(r"[\d_]", stem, maxsplit=1)[0]


def is_held_out(source: str, key: str) -> bool:
    """Say whether this room or person is never trained on."""
    if (source, key) in _HELD_OUT_KEYS:
        return True
    if key == UNNAMED or source in _NEVER_HELD_OUT or source in _NAMED_ONLY:
        return False
    return zlib.crc32(f"{source}/{key}".encode()) % 100 < HELD_OUT_PERCENT


def shares_person(source: str, stem: str) -> bool:
    """Say whether a picture may show the person or home of the block before or after its own.

    ``digit_hands``: a student shows the digits 0 to 9 one after the other, so the digit tells where the student's pictures begin
    and end; retakes shift that by one or two. ``home_counting``: a home has a few pictures in a row.
    """
    number = _number(stem)
    if number is None or source not in _BLOCKS:
        return False
    first, last = number, number
    digit = re.match(r"(\d)__", stem) if source == "digit_hands" else None
    if digit:
        first, last = number - int(digit[1]), number + 9 - int(digit[1])
    margin, begin = _BLOCKS[source], number // BLOCK * BLOCK
    return first - margin < begin or last + margin >= begin + BLOCK


def _webcam(stem: str) -> str:
    return re.split(r"_?pic", stem, maxsplit=1)[0] or UNNAMED


def _rps(stem: str) -> str:
    name = re.sub(r"^[a-z]+__[a-z]+\.", "", stem)
    upload = re.match(r"egohands-public-(\d{6})", name)
    if upload:
        return f"egohands-{upload[1]}"
    return re.sub(r"[-_]?\d*_(jpg|png)\.rf.*$", "", name) or UNNAMED


def _number(stem: str) -> int | None:
    number = re.search(r"(?:IMG_|WA)(\d+)", stem)
    return int(number[1]) if number else None


def _block(stem: str) -> str:
    number = _number(stem)
    return UNNAMED if number is None else f"block-{number // BLOCK}"


def _asl(stem: str) -> str:
    number = re.match(r"[A-Z](\d+)", stem)
    return f"take-{number[1]}" if number else UNNAMED


_RULES = {
    "webcam_hands": _webcam,
    "rps_crops": _rps,
    "digit_hands": _block,
    "home_counting": _block,
    "asl_letters": _asl,
    "green_mat_hands": lambda _stem: "mat",
}
