"""How endless rendered scenes are requested, alone or mixed with other data."""

import pytest
import torch

from handviz.errors import HandvizError, SourceError
from tests.training.data.test_splits_and_sources import Part
from training.data.preview import preview
from training.data.sources import open_source, read_source
from training.recipes.changes import recipe
from training.recipes.records import DataPart


def test_a_recipe_names_it_and_mixes_it(tmp_path, plain_renderer, monkeypatch):
    monkeypatch.setattr("training.data.synth.batched.source.make_renderer", lambda job: plain_renderer)
    source = open_source((Part("rendered-live:batched", 0.5), Part("rendered-live:batched", 0.5)), tmp_path, 0)
    batch = source.draw(0, 4)
    assert len(batch) == 4 and batch.rgb_B3SS.shape == (4, 3, 160, 160) and len(source) > 1000
    assert not torch.equal(batch.joints_px_BJ2[0], batch.joints_px_BJ2[2])
    source.close()
    assert preview("rendered-live:batched", tmp_path, tmp_path / "sheet.png", count=3, seed=0, augmented=False) == 3
    with pytest.raises(SourceError, match="unknown way"):
        open_source((Part("rendered-live:gpu"),), tmp_path, 0)
    with pytest.raises(SourceError, match="without end"):
        read_source("rendered-live", tmp_path)


def test_data_is_set_by_a_name_or_a_list():
    assert recipe("groups-live", {"data": "rendered-live"}).data == (DataPart(source="rendered-live"),)
    mixed = recipe("groups-live", {"data": '[{"source": "rendered-live", "share": 3}, "photos"]'}).data
    assert mixed == (DataPart(source="rendered-live", share=3), DataPart(source="photos"))
    for bad in ("3", '[{"share": 1}]', '[{"source": "a", "share": "b"}]', '[{"source": "a", "colour": 1}]', '{"source": 1}'):
        with pytest.raises(HandvizError, match="give a source's name"):
            recipe("groups-live", {"data": bad})
