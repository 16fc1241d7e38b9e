"""Pictures that commands read and write."""

from __future__ import annotations

import numpy as np
import pytest

from handviz.errors import OutputError
from training.pictures import decode_file, write_picture


def test_what_is_written_is_read_again_whatever_the_path_is_called(tmp_path):
    rgb = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    path = tmp_path / "Jürgen" / "手.png"
    write_picture(path, rgb)
    assert np.array_equal(decode_file(path), rgb[..., ::-1])


def test_no_picture_is_none(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.png").write_text("no picture")
    assert [decode_file(tmp_path / name) for name in ("empty.png", "words.png", "absent.png")] == [None, None, None]


def test_a_folder_in_the_pictures_place_is_told(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match=r"a\.png"):
        write_picture(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
