"""Attention: the weights are the model's own, the metrics what a direct computation says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hfterm.attention import hidden
from hfterm.attention.capture import Capture
from hfterm.attention.comparing import Kept, compare
from hfterm.attention.types import METRICS, CaptureOptions, Side, Which
from hfterm.errors import Cancelled, HftermError
from hfterm.hub.starter import starter_path
from hfterm.inference.loading import OpenModel, load_model
from hfterm.job import Job, Progress
from hfterm.models.types import ModelSpec

TEXT = "The cat sat on the mat, and the dog sat on the rug."
NAMES: dict[Side, tuple[str, str]] = {
    "self": ("attentions", "hidden_states"),
    "encoder": ("encoder_attentions", "encoder_hidden_states"),
    "decoder": ("decoder_attentions", "decoder_hidden_states"),
    "cross": ("cross_attentions", ""),
}


def opened_at(ref: str) -> OpenModel:
    return load_model(ModelSpec(ref=ref, auto=""))


@pytest.fixture(scope="module")
def minilm() -> OpenModel:
    return opened_at("minilm")


@pytest.fixture(scope="module")
def smollm2() -> OpenModel:
    assert starter_path("smollm2") is not None
    return opened_at("smollm2")


def direct(opened: OpenModel, capture: Capture) -> dict[str, object]:
    """What the model itself gives, eager."""
    before = str(opened.model.config._attn_implementation)
    opened.model.set_attn_implementation("eager")
    with torch.inference_mode():
        output = opened.model.base_model(
            **capture.fed.inputs, output_attentions=True, output_hidden_states=True
        )
    opened.model.set_attn_implementation(before)
    return dict(output)


def check_equal(opened: OpenModel, text: str = TEXT) -> Capture:
    """All weights and hidden states of a pass are those of the model."""
    capture = Capture(opened, text)
    output = direct(opened, capture)
    for side in capture.passed.sides:
        weights, states = NAMES[side]
        layers, heads, _ = capture.passed.shape(side)
        theirs = output[weights]
        assert isinstance(theirs, tuple)
        assert len(theirs) == layers
        for layer in range(layers):
            ours = capture.layer_weights(side, layer)
            assert ours.shape == theirs[layer][0].shape
            assert ours.shape[0] == heads
            assert torch.allclose(ours, theirs[layer][0], atol=1e-6, rtol=0)
            assert torch.allclose(ours.sum(2), torch.ones(()), atol=1e-5)
            one = capture.weights(Which(side=side, layer=layer, head=heads - 1))
            assert torch.allclose(one, theirs[layer][0, -1], atol=1e-6, rtol=0)
            bits = capture.weights(Which(side=side, layer=layer, head=0), bits=True)
            shown = (bits.float() / 255) ** 2
            assert float((shown - theirs[layer][0, 0]).abs().max()) <= 1 / 255
        if states:
            expected = output[states]
            assert isinstance(expected, tuple)
            assert len(expected) == len(capture.passed.hidden[side])
            for ours, own in zip(capture.passed.hidden[side], expected, strict=True):
                assert torch.equal(ours, own[0])
    return capture


def test_minilm_is_the_models_own(minilm: OpenModel) -> None:
    capture = check_equal(minilm)
    axis = capture.summary.axis("self")
    assert (axis.layers, axis.heads, axis.causal) == (6, 12, False)
    assert capture.summary.source[0].token == "[CLS]"
    assert [token.text for token in capture.summary.source[1:3]] == ["The", "cat"]


def test_smollm2_is_the_models_own(smollm2: OpenModel) -> None:
    axis = check_equal(smollm2).summary.axis("self")
    assert (axis.layers, axis.heads, axis.kv_heads, axis.causal) == (30, 9, 3, True)


@pytest.mark.parametrize("name", ["t5", "bart", "gpt2", "distilbert", "roberta", "llama"])
def test_other_architectures(model_zoo: dict[str, Path], name: str) -> None:
    capture = check_equal(opened_at(str(model_zoo[name])))
    if name in ("t5", "bart"):
        assert [axis.side for axis in capture.summary.axes] == ["encoder", "decoder", "cross"]
        assert capture.summary.axis("decoder").causal
        upper = np.triu(capture.layer_weights("decoder", 0)[0].numpy(), 1)
        assert not upper.any()


SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "vocab_size": 30_522,
}  # fmt: skip
OTHERS: dict[str, dict[str, object]] = {
    "albert": {"embedding_size": 16},  # its layers are one module
    "mistral": {"num_key_value_heads": 2, "sliding_window": 4},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4},
    "deberta-v2": {},  # its attention is of its own kind
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
}


@pytest.mark.parametrize("name", list(OTHERS))
def test_architectures_of_other_kinds(tmp_path: Path, name: str) -> None:
    import transformers

    config = transformers.AutoConfig.for_model(name, **(SMALL | OTHERS[name]))
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    opened = load_model(ModelSpec(ref=str(tmp_path), auto="", tokenizer="minilm"))
    capture = check_equal(opened)
    axis = capture.summary.axis("self")
    assert (axis.layers, axis.heads) == (2, 4)
    windows = {"mistral": (4, 4), "gemma2": (4, 0)}
    assert axis.windows == windows.get(name, (0, 0))


def test_some_queries_at_a_time_is_the_same(
    smollm2: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of a few rows give the weights and metrics of one chunk."""
    whole = Capture(smollm2, TEXT * 4)
    monkeypatch.setattr("hfterm.attention.rows.CHUNK", 4 * 9 * 60 * 7)
    pieces = Capture(smollm2, TEXT * 4)
    assert len(whole.fed.source) > 48
    for name in METRICS:
        first, second = (c.summary.metrics["self"][name].numpy() for c in (whole, pieces))
        assert np.allclose(first, second, atol=1e-4, equal_nan=True), name
    first, second = (c.summary.thumbnails["self"].numpy() for c in (whole, pieces))
    assert np.abs(first.astype(int) - second.astype(int)).max() <= 1
    which = Which(layer=29, head=8)
    assert torch.allclose(whole.weights(which), pieces.weights(which), atol=1e-5)


