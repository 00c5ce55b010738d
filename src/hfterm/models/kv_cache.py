"""How much the keys and values of a context take, asked of the model's own cache."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

from hfterm.building_lock import building

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

PROBE = 2
"""Tokens in the run that shows the shapes."""


def kv_cache_size(config: PreTrainedConfig, context: int, batch: int, bytes_per_value: int) -> int:
    """Bytes of the keys and values of a full context; 0 for a model that keeps none.

    A few layers are run on the meta device over two tokens, and what they put into the cache says
    how much a token takes: grouped heads, latent attention and shared layers need no cases of
    their own. A sliding layer is counted up to its window, as the cache keeps it.

    Args:
        config: the model's; layers that differ are told apart by its ``layer_types``.
        context: tokens a sequence.
        batch: sequences at once.
        bytes_per_value: 4 for float32, 2 for bfloat16.
    """
    import torch
    from transformers import AutoModel, DynamicCache

    from hfterm.models.memory_trace import recording

    text = config.get_text_config(decoder=True)
    if config.is_encoder_decoder:
        return _cross_cache_size(config, context, batch, bytes_per_value)
    kinds = layer_kinds(text)
    seen = max((kinds.index(kind) for kind in set(kinds)), default=0)
    few = with_layers(text, seen + 1)
    with building(), torch.device("meta"), torch.no_grad():
        model = AutoModel.from_config(few, trust_remote_code=False).eval()
        ids = torch.zeros(1, PROBE, dtype=torch.long)
        with recording((), lambda _: False):
            filled = model(input_ids=ids).get("past_key_values")
    if filled is None:
        return 0
    per_token = {
        kinds[index]: sum(tensor.numel() for tensor in layer_tensors(filled, index)) / PROBE
        for index in reversed(range(seen + 1))
    }
    total = 0.0
    for kind, layer in zip(kinds, DynamicCache(config=text).layers, strict=True):
        longest = layer.get_max_length()  # of a sliding layer, one more than it keeps
        tokens = context if longest < 0 else min(context, longest - 1)
        total += per_token[kind] * tokens
    return round(total) * batch * bytes_per_value


def layer_kinds(text: PreTrainedConfig) -> list[str]:
    """What each layer of a decoder is, in the words of ``layer_types``."""
    kinds = text.to_dict().get("layer_types")
    return list(kinds) if kinds else [""] * text.num_hidden_layers


def with_layers(config: PreTrainedConfig, count: int) -> PreTrainedConfig:
    """A copy of a configuration with only the first layers; lists with one entry a layer follow."""
    few = copy.deepcopy(config)
    text = few.get_text_config(decoder=True)
    layers = text.num_hidden_layers
    for name, value in text.to_dict().items():
        if isinstance(value, list) and len(cast("list[object]", value)) == layers:
            setattr(text, name, value[:count])
    text.num_hidden_layers = count
    return few


def layer_tensors(filled: object, index: int) -> list[Tensor]:
    """The tensors that one layer of a cache holds."""
    import torch
    from transformers import Cache

    if not isinstance(filled, Cache) or index >= len(filled.layers):
        return []
    return [held for held in vars(filled.layers[index]).values()
            if isinstance(held, torch.Tensor) and held.ndim > 1]  # fmt: skip


def cache_tensors(filled: object) -> list[Tensor]:
    """Every tensor of a cache, that over the encoder's tokens included."""
    from transformers import Cache, EncoderDecoderCache

    if isinstance(filled, EncoderDecoderCache):
        return [
            *cache_tensors(filled.self_attention_cache),
            *cache_tensors(filled.cross_attention_cache),
        ]
    if not isinstance(filled, Cache):
        return []
    return [
        tensor for index in range(len(filled.layers)) for tensor in layer_tensors(filled, index)
    ]


def _cross_cache_size(config: PreTrainedConfig, context: int, batch: int, size: int) -> int:
    """That of an encoder-decoder: `context` tokens on both sides."""
    import torch
    from transformers import AutoModel

    from hfterm.models.memory_trace import recording

    with building(), torch.device("meta"), torch.no_grad():
        ids = torch.zeros(1, PROBE, dtype=torch.long)
        model = AutoModel.from_config(config, trust_remote_code=False).eval()
        with recording((), lambda _: False):
            filled = model(input_ids=ids, decoder_input_ids=ids).get("past_key_values")
    values = sum(tensor.numel() for tensor in cache_tensors(filled))
    return values * context // PROBE * batch * size
