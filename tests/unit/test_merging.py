"""An adapter merged into its base: the same logits, as a whole model that anything opens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hfterm.errors import Cancelled, HftermError
from hfterm.hub.model_refs import describe, write_label_names
from hfterm.job import Job, Progress
from hfterm.training.merging import merge

IDS = [[2, 9, 14, 7, 21, 3]]


@pytest.mark.parametrize("name", ["lora-labels", "lora-causal"])
def test_merged_is_the_adapter_on_its_base(
    name: str, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    import torch
    import transformers

    adapter = shutil.copytree(model_zoo[name], tmp_path / "adapter")
    source = describe(str(adapter), "path", adapter)
    auto = getattr(transformers, source.auto)
    told = {}
    if source.labels:
        write_label_names(adapter, ["ham", "spam", "neither"])
        told = {"num_labels": 3}
    stages: list[Progress] = []
    out = merge(adapter, tmp_path / "merged", Job(report=stages.append))
    said = list(dict.fromkeys(told.stage.split()[0] for told in stages))
    assert said[-3:] == ["loading", "merging", "writing"]
    assert not list(tmp_path.glob(".*"))
    assert not (out / "adapter_config.json").exists()
    with torch.no_grad():
        ids = torch.tensor(IDS)
        expected = auto.from_pretrained(adapter, **told).eval()(input_ids=ids).logits
        merged = auto.from_pretrained(out).eval()
        assert torch.allclose(merged(input_ids=ids).logits, expected, atol=1e-5)
    if source.labels:
        config = json.loads((out / "config.json").read_text())
        assert config["id2label"] == {"0": "ham", "1": "spam", "2": "neither"}
        assert config["label2id"] == {"ham": 0, "spam": 1, "neither": 2}
    text = "the quick brown fox"
    own, ours = (transformers.AutoTokenizer.from_pretrained(each) for each in (adapter, out))
    assert ours(text)["input_ids"] == own(text)["input_ids"]


def test_what_was_there_is_replaced_whole(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "merged"
    out.mkdir()
    (out / "old.txt").write_text("of the last time")
    assert merge(model_zoo["lora-causal"], out) == out
    assert not (out / "old.txt").exists()
    assert (out / "model.safetensors").exists()


def test_a_whole_model_has_nothing_to_merge(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(HftermError) as caught:
        merge(model_zoo["bert"], tmp_path / "merged")
    assert caught.value.kind == "not-an-adapter"
    assert "whole model already" in caught.value.remedy


def test_a_base_that_is_gone_is_named(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    adapter = shutil.copytree(model_zoo["lora-causal"], tmp_path / "adapter")
    told = json.loads((adapter / "adapter_config.json").read_text())
    gone = tmp_path / "gone"
    (adapter / "adapter_config.json").write_text(
        json.dumps(told | {"base_model_name_or_path": str(gone)})
    )
    with pytest.raises(HftermError) as caught:
        merge(adapter, tmp_path / "merged")
    assert str(gone) in caught.value.message


def test_a_place_that_can_t_be_written_is_left_as_it_was(
    model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(HftermError) as caught:
        merge(model_zoo["lora-causal"], tmp_path / "file" / "merged")
    assert caught.value.kind == "unwritable"
    assert (tmp_path / "file").read_text() == "no folder"


def test_it_can_be_stopped(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        merge(model_zoo["lora-causal"], tmp_path / "merged", Job(cancelled=lambda: True))
    assert not list(tmp_path.iterdir())
