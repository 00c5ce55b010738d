"""The lab's figures against torch's own: perplexity, divergence, agreement."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import chat_models
from hfterm.chat.quant_lab import MOST, measure_way
from hfterm.chat.types import LlmSpec
from hfterm.errors import HftermError
from hfterm.job import Job

TEXT = "The market opened at six, and the bells of the church rang. " * 3


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_models.llama3(tmp_path_factory.mktemp("lab") / "tiny")


def measured(model: Path, file: Path, *, first: bool, text: str = TEXT, dtype: str = "float32"):
    spec = LlmSpec(ref=str(model), dtype=dtype)
    return measure_way(spec, text, "What is it?", 4, file, Job(), is_reference=first)


def test_figures_are_torch_s(tiny: Path, tmp_path: Path) -> None:
    import torch
    import transformers

    file = tmp_path / "first.npy"
    first = measured(tiny, file, first=True)
    half = measured(tiny, file, first=False, dtype="bfloat16")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    ids = torch.tensor([tokenizer(TEXT)["input_ids"][:MOST]])
    logs = []
    for dtype in (torch.float32, torch.bfloat16):
        model = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=dtype).eval()
        with torch.no_grad():
            logs.append(model(input_ids=ids).logits[0].float().log_softmax(-1))
    for found, log in zip((first, half), logs, strict=True):
        own = -log[:-1].gather(1, ids[0, 1:, None]).mean().item()
        assert found.perplexity == pytest.approx(math.exp(own), rel=2e-3)
        assert found.size == pytest.approx(4 * first.size / (4 if found is first else 8), rel=0.01)
    p, q = (log.double() for log in logs)
    assert (first.way, first.kl, first.agreement) == ("float32", None, None)
    assert half.kl == pytest.approx((p.exp() * (p - q)).sum(-1).mean().item(), rel=0.05)
    same = (p.argmax(-1) == q.argmax(-1)).double().mean().item()
    assert half.agreement == pytest.approx(same, abs=0.02)


def test_the_same_way_again_is_no_way_off(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "first.npy"
    measured(tiny, file, first=True)
    again = measured(tiny, file, first=False)
    assert again.kl == pytest.approx(0, abs=1e-9)
    assert again.agreement == 1.0


def test_without_the_first_there_is_nothing_to_compare_with(tiny: Path, tmp_path: Path) -> None:
    found = measured(tiny, tmp_path / "none.npy", first=False)
    assert (found.kl, found.agreement) == (None, None)
    assert found.perplexity > 1


def test_a_text_of_one_token_is_too_short(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(HftermError) as caught:
        measured(tiny, tmp_path / "first.npy", first=True, text="")
    assert caught.value.kind == "short"


def test_no_room_for_the_distributions_is_said(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(HftermError) as caught:
        measured(tiny, tmp_path / "gone" / "first.npy", first=True)
    assert caught.value.kind == "disk"
    assert str(tmp_path / "gone") in caught.value.message
