"""Linear layers as they are in LoRA and under bitsandbytes, in shapes and memory only.

peft and bitsandbytes take 13 seconds to import and need real weights. What counts for memory is
which tensors a layer makes, casts and keeps, and that is repeated here for models on the meta
device, as read in peft 0.21 (`tuners/lora/layer.py`, `tuners/lora/bnb.py`) and bitsandbytes 0.50
(`autograd/_functions.py`, `backends/default/ops.py`, `backends/cpu/ops.py`, `functional.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from hfterm.models.memory_types import Precision

BLOCK = 64
"""Weights that share a scale in nf4."""

NESTED_BLOCK = 256
"""Scales that share a scale of their own in double quantization."""

NF4_STATE = 16 * 4 + 256 * 4 + 4
"""Bytes of each nf4 layer whatever its size: two code tables and the mean of the scales."""

LORA_DROPOUT = 0.05
"""Adapters are traced with dropout, which keeps a mask and a product for each."""

HEADS = frozenset({"classifier", "score", "qa_outputs"})
"""What peft trains in full beside the adapters (`modules_to_save` by task type)."""


def quantized_bytes(weights: int, outputs: int, precision: Precision) -> int:
    """Bytes of a linear layer's matrix, the scales included.

    Args:
        weights: numbers in the matrix.
        outputs: its rows.
        precision: ``int8`` or ``nf4`` with double quantization.
    """
    if precision == "int8":
        return weights + 4 * outputs
    blocks = -(-weights // BLOCK)
    return -(-weights // 2) + blocks + 4 * -(-blocks // NESTED_BLOCK) + NF4_STATE


def quantizable(model: PreTrainedModel, new_modules: Sequence[str] = ()) -> dict[str, nn.Module]:
    """The linear layers that bitsandbytes would quantize, by name.

    Left out are what transformers leaves out by itself (output layers and tied ones) and heads
    that the checkpoint lacks.
    """
    import torch
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.base import get_keys_to_not_convert
    from transformers.quantizers.quantizers_utils import should_convert_module

    skipped = [*get_keys_to_not_convert(model), *new_modules]
    return {
        name: module
        for name, module in model.named_modules()
        if (type(module) is torch.nn.Linear or isinstance(module, Conv1D))
        and should_convert_module(name, skipped)
    }


def targeted(
    model: PreTrainedModel, targets: Sequence[str], trained: Sequence[str]
) -> dict[str, nn.Module]:
    """The layers that get an adapter: those with a target's name, or every linear one but heads."""
    import torch
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
        and (
            belongs(name, targets)
            if targets
            else (module is not output and not belongs(name, trained))
        )
    }


def belongs(name: str, modules: Sequence[str]) -> bool:
    """Whether a dotted name is one of some modules, is inside of one, or ends with one's name."""
    return any(
        name == module or name.endswith(f".{module}") or name.startswith(f"{module}.")
        for module in modules
    )


def quantize(modules: Sequence[nn.Module], precision: Precision, *, training: bool) -> None:
    """Make linear layers behave as quantized ones; their own weights stay as shapes only."""
    how: Callable[..., Tensor] = (
        (_int8_train if precision == "int8" else _nf4_train)
        if training
        else (_int8_infer if precision == "int8" else _nf4_infer)
    )
    for module in modules:
        _replace_forward(module, partial(how, module))


def adapt(modules: Sequence[nn.Module], rank: int) -> list[nn.Parameter]:
    """Give linear layers adapters in float32, and answer with their parameters."""
    import torch

    made: list[nn.Parameter] = []
    for module in modules:
        outputs, inputs = matrix_shape(module)
        down = torch.nn.Parameter(torch.empty(rank, inputs, device="meta"))
        up = torch.nn.Parameter(torch.empty(outputs, rank, device="meta"))
        made += [down, up]
        _replace_forward(module, partial(_adapted, module.forward, down, up))
    return made


def _replace_forward(module: nn.Module, forward: Callable[..., Tensor]) -> None:
    module.forward = forward


