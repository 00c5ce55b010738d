"""Models of the hub: their description without the weights, or all of it."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.hub.download import explain
from hfterm.hub.repo_download import fetch, plan_download
from hfterm.job import Job

if TYPE_CHECKING:
    from huggingface_hub.utils import SafetensorsFileMetadata

DESCRIPTION = [
    "config.json", "generation_config.json", "adapter_config.json", "*.index.json", "*.py",
]  # fmt: skip
"""Python is fetched to be named and read; it runs only after the user's yes."""

WHOLE = [
    *DESCRIPTION, "*.safetensors", "tokenizer*", "vocab*", "merges.txt", "*.model", "tekken.json",
    "added_tokens.json", "special_tokens_map.json", "chat_template*",
]  # fmt: skip
"""What is loaded: safetensors, never pickle; one form of the weights, not all."""

NESTED = ["*/*"]
"""Other forms of the weights (onnx, original) lie in folders."""


def download_description(ref: str, job: Job) -> Path:
    """A folder with a hub model's config and the headers of its weights: a few hundred kilobytes.

    The weights' files are there by name and size, but empty behind their headers (sparse), which
    is all a dry run reads.

    Raises:
        HftermError: missing, gated, forbidden, offline, damaged, or not a hub at all.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import SafetensorsParsingError

    job.progress(f"asking the hub for {ref}")
    folder = paths.state_dir() / "hub-headers" / ref.replace("/", "--")
    try:
        api = HfApi()
        info = api.model_info(ref)
        mark = folder / f"{info.sha}.whole"
        if mark.exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        snapshot_download(ref, allow_patterns=DESCRIPTION, local_dir=folder, max_workers=2)
        names = [file.rfilename for file in info.siblings or ()]
        weights = [n for n in names if n.endswith(".safetensors") and "/" not in n]
        for number, name in enumerate(weights):
            job.progress(f"reading the headers of {ref}", number, len(weights), "files")
            write_sparse(folder / name, api.parse_safetensors_file_metadata(ref, name))
        if not weights:
            # by name only: that there are none but these is what has to be said
            for name in names:
                if name.startswith("pytorch_model") and name.endswith(".bin"):
                    (folder / name).touch()
        mark.touch()
    except SafetensorsParsingError as error:
        raise HftermError(
            "bad-weights",
            f"The weights of {ref} can't be opened: {error}".splitlines()[0][:300],
            "The repository's safetensors file is damaged; name another model.",
        ) from error
    except Exception as error:
        # huggingface_hub and httpx each raise their own families here
        raise explain(ref, error) from error
    return folder


def write_sparse(file: Path, metadata: SafetensorsFileMetadata) -> None:
    """A safetensors file with the given header and no data: its size, but none of its blocks."""
    header = {
        name: {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": list(tensor.data_offsets),
        }
        for name, tensor in metadata.tensors.items()
    }
    head = json.dumps({**header, "__metadata__": {"format": "pt"}}).encode()
    head += b" " * (-len(head) % 8)
    end = max((tensor.data_offsets[1] for tensor in metadata.tensors.values()), default=0)
    with file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(head)) + head)
        opened.truncate(8 + len(head) + end)


def download_model(ref: str, job: Job) -> Path:
    """All that loading a hub model needs, into the cache.

    Raises:
        HftermError: missing, gated, forbidden, offline, a full disk, or not a hub at all.
    """
    return fetch(plan_download(ref, job, allow=WHOLE, ignore=NESTED), job)
