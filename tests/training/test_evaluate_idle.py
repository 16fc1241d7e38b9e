from __future__ import annotations

import pytest

from training.cli import main


@pytest.mark.parametrize("name", ["photos", "rhd:training"])
def test_one_look_is_refused_where_it_changes_nothing(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", name, "--one-look"]) == 1
    assert f"--one-look has no effect on {name}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
