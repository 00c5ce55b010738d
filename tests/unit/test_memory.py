"""What a model costs in memory: counted and traced on shapes, compared with real tensors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertForSequenceClassification,
    DeepseekV3Config,
    ElectraConfig,
    ElectraForPreTraining,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from hfterm.errors import Cancelled
from hfterm.job import Job, Progress
from hfterm.models import memory, memory_runs
from hfterm.models.devices import devices
from hfterm.models.kv_cache import cache_tensors, kv_cache_size
from hfterm.models.memory import PRECISIONS, WAYS, estimate, judge, weight_sizes
from hfterm.models.memory_types import DeviceRoom, MemoryPart, MemoryPlan
from hfterm.system.samples import GpuSample, Sampler, SystemSample

GB = 10**9
SMALL = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4}


def llama(layers: int = 3, **more: Any) -> LlamaConfig:
    return LlamaConfig(**{**SMALL, "num_hidden_layers": layers, "num_key_value_heads": 2, **more})


def gemma(layers: int) -> Gemma3TextConfig:
    kinds = ["full_attention" if index % 3 == 2 else "sliding_attention" for index in range(layers)]
    return Gemma3TextConfig(
        **SMALL, num_hidden_layers=layers, num_key_value_heads=1, head_dim=16, sliding_window=16,
        layer_types=kinds,
    )  # fmt: skip


def bert(layers: int = 3) -> BertConfig:
    return BertConfig(**SMALL, num_hidden_layers=layers, max_position_embeddings=64)


CACHED: dict[str, PreTrainedConfig] = {
    "grouped": llama(),
    "latent": DeepseekV3Config(
        **SMALL, num_hidden_layers=3, num_key_value_heads=4, q_lora_rank=24, kv_lora_rank=16,
        qk_rope_head_dim=8, qk_nope_head_dim=16, v_head_dim=12, moe_intermediate_size=32,
        n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1,
        first_k_dense_replace=1,
    ),
    "sliding": MistralConfig(
        **SMALL, num_hidden_layers=2, num_key_value_heads=2, sliding_window=16
    ),
    "alternating": gemma(7),
}  # fmt: skip


@pytest.mark.parametrize("context", [8, 40])
@pytest.mark.parametrize("name", CACHED)
def test_the_cache_is_as_large_as_a_real_one(name: str, context: int) -> None:
    model = AutoModelForCausalLM.from_config(CACHED[name]).eval()
    with torch.no_grad():
        answer = model(input_ids=torch.zeros(2, context, dtype=torch.long), use_cache=True)
    real = sum(tensor.nbytes for tensor in cache_tensors(answer.past_key_values))
    assert real
    assert kv_cache_size(CACHED[name], context, 2, 4) == real
    assert kv_cache_size(CACHED[name], context, 2, 2) == real // 2


def test_an_encoder_keeps_no_cache() -> None:
    assert kv_cache_size(bert(), 32, 2, 4) == 0


def real_size(model: PreTrainedModel) -> int:
    """Every tensor that a quantized model holds, what `get_memory_footprint` forgets included."""
    tensors: list[torch.Tensor] = [*model.parameters(), *model.buffers()]
    for parameter in model.parameters():
        held = vars(parameter)
        if (state := held.get("quant_state")) is not None:
            tensors += [state.absmax, state.code, state.offset, state.state2.absmax]
            tensors.append(state.state2.code)
        if (scales := held.get("SCB")) is not None:
            tensors.append(scales)
    return sum(tensor.nbytes for tensor in tensors)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny decoder, and a tiny encoder without a head."""
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(llama()).save_pretrained(folder / "llama")
    transformers.BertModel(bert()).save_pretrained(folder / "bert")
    return folder


@pytest.mark.parametrize("precision", ["int8", "nf4"])
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_quantized_weights_are_as_large_as_real_ones(
    saved: Path, name: str, precision: str
) -> None:
    bnb: Any = pytest.importorskip("bitsandbytes")
    pytest.importorskip("accelerate")
    cls: type[PreTrainedModel] = (
        LlamaForCausalLM if name == "llama" else BertForSequenceClassification
    )
    new = () if name == "llama" else ("classifier",)
    how = transformers.BitsAndBytesConfig(
        load_in_8bit=precision == "int8",
        load_in_4bit=precision == "nf4",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=list(new) or None,
    )
    model = cls.from_pretrained(saved / name, dtype=torch.bfloat16, quantization_config=how)
    kept = [
        path
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and not isinstance(module, bnb.nn.Linear4bit | bnb.nn.Linear8bitLt)
    ]
    assert kept == (["lm_head"] if name == "llama" else ["classifier"])
    sizes = weight_sizes(cls, model.config, new)
    # rotary frequencies stay in float32, and code tables may be shared between layers
    assert sizes["int8" if precision == "int8" else "nf4"] == pytest.approx(
        real_size(model), rel=0.002
    )


