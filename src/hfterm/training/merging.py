"""Merge an adapter into its base, in full precision.

Imports torch, transformers and peft inside functions: for an engine process.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hfterm.errors import CHECK_SPACE, HftermError
from hfterm.inference.loading import memory_errors
from hfterm.job import Job
from hfterm.models.opening import find, reading

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def merge(adapter: Path, out: Path, job: Job | None = None) -> Path:
    """Put an adapter into the weights of its base, which is read unquantized.

    Merging into a quantized base would be wrong: what a 4-bit weight stands for is not what the
    adapter was added to after an evaluation repacked it.

    Args:
        adapter: a folder with adapter_config.json.
        out: where the merged model goes; what is there is replaced.
        job: told what is being done.

    Returns:
        `out`.

    Raises:
        HftermError: no adapter, no base, or no room.
    """
    job = job or Job()
    if not (adapter / "adapter_config.json").exists():
        raise HftermError(
            "not-an-adapter", f"{adapter} is no adapter: there is nothing to merge.",
            "A full fine-tune is a whole model already.",
        )  # fmt: skip
    source = find(str(adapter), job, whole=True)
    base = find(source.base, job, whole=True)
    import torch
    import transformers
    from peft import PeftModel
    from transformers import AutoTokenizer

    auto = getattr(transformers, source.auto or "AutoModelForMaskedLM")
    labels: dict[str, object] = {"num_labels": source.labels} if source.labels else {}
    if source.label_names:
        labels = {
            "id2label": dict(enumerate(source.label_names)),
            "label2id": {name: number for number, name in enumerate(source.label_names)},
        }
    job.progress(f"loading {base.ref}")
    with memory_errors(base.ref), reading(base, job):
        model = cast(
            "PreTrainedModel",
            auto.from_pretrained(
                base.path, dtype=torch.float32, trust_remote_code=False, local_files_only=True,
                **({"gguf_file": base.gguf} if base.gguf else {}), **labels,
            ),
        )  # fmt: skip
        job.progress("merging")
        merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()  # pyright: ignore[reportCallIssue]
    temporary = out.with_name(f".{out.name}.new")
    job.progress(f"writing {out}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        merged.save_pretrained(str(temporary))
        AutoTokenizer.from_pretrained(str(adapter)).save_pretrained(str(temporary))
        shutil.rmtree(out, ignore_errors=True)
        temporary.rename(out)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise HftermError(
            "no-space" if error.errno == 28 else "unwritable",
            f"{out} can't be written: {error.strerror or error}.", CHECK_SPACE,
        ) from error  # fmt: skip
    return out
