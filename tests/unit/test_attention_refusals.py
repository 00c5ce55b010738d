"""What a pass refuses, and that what it does in pieces is what it does at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hfterm.attention import hidden
from hfterm.attention.capture import Capture
from hfterm.attention.comparing import Kept, compare
from hfterm.attention.rows import Wanted, attend, watching
from hfterm.attention.types import METRICS, CaptureOptions, Which
from hfterm.errors import HftermError
from hfterm.inference.loading import OpenModel, load_model
from hfterm.job import Job
from hfterm.models.types import ModelSpec
from hfterm.widgets.attention_tables import metric_rows

TEXT = "The cat sat on the mat, and the dog sat on the rug."
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "vocab_size": 30_522,
}  # fmt: skip


def opened_at(ref: str | Path, **more: str) -> OpenModel:
    return load_model(ModelSpec(ref=str(ref), auto=more.pop("auto", ""), **more))


@pytest.fixture(scope="module")
def bert(model_zoo: dict[str, Path]) -> OpenModel:
    return opened_at(model_zoo["bert"])


@pytest.fixture(scope="module")
def bart(model_zoo: dict[str, Path]) -> OpenModel:
    return opened_at(model_zoo["bart"])


@pytest.fixture(scope="module")
def llama(model_zoo: dict[str, Path]) -> OpenModel:
    return opened_at(model_zoo["llama"])


def made(folder: Path, name: str, **more: object) -> OpenModel:
    """A small model of an architecture, without anything learned."""
    import transformers

    config = transformers.AutoConfig.for_model(name, **(SMALL | more))
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return opened_at(folder, tokenizer="minilm")


# -- no such thing -----------------------------------------------------------------------------


def test_states_of_a_layer_that_is_not_there(bert: OpenModel) -> None:
    capture = Capture(bert, TEXT)
    last = len(capture.passed.hidden["self"]) - 1
    assert hidden.views(capture, "self", last).layer == last
    for layer in (-1, last + 1):
        with pytest.raises(HftermError, match=f"no hidden states {layer}") as caught:
            hidden.views(capture, "self", layer)
        assert caught.value.remedy == f"Choose from 0 (the embeddings) to {last}."


def test_cross_attention_has_no_states_and_no_rollout_of_its_own(bart: OpenModel) -> None:
    capture = Capture(bart, TEXT)
    with pytest.raises(HftermError, match="no hidden states of the cross") as caught:
        hidden.views(capture, "cross", 0)
    assert caught.value.remedy == "Choose: encoder, decoder."
    with pytest.raises(HftermError, match="layers can't be multiplied") as caught:
        capture.map(Which(side="cross", rollout=True))
    assert caught.value.kind == "no-rollout"


def test_a_rollout_of_too_many_tokens(bert: OpenModel, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = Capture(bert, TEXT)
    assert capture.weights(Which(layer=1, rollout=True)).sum() == pytest.approx(
        len(capture.fed.source), abs=1e-3
    )
    monkeypatch.setattr("hfterm.attention.capture.ROLLOUT", 4)
    with pytest.raises(HftermError, match="multiplies") as caught:
        capture.weights(Which(layer=1, rollout=True))
    assert "at most 4 tokens" in caught.value.remedy


def test_a_text_of_which_the_tokenizer_leaves_nothing() -> None:
    minilm = opened_at("minilm")
    with pytest.raises(HftermError, match="no tokens") as caught:
        Capture(minilm, "\ufffd\ufffd", CaptureOptions(special=False))
    assert caught.value.kind == "empty"


def test_one_token_lies_in_the_middle_of_its_plane() -> None:
    capture = Capture(opened_at("minilm"), "cat", CaptureOptions(special=False))
    found = hidden.views(capture, "self", 2)
    assert found.plane.numpy().tolist() == [[0, 0]]
    assert found.explained == (0, 0)
    table = metric_rows(capture.summary, "self")
    place = list(METRICS).index("previous") + 2  # there is no token before
    assert table.row(0)[place].text == "–"
    assert table.values(0)[place] is None


def test_numbers_that_are_none_are_not_packed_into_bytes(model_zoo: dict[str, Path]) -> None:
    opened = opened_at(model_zoo["bert"])
    layer = next(m for n, m in opened.model.named_modules() if n.endswith("layer.1.attention.self"))
    with torch.no_grad():
        layer.query.weight[:] = float("nan")  # pyright: ignore
    capture = Capture(opened, TEXT)
    with pytest.raises(HftermError, match="first layer with such a head is 1"):
        capture.weights(Which(layer=1, head=0), bits=True)
    assert capture.weights(Which(layer=0, head=0), bits=True).dtype == torch.uint8
    assert [link.layer for link in capture.rank("self", 2, top=5)] == [0] * 5
    plane = hidden.views(capture, "self", 2)
    assert not plane.plane.numpy().any()


# -- models that give their weights only at once -----------------------------------------------


def test_weights_that_would_not_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    albert = made(tmp_path, "albert", embedding_size=16)
    tokens = len(Capture(albert, TEXT).fed.source)
    monkeypatch.setattr("hfterm.attention.passes.WHOLE", 2 * 4 * tokens * tokens * 4 - 1)
    with pytest.raises(HftermError, match="only gives all its weights at once") as caught:
        Capture(albert, TEXT)
    assert (caught.value.kind, "truncate" in caught.value.remedy) == ("too-large", True)
    assert len(Capture(albert, "The cat").fed.source) < tokens


def test_an_encoder_decoder_of_another_kind_has_all_three_sides(tmp_path: Path) -> None:
    size = {"encoder": {"layers": 2, "attention_heads": 4, "ffn_dim": 64}}
    own = {
        f"{side}_{name}": value for name, value in size["encoder"].items()
        for side in ("encoder", "decoder")
    }  # fmt: skip
    fsmt = made(
        tmp_path, "fsmt", langs=["en", "de"], d_model=32, src_vocab_size=30_522,
        tgt_vocab_size=30_522, **own,
    )  # fmt: skip
    capture = Capture(fsmt, TEXT, CaptureOptions(target="A dog."))
    assert capture.passed.implementation.startswith("eager attention, all weights at once")
    assert [axis.side for axis in capture.summary.axes] == ["encoder", "decoder", "cross"]
    assert set(capture.passed.hidden) == {"encoder", "decoder"}
    cross = capture.layer_weights("cross", 1)
    assert cross.shape == (4, len(capture.fed.target), len(capture.fed.source))
    assert torch.allclose(cross.sum(2), torch.ones(()), atol=1e-5)


def test_a_model_that_attends_in_blocks(tmp_path: Path) -> None:
    longformer = made(
        tmp_path, "longformer", attention_window=[4, 4], max_position_embeddings=130,
        pad_token_id=1,
    )  # fmt: skip
    with pytest.raises(HftermError, match="not queries × keys") as caught:
        Capture(longformer, TEXT)
    assert caught.value.kind == "local-attention"


def test_a_model_whose_heads_give_no_weights(tmp_path: Path) -> None:
    fnet = made(tmp_path, "fnet")
    with pytest.raises(HftermError) as caught:
        Capture(fnet, TEXT)
    assert caught.value.kind == "no-attention"


# -- in pieces ---------------------------------------------------------------------------------


def test_the_links_of_a_token_are_the_same_some_queries_at_a_time(
    llama: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = Capture(llama, TEXT)
    count = len(capture.fed.source)
    tokens = (0, count // 2, count - 1)
    whole = {
        (token, incoming): capture.rank("self", token, incoming=incoming)
        for token in tokens
        for incoming in (False, True)
    }
    monkeypatch.setattr("hfterm.attention.rows.CHUNK", 1)  # one query at a time
    for (token, incoming), expected in whole.items():
        found = capture.rank("self", token, incoming=incoming)
        assert len(found) == len(expected)
        assert [one.weight for one in found] == pytest.approx(
            [one.weight for one in expected], abs=1e-6
        )
        assert all(one.weight > 0 and one.key <= one.query for one in found)
    # in a causal model only the last token looks at itself
    assert {one.query for one in whole[count - 1, True]} == {count - 1}


def test_long_texts_give_memory_back_and_the_same_weights(
    bert: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Capture(bert, TEXT).layer_weights("self", 1)
    trimmed: list[bool] = []
    monkeypatch.setattr("hfterm.attention.passes.trim", lambda: trimmed.append(True))
    short = len(Capture(bert, TEXT).passed.hidden) and len(trimmed)
    monkeypatch.setattr("hfterm.attention.passes.LONG", 4)
    after = Capture(bert, TEXT)
    assert len(trimmed) - short > short  # after each layer too
    assert torch.equal(after.layer_weights("self", 1), before)


def test_heads_with_a_sink_are_the_models_own(tmp_path: Path) -> None:
    opened = made(
        tmp_path, "gpt_oss", num_key_value_heads=2, head_dim=8, num_local_experts=2,
        num_experts_per_tok=1, sliding_window=4, layer_types=["full_attention"] * 2,
    )  # fmt: skip
    capture = Capture(opened, TEXT)
    for head in (0, 3):
        one = capture.weights(Which(layer=1, head=head))
        assert torch.allclose(one, capture.layer_weights("self", 1)[head], atol=1e-6)
        assert bool((one.sum(1) < 1).all())  # the sink has the rest


def masks(queries: int) -> dict[str, torch.Tensor | None]:
    """Masks as transformers makes them, bool (True is seen) or added."""
    causal = torch.ones(queries, queries, dtype=torch.bool).tril()[None, None]
    padded = causal.clone()
    padded[..., :2] = False
    padded[..., 0, 0] = padded[..., 1, 1] = True  # no row without a key
    least = torch.finfo(torch.float32).min
    return {
        "none": None,
        "all": torch.ones_like(causal),
        "causal": causal,
        "padded": padded,
        "one row": torch.ones(1, 1, 1, queries, dtype=torch.bool).index_fill_(
            3, torch.tensor([1]), False
        ),
        "added": torch.zeros(causal.shape).masked_fill_(~causal, least),
    }


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize("name", list(masks(4)))
def test_any_mask_in_any_pieces_is_the_usual_attention(
    llama: OpenModel, monkeypatch: pytest.MonkeyPatch, name: str, chunk: int
) -> None:
    module = next(m for n, m in llama.model.named_modules() if n.endswith("layers.0.self_attn"))
    groups = int(module.num_key_value_groups)  # pyright: ignore
    torch.manual_seed(0)
    query = torch.randn(1, 2 * groups, 6, 8)
    key, value = torch.randn(2, 1, 2, 6, 8)
    mask = masks(6)[name]
    causal = name in ("none", "causal", "padded")
    monkeypatch.setattr("hfterm.attention.rows.CHUNK", chunk)
    seen = torch.zeros(2 * groups, 6, 6)

    def see(start: int, weights: torch.Tensor) -> None:
        seen[:, start : start + weights.shape[1], : weights.shape[2]] = weights

    with watching(llama.model, lambda *_: Wanted(see)), torch.inference_mode():
        output, _ = attend(module, query, key, value, mask, is_causal=causal, scaling=8**-0.5,
                           dropout=0.0)  # fmt: skip
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, masks(6)["causal"] if mask is None else mask, enable_gqa=True
    )
    assert torch.allclose(output.transpose(1, 2), expected, atol=1e-5)
    assert torch.allclose(seen.sum(2), torch.ones(()), atol=1e-5)
    assert torch.allclose(seen @ value[0].repeat_interleave(groups, 0), expected[0], atol=1e-5)


def test_a_module_without_eager_attention_is_refused() -> None:
    one = torch.zeros(1, 1, 2, 4)
    with pytest.raises(NotImplementedError, match="Linear has no eager attention"):
        attend(torch.nn.Linear(4, 4), one, one, one, None)


# -- texts and targets -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_a_model_without_a_head_has_its_target_shifted_all_the_same(
    model_zoo: dict[str, Path], name: str
) -> None:
    with_head = Capture(opened_at(model_zoo[name]), TEXT, CaptureOptions(target="A dog."))
    bare = Capture(
        opened_at(model_zoo[name], auto="AutoModel"), TEXT, CaptureOptions(target="A dog.")
    )
    assert [token.id for token in bare.fed.target] == [token.id for token in with_head.fed.target]
    assert bare.summary.cls != with_head.summary.cls


def test_no_difference_is_drawn_of_texts_too_long(
    bert: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfterm.attention.comparing.MOST", 4)
    capture = Capture(bert, TEXT)
    kept = Kept.of(capture, Which(), Job())
    assert kept.weights is None
    drawn = replace(kept, weights=capture.weights(Which()))
    for first, second in ((kept, drawn), (drawn, kept)):
        found = compare(first, second, Which())
        assert found.map is None
        assert found.why == "A difference is drawn up to 4 tokens."
        assert np.nansum(np.abs(found.difference["entropy"].numpy())) == 0