@pytest.mark.parametrize("ref", ["minilm", "smollm2"])
def test_metrics_are_the_direct_ones(ref: str, request: pytest.FixtureRequest) -> None:
    opened: OpenModel = request.getfixturevalue(ref)
    capture = Capture(opened, TEXT)
    tokens = capture.summary.source
    count = len(tokens)
    places = torch.arange(count)
    away = (places[:, None] - places).abs().float()
    marks = torch.tensor([float(t.special and at > 0) for at, t in enumerate(tokens)])
    commas = torch.tensor([float(t.text.strip() in (",", ".")) for t in tokens])
    ids = [token.id for token in tokens]
    again = torch.tensor(
        [[float(0 < k <= q and ids[k - 1] == ids[q]) for k in range(count)] for q in range(count)]
    )
    repeated = int(again.any(1).sum())
    assert repeated
    for layer in range(capture.passed.shape("self")[0]):
        w = capture.layer_weights("self", layer)
        expected = {
            "entropy": torch.special.entr(w).sum(2).mean(1) / np.log(2),
            "top": w.amax(2).mean(1),
            "first": w[:, 1:, 0].mean(1),
            "self": w.diagonal(0, 1, 2).mean(1),
            "previous": w.diagonal(-1, 1, 2).mean(1),
            "next": w.diagonal(1, 1, 2).mean(1),
            "separator": (w @ marks).mean(1),
            "punctuation": (w[:, 1:] @ commas).mean(1),
            "distance": (w * away).sum(2).mean(1),
            "induction": (w * again).sum((1, 2)) / repeated,
        }
        for name in METRICS:
            ours = torch.from_numpy(capture.summary.metrics["self"][name].numpy()[layer].copy())
            assert torch.allclose(ours, expected[name], atol=1e-4), (layer, name)


def test_known_heads_are_found(minilm: OpenModel, smollm2: OpenModel) -> None:
    """The head that a metric names does what the metric says, by a look at its weights."""

    def best(capture: Capture, metric: str) -> tuple[float, torch.Tensor]:
        values = capture.summary.metrics["self"][metric].numpy()
        layer, head = (int(at) for at in np.unravel_index(np.nanargmax(values), values.shape))
        return float(values[layer, head]), capture.weights(Which(layer=layer, head=head))

    mini, small = Capture(minilm, TEXT), Capture(smollm2, TEXT)
    value, weights = best(small, "previous")
    assert value > 0.5
    assert float((weights[1:].argmax(1) == torch.arange(len(weights) - 1)).float().mean()) > 0.5
    value, weights = best(small, "first")
    assert value > 0.9
    assert bool((weights.argmax(1) == 0).all())
    value, weights = best(small, "self")
    assert value == pytest.approx(float(weights.diagonal().mean()), abs=1e-5)
    value, weights = best(mini, "separator")
    assert value == pytest.approx(float(weights[:, -1].mean()), abs=1e-5)
    words = "velvet anchor copper meadow signal harbor "
    repeated = Capture(smollm2, words * 2)
    value, weights = best(repeated, "induction")
    assert value > 0.5
    ids = [token.id for token in repeated.summary.source]
    before = {at: ids.index(id_) for at, id_ in enumerate(ids) if ids.index(id_) < at}
    assert len(before) >= 5
    hits = [int(weights[at].argmax()) == first + 1 for at, first in before.items()]
    assert sum(hits) > len(hits) / 2


