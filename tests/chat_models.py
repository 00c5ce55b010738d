"""Tiny random chat models with the shapes and the templates of real ones."""

from __future__ import annotations

import json
from pathlib import Path

LLAMA3_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""The shape of Llama 3's: headers, trimmed contents, an end of turn that is not the end of text."""

DBRX_TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}"
    "{% set loop_messages = messages %}{% set system_message = 'You are DBRX.' %}{% endif %}"
    "{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% if loop.index0 == 0 %}"
    "{{ '<|im_start|>system\n' + system_message + '<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% if loop.last and add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    "{% endfor %}"
)
"""The shape of DBRX': ChatML, a system prompt of its own, roles that must alternate."""


def tokenizer(folder: Path, specials: list[str], template: str | None) -> int:
    """A byte-level tokenizer with special tokens; how many tokens it has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={each: n for n, each in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(specials)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=specials[0], eos_token=specials[1],
        pad_token=specials[1],
    )  # fmt: skip
    fast.chat_template = template
    fast.save_pretrained(folder)
    return len(fast)


def llama3(folder: Path, template: str | None = LLAMA3_TEMPLATE) -> Path:
    """Grouped-query attention, RoPE with Llama 3's scaling, two end tokens."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>",
                "<|end_header_id|>"]  # fmt: skip
    size = tokenizer(folder, specials, template)
    config = LlamaConfig(
        vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        },
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=size - 5, eos_token_id=[size - 4, size - 3], temperature=0.6, top_p=0.9,
        do_sample=True,
    )  # fmt: skip
    model.save_pretrained(folder)
    return folder


def dbrx(folder: Path) -> Path:
    """A mixture of experts with one fused projection."""
    import torch
    from transformers import DbrxConfig, DbrxForCausalLM

    specials = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]
    size = tokenizer(folder, specials, DBRX_TEMPLATE)
    config = DbrxConfig(
        d_model=32, n_heads=4, n_layers=2, max_seq_len=256, vocab_size=size,
        attn_config={"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
        ffn_config={"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 32},
        tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    DbrxForCausalLM(config).save_pretrained(folder)
    return folder


def with_template(model: Path, folder: Path, template: str) -> Path:
    """A copy of a model with another template."""
    import shutil

    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config["chat_template"] = template
    file.write_text(json.dumps(config))
    return folder
