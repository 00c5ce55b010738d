"""A zoo of small models, one of every kind, saved as checkpoints are.

Random weights from tiny configs, with a tokenizer of `zoo` beside each. Building takes a few
seconds and imports torch, transformers and peft.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import build_zoo

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.modeling_utils import PreTrainedModel

VOCABULARY = 1024
"""Of every model: no tokenizer of the zoo has more."""

POSITIONS = 128
WIDTH = 32
LAYERS = 2
LABELS = ("negative", "neutral", "positive")
ENTITIES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
ENTAILMENT = ("contradiction", "neutral", "entailment")
MANY_LABELS = 200

TOKENIZER_OF = {
    "bert": "wordpiece-uncased",
    "distilbert": "wordpiece-uncased",
    "roberta": "roberta",
    "gpt2": "gpt2",
    "bart": "roberta",
    "t5": "t5",
    "llama": "llama",
}
"""Architecture → member of the tokenizer zoo."""

NAMES = (
    "bert", "headless", "bert-mlm", "bert-labels", "bert-200", "bert-qa", "bert-ner", "bert-nli",
    "distilbert", "roberta", "gpt2", "bart", "t5", "llama", "llama-untied", "sharded", "pickle",
    "lora-labels", "lora-causal", "wrong", "truncated", "config-only",
)  # fmt: skip
"""Every member, for parametrizing.