def test_means_rollout_and_links(minilm: OpenModel) -> None:
    capture = Capture(minilm, TEXT)
    every = torch.stack([capture.layer_weights("self", layer) for layer in range(6)])
    assert torch.allclose(capture.weights(Which(layer=2, head=None)), every[2].mean(0), atol=1e-6)
    assert torch.allclose(
        capture.weights(Which(layer=None, head=None)), every.mean((0, 1)), atol=1e-6
    )
    rolled = torch.eye(every.shape[2])
    for layer in range(4):
        rolled = (0.5 * every[layer].mean(0) + 0.5 * torch.eye(len(rolled))) @ rolled
    assert torch.allclose(capture.weights(Which(layer=3, rollout=True)), rolled, atol=1e-6)
    links = capture.rank("self", 3, top=10)
    best = torch.topk(every[:, :, 3].reshape(-1), 10).values
    assert [link.weight for link in links] == pytest.approx(best.tolist())
    assert all(
        link.weight == pytest.approx(float(every[link.layer, link.head, 3, link.key]))
        for link in links
    )
    incoming = capture.rank("self", 3, incoming=True, top=5)
    assert incoming[0].weight == pytest.approx(float(every[:, :, :, 3].max()))


def test_hidden_views(minilm: OpenModel) -> None:
    capture = Capture(minilm, TEXT)
    states = capture.passed.hidden["self"][4].float()
    found = hidden.views(capture, "self", 4)
    cosines = torch.nn.functional.cosine_similarity(states[:, None], states[None], dim=2)
    assert np.allclose(found.similarity.numpy(), cosines, atol=1e-5)
    assert np.allclose(np.diag(found.layers.numpy()), 1, atol=1e-5)
    centred = (states - states.mean(0)).double()
    values = torch.linalg.svdvals(centred) ** 2
    assert found.explained == pytest.approx((values[:2] / values.sum()).tolist(), abs=1e-4)
    norms = capture.summary.norms["self"].numpy()
    assert np.allclose(norms[4], states.norm(dim=1), atol=1e-4)


def test_the_last_layer_of_the_lens_is_the_models_answer(smollm2: OpenModel) -> None:
    capture = Capture(smollm2, TEXT)
    found = hidden.lens(capture, start=2, count=4)
    with torch.inference_mode():
        logits = smollm2.model(capture.fed.inputs["input_ids"]).logits[0, 2:6].float()
    best = logits.softmax(1).max(1)
    for cell, id_, probability in zip(
        found.cells[-1], best.indices.tolist(), best.values.tolist(), strict=True
    ):
        assert cell.tokens[0] == smollm2.text.decode([id_])
        assert cell.probabilities[0] == pytest.approx(probability, abs=1e-4)
    assert len(found.cells) == 31
    assert np.abs(found.kl.numpy()[-1]).max() < 1e-5
    assert found.kl.numpy()[0].min() > 0.1


def test_a_model_without_a_head_has_no_lens(minilm: OpenModel) -> None:
    with pytest.raises(HftermError, match="no head over the vocabulary"):
        hidden.lens(Capture(minilm, TEXT))


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_text(minilm: OpenModel, text: str) -> None:
    with pytest.raises(HftermError, match="no text"):
        Capture(minilm, text)


def test_one_token(smollm2: OpenModel) -> None:
    capture = Capture(smollm2, "cat")
    assert capture.weights(Which()).tolist() == [[1.0]]
    assert np.isnan(capture.summary.metrics["self"]["previous"].numpy()).all()


def test_longer_than_the_model(minilm: OpenModel) -> None:
    text = "word " * 40_000
    with pytest.raises(HftermError, match="positions for 512") as caught:
        Capture(minilm, text)
    assert "window" in caught.value.remedy
    second = Capture(minilm, text, CaptureOptions(long="window", window=1))
    assert len(second.summary.source) == 512
    assert second.summary.note.startswith("Window 2 of")