def test_weights_in_float32_and_bfloat16_are_as_large_as_real_ones() -> None:
    config = llama(tie_word_embeddings=True)
    model = LlamaForCausalLM(config)
    sizes = weight_sizes(LlamaForCausalLM, config)
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    numbers = sum(parameter.numel() for parameter in model.parameters())
    assert sizes["float32"] == 4 * numbers + buffers == model.get_memory_footprint()
    assert sizes["bfloat16"] == 2 * numbers + buffers
    assert set(sizes) == set(PRECISIONS)
    assert sizes["nf4"] < sizes["int8"] < sizes["bfloat16"]


def by_way(plans: Iterable[MemoryPlan]) -> dict[tuple[str, str], MemoryPlan]:
    return {(plan.purpose, plan.precision): plan for plan in plans}


def part(plan: MemoryPlan, what: str) -> int:
    return sum(one.size for one in plan.parts if one.what == what)


@pytest.fixture(scope="module")
def plans() -> dict[tuple[str, str], MemoryPlan]:
    return by_way(estimate(LlamaForCausalLM, llama(6), context=48, batch=2))


def test_every_way_has_a_plan_whose_parts_add_up(
    plans: dict[tuple[str, str], MemoryPlan],
) -> None:
    assert set(plans) == set(WAYS)
    for plan in plans.values():
        assert plan.total == sum(one.size for one in plan.parts)
        assert all(one.size > 0 for one in plan.parts)
        assert [one.size for one in plan.parts] == sorted(
            (one.size for one in plan.parts), reverse=True
        )
        assert "thumb" not in plan.note


def test_inference_counts_the_whole_cache(plans: dict[tuple[str, str], MemoryPlan]) -> None:
    plan = plans["inference", "bfloat16"]
    assert part(plan, "KV cache") == kv_cache_size(llama(6), 48, 2, 2)
    assert plan.trainable == 0
    assert part(plan, "weights") == weight_sizes(LlamaForCausalLM, llama(6))["bfloat16"]


def test_full_fine_tuning_trains_everything(plans: dict[tuple[str, str], MemoryPlan]) -> None:
    plan = plans["full fine-tune", "float32"]
    numbers = sum(one.numel() for one in LlamaForCausalLM(llama(6)).parameters())
    assert plan.trainable == numbers
    assert part(plan, "optimizer states") == 2 * 4 * numbers


def test_adapters_go_where_they_are_wanted() -> None:
    found = by_way(
        estimate(LlamaForCausalLM, llama(), context=8, batch=1, rank=4, targets=["q_proj"])
    )
    assert found["LoRA", "bfloat16"].trainable == 3 * 4 * (64 + 64)
    assert part(found["LoRA", "bfloat16"], "adapters") == 4 * found["LoRA", "bfloat16"].trainable
    nowhere = by_way(estimate(LlamaForCausalLM, llama(), context=8, batch=1, targets=["nothing"]))
    assert not any(purpose.endswith("LoRA") for purpose, _ in nowhere)


def test_a_new_head_is_trained_with_the_adapters() -> None:
    found = by_way(
        estimate(
            BertForSequenceClassification, bert(), context=16, batch=2, rank=4,
            new_modules=["classifier"],
        )
    )  # fmt: skip
    layer = 4 * (64 + 64) * 4 + (64 + 160) * 4 * 2
    assert found["LoRA", "float32"].trainable == 3 * layer + 4 * (64 + 64) + 64 * 2 + 2