`bert` is the plain model with its pooler and `headless` one without; `bert-mlm`, `bert-labels`
(3 labels), `bert-200` (200), `bert-qa`, `bert-ner` and `bert-nli` have the head they are named
after; `distilbert` and `roberta` fill masks, `gpt2` and `llama` (tied) and `llama-untied`
generate, `bart` and `t5` are whole; `sharded` is a copy of `llama-untied` in several files and
`pickle` one of `bert-labels` in pytorch_model.bin. `lora-labels` is an adapter on `bert` with a
classifier of 3 labels, `lora-causal` one on `llama`. `wrong` says bert and holds GPT-2's weights,
`truncated` is `bert-labels` cut in half, `config-only` has no weights.
"""

ADAPTERS = ("lora-labels", "lora-causal")
BROKEN = ("wrong", "truncated", "config-only")
WHOLE = tuple(name for name in NAMES if name not in BROKEN)


def _names(labels: tuple[str, ...]) -> dict[str, object]:
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def config_of(architecture: str, **more: object) -> PreTrainedConfig:
    """The tiny config of an architecture."""
    import transformers as t

    wide = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "max_position_embeddings": POSITIONS,
        "initializer_range": 0.2,
    }
    kinds: dict[str, tuple[type[PreTrainedConfig], dict[str, object]]] = {
        "bert": (t.BertConfig, wide),
        "distilbert": (
            t.DistilBertConfig,
            {
                "vocab_size": VOCABULARY, "dim": WIDTH, "hidden_dim": 2 * WIDTH,
                "n_layers": LAYERS, "n_heads": 2, "max_position_embeddings": POSITIONS,
                "initializer_range": 0.2,
            },
        ),
        # RoBERTa's first two positions belong to padding
        "roberta": (t.RobertaConfig, wide | {"max_position_embeddings": POSITIONS + 2}),
        "gpt2": (
            t.GPT2Config,
            {
                "vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 2,
                "n_positions": POSITIONS, "bos_token_id": 0, "eos_token_id": 0,
                "initializer_range": 0.2,
            },
        ),
        "bart": (
            t.BartConfig,
            {
                "vocab_size": VOCABULARY, "d_model": WIDTH, "max_position_embeddings": POSITIONS,
                "encoder_layers": LAYERS, "decoder_layers": LAYERS, "encoder_ffn_dim": 2 * WIDTH,
                "decoder_ffn_dim": 2 * WIDTH, "encoder_attention_heads": 2,
                "decoder_attention_heads": 2, "init_std": 0.2,
            },
        ),
        "t5": (
            t.T5Config,
            {
                "vocab_size": VOCABULARY, "d_model": WIDTH, "d_kv": WIDTH // 2, "num_heads": 2,
                "d_ff": 2 * WIDTH, "num_layers": LAYERS, "pad_token_id": 0, "eos_token_id": 1,
                "decoder_start_token_id": 0,
            },
        ),
        "llama": (
            t.LlamaConfig,
            wide
            | {
                "num_key_value_heads": 1, "bos_token_id": 1, "eos_token_id": 2,
                "tie_word_embeddings": True,
            },
        ),
    }  # fmt: skip
    cls, values = kinds[architecture]
    return cls(**(values | more))  # pyright: ignore[reportArgumentType]


def build_model_zoo(folder: Path) -> dict[str, Path]:
    """Write every member into a folder of its own under `folder`; name → folder. See `NAMES`."""
    import torch
    import transformers as t

    tokenizers = build_zoo(folder / "tokenizers")
    made: dict[str, Path] = {}

    def dress(name: str, architecture: str) -> Path:
        """Put the tokenizer of an architecture into the member's folder."""
        path = made[name] = folder / name
        shutil.copytree(tokenizers[TOKENIZER_OF[architecture]], path, dirs_exist_ok=True)
        if architecture in ("bert", "distilbert", "roberta"):
            told = path / "tokenizer_config.json"
            told.write_text(
                json.dumps(json.loads(told.read_text()) | {"model_max_length": POSITIONS})
            )
        return path

    def save(name: str, model: PreTrainedModel, **told: object) -> PreTrainedModel:
        model.save_pretrained(folder / name, **told)  # pyright: ignore[reportArgumentType]
        dress(name, model.config.model_type)
        return model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        bert = config_of("bert")
        labels = config_of("bert", **_names(LABELS))
        base = save("bert", t.BertModel(bert))
        save("headless", t.BertModel(bert, add_pooling_layer=False))
        save("bert-mlm", t.BertForMaskedLM(bert))
        classifier = save("bert-labels", t.BertForSequenceClassification(labels))
        save("bert-200", t.BertForSequenceClassification(config_of("bert", num_labels=MANY_LABELS)))
        save("bert-qa", t.BertForQuestionAnswering(bert))
        save("bert-ner", t.BertForTokenClassification(config_of("bert", **_names(ENTITIES))))
        nli = config_of("bert", **_names(ENTAILMENT))
        save("bert-nli", t.BertForSequenceClassification(nli))
        save("distilbert", t.DistilBertForMaskedLM(config_of("distilbert")))
        save("roberta", t.RobertaForMaskedLM(config_of("roberta")))
        gpt2 = save("gpt2", t.GPT2LMHeadModel(config_of("gpt2")))
        save("bart", t.BartForConditionalGeneration(config_of("bart")))
        save("t5", t.T5ForConditionalGeneration(config_of("t5")))
        llama = save("llama", t.LlamaForCausalLM(config_of("llama")))
        untied = t.LlamaForCausalLM(config_of("llama", tie_word_embeddings=False))
        save("llama-untied", untied)
        save("sharded", untied, max_shard_size="100KB")
        _save_pickle(classifier, dress("pickle", "bert"))
        _save_adapter(base, labels, made["bert"], dress("lora-labels", "bert"))
        _save_adapter(llama, None, made["llama"], dress("lora-causal", "llama"))

    gpt2.save_pretrained(folder / "wrong")
    (folder / "wrong" / "generation_config.json").unlink()
    labels.save_pretrained(dress("wrong", "bert"))
    whole = (made["bert-labels"] / "model.safetensors").read_bytes()
    labels.save_pretrained(dress("truncated", "bert"))
    (made["truncated"] / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    labels.save_pretrained(dress("config-only", "bert"))
    return made


def _save_pickle(model: PreTrainedModel, path: Path) -> None:
    import torch

    model.config.save_pretrained(path)
    torch.save(model.state_dict(), path / "pytorch_model.bin")


def _save_adapter(
    base: PreTrainedModel, labels: PreTrainedConfig | None, base_path: Path, path: Path
) -> None:
    """A LoRA adapter as a training saves it: on a classifier when there are labels, else causal."""
    import transformers as t
    from peft import LoraConfig, get_peft_model

    if labels is None:
        model = t.AutoModelForCausalLM.from_pretrained(base_path)
        lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM",
                          init_lora_weights=False)  # fmt: skip
    else:
        model = t.BertForSequenceClassification(labels)
        model.bert.load_state_dict(base.state_dict())
        lora = LoraConfig(r=4, target_modules=["query", "value"], task_type="SEQ_CLS",
                          modules_to_save=["classifier"], init_lora_weights=False)  # fmt: skip
    model.name_or_path = str(base_path)
    adapted = get_peft_model(model, lora)
    adapted.save_pretrained(path)