def test_a_model_without_attention(tmp_path: Path) -> None:
    import transformers

    config = transformers.MambaConfig(
        vocab_size=64, hidden_size=16, state_size=4, num_hidden_layers=2, intermediate_size=32
    )
    transformers.MambaForCausalLM(config).save_pretrained(tmp_path)
    spec = ModelSpec(ref=str(tmp_path), auto="", tokenizer="minilm")
    opened = load_model(spec)
    opened.model.config.vocab_size = len(opened.text)
    opened.model.resize_token_embeddings(len(opened.text))
    with pytest.raises(HftermError, match="no attention"):
        Capture(opened, TEXT)


@pytest.mark.parametrize("all_of_them", [False, True])
def test_a_model_that_refuses_eager_attention(
    model_zoo: dict[str, Path], monkeypatch: pytest.MonkeyPatch, all_of_them: bool
) -> None:
    opened = opened_at(str(model_zoo["bert"]))
    real = opened.model.set_attn_implementation

    def refuse(name: str) -> None:
        if all_of_them or name in ("eager", "hfterm_rows"):
            raise ValueError(f"{name} is not supported")
        real(name)

    monkeypatch.setattr(opened.model, "set_attn_implementation", refuse)
    with pytest.raises(HftermError, match="can't run eager attention") as caught:
        Capture(opened, TEXT)
    assert caught.value.remedy


def test_weights_that_are_no_numbers(model_zoo: dict[str, Path]) -> None:
    opened = opened_at(str(model_zoo["bert"]))
    layer = next(m for n, m in opened.model.named_modules() if n.endswith("layer.1.attention.self"))
    with torch.no_grad():
        layer.query.weight[:] = float("nan")  # pyright: ignore
    capture = Capture(opened, TEXT)
    finite = capture.summary.finite["self"].numpy()
    assert finite[0].all()
    assert not finite[1].any()
    with pytest.raises(HftermError, match="no numbers") as caught:
        capture.map(Which(layer=1))
    assert "float32" in caught.value.remedy
    assert capture.map(Which(layer=0)).exact


def test_no_such_head(minilm: OpenModel) -> None:
    capture = Capture(minilm, TEXT)
    with pytest.raises(HftermError, match="no head 12"):
        capture.map(Which(layer=0, head=12))
    with pytest.raises(HftermError, match="no cross attention"):
        capture.map(Which(side="cross"))


def test_cancelled_between_two_layers(smollm2: OpenModel) -> None:
    seen: list[Progress] = []
    job = Job(seen.append, lambda: len(seen) >= 5)
    with pytest.raises(Cancelled):
        Capture(smollm2, TEXT, job=job)
    assert [progress.done for progress in seen] == list(range(5))
    assert smollm2.model.config._attn_implementation == "sdpa"
    assert Capture(smollm2, "again").summary.axes


def test_predictions_are_the_same_afterwards(minilm: OpenModel) -> None:
    inputs = minilm.text(TEXT, return_tensors="pt")
    with torch.inference_mode():
        before = minilm.model(**inputs).last_hidden_state
        Capture(minilm, TEXT)
        after = minilm.model(**inputs).last_hidden_state
    assert torch.equal(before, after)


def test_two_texts_and_two_models(minilm: OpenModel, model_zoo: dict[str, Path]) -> None:
    which = Which(layer=1, head=2)
    first = Kept.of(Capture(minilm, TEXT), which, Job())
    same = compare(first, Kept.of(Capture(minilm, TEXT), which, Job()), which)
    assert same.map is not None
    assert not same.map.numpy().any()
    other = compare(first, Kept.of(Capture(minilm, "Another text."), which, Job()), which)
    assert other.map is None
    assert other.why.startswith("17 × 17 tokens against 5 × 5")
    assert other.difference["entropy"].numpy().any()
    swapped = Capture(minilm, TEXT.replace("cat", "cow"))
    changed = compare(first, Kept.of(swapped, which, Job()), which)
    assert changed.map is not None
    assert np.allclose(changed.map.numpy().sum(1), 0, atol=1e-5)
    assert changed.map.numpy().any()
    tiny = Kept.of(Capture(opened_at(str(model_zoo["bert"])), TEXT), Which(), Job())
    with pytest.raises(HftermError, match="no head for each head"):
        compare(first, tiny, Which())


def test_a_quantized_model(smollm2: OpenModel) -> None:
    opened = load_model(ModelSpec(ref="smollm2", auto="", quantization="nf4"))
    capture = Capture(opened, TEXT)
    weights = capture.weights(Which(layer=3, head=1))
    assert torch.allclose(weights.sum(1), torch.ones(()), atol=2e-2)