def matrix_shape(module: nn.Module) -> tuple[int, int]:
    """Outputs and inputs of a linear layer; GPT-2's `Conv1D` keeps its matrix turned."""
    import torch

    matrix = module.get_parameter("weight")
    first, second = int(matrix.shape[0]), int(matrix.shape[1])
    return (first, second) if isinstance(module, torch.nn.Linear) else (second, first)


def _bias(module: nn.Module, dtype: torch.dtype) -> Tensor | None:
    bias: Tensor | None = dict(module.named_parameters(recurse=False)).get("bias")
    return None if bias is None else bias.to(dtype)


def _adapted(base: Callable[[Tensor], Tensor], down: Tensor, up: Tensor, x: Tensor) -> Tensor:
    from torch.nn import functional as F

    result = base(x)
    narrow = F.linear(F.dropout(x.to(down.dtype), LORA_DROPOUT), down)
    return (result + F.linear(narrow, up) * 2.0).to(result.dtype)


def _int8_infer(module: nn.Module, x: Tensor) -> Tensor:
    """LLM.int8: activations are quantized too, row by row; outlier columns are not counted."""
    import torch

    outputs, _ = matrix_shape(module)
    flat = x.reshape(-1, x.shape[-1])
    half = flat.to(torch.float16)
    outliers = half.abs() >= 1
    scales = half.abs().amax(dim=1).float()
    rows = torch.round(half * (127.0 / scales.unsqueeze(-1))).to(torch.int8)
    del half, outliers
    whole = torch.empty(rows.shape[0], outputs, dtype=torch.int32, device="meta")
    columns = torch.empty(1, outputs, dtype=torch.float32, device="meta")
    result = whole * (scales.unsqueeze(-1) * columns) * 6.2e-5
    return result.to(x.dtype).reshape(*x.shape[:-1], outputs)


def _nf4_infer(module: nn.Module, x: Tensor) -> Tensor:
    """The first pass repacks the matrix for AVX512-BF16, through 32-bit numbers."""
    import torch

    outputs, inputs = matrix_shape(module)
    _repack(outputs * inputs)
    small = x.to(torch.bfloat16)
    result = torch.empty(*x.shape[:-1], outputs, dtype=torch.bfloat16, device="meta")
    del small
    return result.to(x.dtype)


def _repack(weights: int) -> None:
    """`_convert_weight_packed_for_cpu`: what is alive while a matrix is repacked."""
    import torch

    wide = torch.empty(weights, dtype=torch.int32, device="meta")
    single = wide.to(torch.uint8)
    turned = single.clone()
    packed = turned[: weights // 2] << 4
    del wide, single, turned, packed


def _int8_train(module: nn.Module, x: Tensor) -> Tensor:
    outputs, inputs = matrix_shape(module)
    bias = _bias(module, x.dtype)
    return _matmul().apply(x, bias, outputs, inputs, True, x.dtype)


def _nf4_train(module: nn.Module, x: Tensor) -> Tensor:
    import torch

    outputs, inputs = matrix_shape(module)
    small = x.to(torch.bfloat16)
    bias = _bias(module, torch.bfloat16)
    return _matmul().apply(small, bias, outputs, inputs, False, torch.bfloat16).to(x.dtype)


@cache
def _matmul() -> Any:
    """A product with a matrix that is made anew for it, forward and backward."""
    import torch

    class Matmul(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, x: Tensor, bias: Tensor | None, outputs: int, inputs: int, keep: bool,
            dtype: torch.dtype,
        ) -> Tensor:  # fmt: skip
            ctx.kept = x if keep else None  # MatMul8bitFp keeps its input, MatMul4Bit does not
            ctx.matrix = (outputs, inputs, dtype)
            matrix = torch.empty(outputs, inputs, dtype=dtype, device="meta")
            return torch.nn.functional.linear(x, matrix, bias)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Any:
            outputs, inputs, dtype = ctx.matrix
            matrix = torch.empty(outputs, inputs, dtype=dtype, device="meta")
            return torch.matmul(grads[0].to(dtype), matrix), None, None, None, None, None

    return Matmul
