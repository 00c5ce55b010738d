"""A GGUF file as a folder that `from_pretrained` opens: safetensors, config and tokenizer.

Imports torch and transformers (inside functions): for an engine process.
"""

from __future__ import annotations

import functools
import shutil
import struct
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from hfterm.building_lock import building
from hfterm.errors import HftermError
from hfterm.job import Job

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase
    from transformers.modeling_utils import PreTrainedModel

_TQDM = "tqdm"


def convert(gguf: Path, out: Path, job: Job) -> Path:
    """Dequantize `gguf` into the folder `out`, which must not exist; it appears complete.

    Args:
        gguf: a GGUF file of an architecture that transformers reads.
        out: the folder to make, with config.json, model.safetensors, the tokenizer and its
            chat template.
        job: told how far the work is, in tensors.

    Returns:
        `out`.

    Raises:
        HftermError: the file is no GGUF, or of an architecture that transformers can't read.
        OSError: the folder can't be written, or the disk is full.
        Cancelled: the job was cancelled; nothing stays behind.
    """
    job.progress("loading transformers")
    import transformers

    out.parent.mkdir(parents=True, exist_ok=True)
    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise HftermError(
                "not-gguf", f"{gguf} is not a GGUF file.", "Choose a file that ends in .gguf."
            )
    # In a folder of its own beside `out`, so that the rename can't cross file systems.
    work = Path(tempfile.mkdtemp(prefix=".new-gguf-", dir=out.parent))
    try:
        made = work / "made"
        with building(job), quiet(job), reading_once():
            job.progress("reading the configuration")
            config = _config(gguf)
            job.progress("reading the tokenizer")
            tokenizer = _tokenizer(gguf, config)
            model = _model(gguf, config)
            job.progress("saving the model")
            model.save_pretrained(made)
            tokenizer.save_pretrained(made)
        # safetensors writes with mode 600, which a shared starter folder can't use.
        mode = (made / "config.json").stat().st_mode
        for file in made.iterdir():
            file.chmod(mode)
        job.check()
        made.rename(out)
    except (ValueError, LookupError, NotImplementedError, struct.error) as error:
        raise HftermError(
            "gguf",
            f"transformers {transformers.__version__} can't convert {gguf.name} ({error}).",
            "It is damaged, or of an architecture or quantization that transformers can't read.",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return out


def _config(gguf: Path) -> PreTrainedConfig:
    from transformers import AutoConfig
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    parsed = cast("dict[str, dict[str, object]]", load_gguf_checkpoint(str(gguf)))
    values = dict(parsed["config"])
    return AutoConfig.for_model(str(values.pop("model_type")), **values)


def _tokenizer(gguf: Path, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import PreTrainedTokenizerFast
    from transformers.integrations.gguf.reader import read_gguf_metadata

    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    metadata, _ = read_gguf_metadata(str(gguf))
    if metadata.get("tokenizer.ggml.pre") == "smollm":
        # transformers knows no split of this name and would cut "a  1" otherwise than SmolLM's
        # own tokenizer.json, which takes the digits apart first.
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
            [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
        )
    # GGUF has no field for it, and 10^30 is no use to anybody who truncates.
    length = getattr(config, "max_position_embeddings", None)
    if isinstance(length, int):
        tokenizer.model_max_length = length
    return tokenizer


def _model(gguf: Path, config: PreTrainedConfig) -> PreTrainedModel:
    """The model with dequantized weights.

    What `from_pretrained(gguf_file=…)` does for these architectures, with the same function; it
    itself insists on accelerate, which nothing in this work uses.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    # float32: a 4-bit value times its float16 scale plus a float16 offset fits into its 24 bits
    # and into no half type, and it is the fastest type on a CPU.
    dtype = torch.float32
    with torch.device("meta"):
        model = cast("PreTrainedModel", AutoModelForCausalLM.from_config(config, dtype=dtype))
    parsed = load_gguf_checkpoint(
        str(gguf), return_tensors=True, model_to_load=model, torch_dtype=dtype
    )
    tensors = cast("dict[str, Tensor]", parsed["tensors"])
    model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    empty = [name for name, weight in model.named_parameters() if weight.is_meta]
    if empty:
        raise ValueError(f"the file has no weights for {', '.join(empty[:3])}")
    return model


@contextmanager
def reading_once() -> Generator[None]:
    """Parse the file's header and name tables once, not for each of the library's readings."""
    import gguf

    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader = functools.lru_cache(maxsize=1)(reader)
    gguf.get_tensor_name_map = functools.lru_cache(maxsize=4)(names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, names


class _Uncopied:
    """numpy, but that a copy of an array is the array: what is never written need not be copied."""

    def __init__(self, numpy: ModuleType) -> None:
        self._numpy = numpy

    def __getattr__(self, name: str) -> object:
        return getattr(self._numpy, name)

    @staticmethod
    def copy(array: object) -> object:
        """The array itself."""
        return array


@contextmanager
def shapes_only() -> Generator[None]:
    """Let the library take tensors out of a GGUF file by their shapes, reading none.

    Arrays of zeros that nobody touches take no memory, and the loading report asks for names and
    shapes only.
    """
    import gguf
    import numpy as np
    from gguf.quants import quant_shape_from_byte_shape
    from transformers import modeling_gguf_pytorch_utils as library

    def zeros(data: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
        shape = data.shape
        if data.dtype == np.uint8:  # blocks; floats have their own shape
            shape = quant_shape_from_byte_shape(data.shape, kind)
        return np.zeros(shape, dtype=np.float32)

    names = {"dequantize": (gguf, zeros), "np": (library, _Uncopied(np))}
    before = {name: vars(module)[name] for name, (module, _) in names.items()}
    for name, (module, value) in names.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, (module, _) in names.items():
            setattr(module, name, before[name])


class _Bar:
    """What the library takes for tqdm, telling a job instead of a terminal."""

    def __init__(self, job: Job, items: Iterable[object] | None, total: int | None) -> None:
        self._job = job
        self._items = items
        self._total = total

    def __iter__(self) -> Iterator[object]:
        for done, item in enumerate(self._items or (), 1):
            yield item
            self._job.progress("dequantizing", done, self._total, "tensors")


@contextmanager
def quiet(job: Job) -> Generator[None]:
    """Turn the library's progress bars into progress of `job`, and a cancel into its end."""
    from transformers import modeling_gguf_pytorch_utils as library
    from transformers.utils import logging

    def bar(items: list[object], **_: object) -> _Bar:
        return _Bar(job, items, len(items))

    # By name: the library imports tqdm for itself and does not offer it.
    before: object = getattr(library, _TQDM)
    shown = logging.is_progress_bar_enabled()
    setattr(library, _TQDM, bar)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        setattr(library, _TQDM, before)
        if shown:
            logging.enable_progress_bar()