@pytest.mark.parametrize(
    ("cls", "config"),
    [
        (LlamaForCausalLM, llama(9)),
        (BertForSequenceClassification, bert(7)),
        (Gemma3ForCausalLM, gemma(18)),
    ],
)
def test_a_few_layers_tell_what_all_of_them_take(
    cls: type[PreTrainedModel], config: PreTrainedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = memory_runs.cut(memory_runs.build(cls, config), config)
    assert cut.more < config.num_hidden_layers
    short = estimate(cls, config, context=40, batch=2)
    monkeypatch.setattr(memory, "cut", lambda *_: memory_runs.Cut(0, 0, 0))
    for quick, whole in zip(short, estimate(cls, config, context=40, batch=2), strict=True):
        assert quick.total == pytest.approx(whole.total, rel=0.001), (quick, whole)


@pytest.mark.parametrize(
    ("size", "inner", "layers", "heads", "least"),
    [(4096, 14336, 32, 32, 16.06 * GB), (8192, 28672, 80, 64, 141.1 * GB)],
)
def test_large_models_are_estimated_without_memory(
    size: int, inner: int, layers: int, heads: int, least: float
) -> None:
    config = LlamaConfig(
        vocab_size=128256, hidden_size=size, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=8,
    )  # fmt: skip
    before = psutil.Process().memory_info().rss
    found = by_way(estimate(LlamaForCausalLM, config, context=4096, batch=1))
    assert psutil.Process().memory_info().rss - before < 0.3 * GB
    whole = memory_runs.build(LlamaForCausalLM, config)
    assert memory_runs.cut(whole, config) == memory_runs.Cut(2, 3, layers - 2, 1)
    assert part(found["inference", "bfloat16"], "weights") == pytest.approx(least, rel=0.001)
    assert part(found["inference", "bfloat16"], "KV cache") == layers * 2 * 8 * 128 * 4096 * 2
    assert found["QLoRA", "nf4"].total < found["LoRA", "bfloat16"].total


def test_a_class_that_needs_data_gets_a_rule_of_thumb_and_says_so() -> None:
    config = ElectraConfig(**SMALL, num_hidden_layers=2, embedding_size=64)
    found = by_way(estimate(ElectraForPreTraining, config, context=16, batch=2))
    assert "rule of thumb" in found["full fine-tune", "float32"].note
    assert found["full fine-tune", "float32"].total > found["inference", "float32"].total


@pytest.mark.parametrize("name", ["codegen", "rwkv"])
def test_configs_without_a_padding_token_or_heads(name: str) -> None:
    sizes = {"codegen": {"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8},
             "rwkv": {"hidden_size": 64, "num_hidden_layers": 2}}  # fmt: skip
    config = AutoConfig.for_model(name, vocab_size=320, **sizes[name])
    assert not hasattr(config, "pad_token_id")
    model_cls = type(AutoModelForCausalLM.from_config(config))
    found = by_way(estimate(model_cls, config, context=16, batch=2))
    assert len(found) == len(WAYS)
    cached = any(one.what == "KV cache" for one in found["inference", "float32"].parts)
    assert cached == (name == "codegen")


def test_an_estimate_reports_and_can_be_cancelled() -> None:
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        estimate(
            LlamaForCausalLM, llama(), context=8, batch=1,
            job=Job(seen.append, lambda: len(seen) == 2),
        )  # fmt: skip
    assert [one.done for one in seen] == [0, 1]


def plan_of(total: int, **more: Any) -> MemoryPlan:
    return MemoryPlan(**{
        "purpose": "full fine-tune", "precision": "float32", "total": total,
        "parts": (MemoryPart("weights", total),), **more,
    })  # fmt: skip


def test_verdicts_at_their_borders() -> None:
    room = DeviceRoom("cpu", 200 * GB, 100 * GB)
    assert judge(plan_of(85 * GB), room).fit == "fits"
    assert judge(plan_of(85 * GB + 1), room).fit == "tight"
    assert judge(plan_of(100 * GB), room).fit == "tight"
    over = judge(plan_of(100 * GB + 1), room)
    assert over.fit == "does not fit"
    assert "the weights alone take 100 GB" in over.why
    text = plan_of(101 * GB, parts=(MemoryPart("weights", GB), MemoryPart("KV cache", 100 * GB)))
    assert "smaller batch" in judge(text, room).why
    assert judge(plan_of(85 * GB), room).why == "85.0 GB of 100 GB free"


def test_a_verdict_names_the_largest_plan_of_the_kind_that_fits() -> None:
    room = DeviceRoom("cpu", 20 * GB, 10 * GB)
    large = plan_of(221 * GB // 10)
    others = [
        large,
        plan_of(63 * GB // 10, purpose="QLoRA", precision="nf4"),
        plan_of(9 * GB, purpose="QLoRA", precision="int8"),
        plan_of(7 * GB, purpose="inference", precision="bfloat16"),
    ]
    assert judge(large, room, others).why == "needs 12.1 GB more; QLoRA nf4 takes 6.3 GB"


def test_devices_are_main_memory_and_the_gpus_that_tell_theirs() -> None:
    gpus = [
        GpuSample("A100", 0, 3 * GB, 40 * GB, 30),
        GpuSample("old", None, None, None, None),
    ]
    sampler = SimpleNamespace(sample=lambda: SystemSample(0.0, 5 * GB, 8 * GB, gpus))
    assert devices(cast("Sampler", sampler)) == [
        DeviceRoom("cpu", 8 * GB, 3 * GB),
        DeviceRoom("cuda:0 A100", 40 * GB, 37 * GB),
    ]
    assert devices()[0].total >= devices()[0].free > 0
