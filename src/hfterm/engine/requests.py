"""Every request an engine answers. To add one: a class here, a handler in `handlers/`."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from hfterm.engine.protocol import Lane, Request
from hfterm.hub.starter import StarterStatus
from hfterm.hub.text_document import TextDocument
from hfterm.tokenization.types import Encoding, TokenizerInfo
from hfterm.tokenization.views import (
    Audit,
    BatchOptions,
    BatchResult,
    Comparison,
    Decoded,
    Message,
    Rendered,
    SlowFast,
    Statistics,
    Steps,
    Trained,
    TrainOptions,
    VocabularyPage,
)


class KnownModel(msgspec.Struct, frozen=True):
    """A model that can be opened without downloading. `origin` is ``starter``, ``cache`` …"""

    ref: str
    origin: str
    about: str


class FileEncoding(msgspec.Struct, frozen=True):
    """A file and its tokens."""

    document: TextDocument
    encoding: Encoding


class ListModels(Request[list[KnownModel]], frozen=True, kw_only=True):
    """The tokenizers on this machine: starter kit, hub cache, trained here."""

    RESULT: ClassVar[object] = list[KnownModel]


class OpenTokenizer(Request[TokenizerInfo], frozen=True, kw_only=True):
    """Open a tokenizer through `AutoTokenizer`, downloading its files if need be."""

    RESULT: ClassVar[object] = TokenizerInfo
    LANE: ClassVar[Lane] = "views"
    ref: str


class PeekTokenizer(Request[TokenizerInfo], frozen=True, kw_only=True):
    """What is known of a tokenizer at once; `verified` says whether transformers was asked."""

    RESULT: ClassVar[object] = TokenizerInfo
    ref: str


class EncodeText(Request[Encoding], frozen=True, kw_only=True):
    """Tokenize a text. With `provisional`, tokenizer.json alone will do for now."""

    RESULT: ClassVar[object] = Encoding
    ref: str
    text: str
    pair: str | None = None
    add_special_tokens: bool = True
    provisional: bool = False


class EncodeFile(Request[FileEncoding], frozen=True, kw_only=True):
    """Read a local file as text and tokenize it whole."""

    RESULT: ClassVar[object] = FileEncoding
    LANE: ClassVar[Lane] = "long"
    ref: str
    path: str
    add_special_tokens: bool = True
    provisional: bool = False


class ReadDocument(Request[TextDocument], frozen=True, kw_only=True):
    """Read a local file as text."""

    RESULT: ClassVar[object] = TextDocument
    LANE: ClassVar[Lane] = "long"
    path: str


class ShowSteps(Request[Steps], frozen=True, kw_only=True):
    """Every stage of the pipeline on a text."""

    RESULT: ClassVar[object] = Steps
    LANE: ClassVar[Lane] = "views"
    ref: str
    text: str
    pair: str | None = None


class EncodeBatch(Request[BatchResult], frozen=True, kw_only=True):
    """Tokenize several texts as one batch."""

    RESULT: ClassVar[object] = BatchResult
    LANE: ClassVar[Lane] = "views"
    ref: str
    texts: list[str]
    pairs: list[str] | None = None
    options: BatchOptions


class SearchVocabulary(Request[VocabularyPage], frozen=True, kw_only=True):
    """Find vocabulary entries by text, regular expression or id."""

    RESULT: ClassVar[object] = VocabularyPage
    ref: str
    query: str = ""
    mode: Literal["text", "regex", "id", "all"] = "all"
    offset: int = 0
    limit: int = 1000


class DecodeIds(Request[Decoded], frozen=True, kw_only=True):
    """Decode any ids."""

    RESULT: ClassVar[object] = Decoded
    ref: str
    ids: list[int]


class RenderTemplate(Request[Rendered], frozen=True, kw_only=True):
    """Apply the chat template to messages and tokenize the result."""

    RESULT: ClassVar[object] = Rendered
    LANE: ClassVar[Lane] = "views"
    ref: str
    messages: list[Message]
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    name: str | None = None


class CompareTokenizers(Request[Comparison], frozen=True, kw_only=True):
    """Several tokenizers on one text; one that can't be opened is a row with its error."""

    RESULT: ClassVar[object] = Comparison
    LANE: ClassVar[Lane] = "views"
    refs: list[str]
    text: str


class SlowAgainstFast(Request[SlowFast], frozen=True, kw_only=True):
    """The Python twin of a Rust tokenizer on the same text."""

    RESULT: ClassVar[object] = SlowFast
    LANE: ClassVar[Lane] = "views"
    ref: str
    text: str


class TrainTokenizer(Request[Trained], frozen=True, kw_only=True):
    """Train a tokenizer on a file or data set and save it."""

    RESULT: ClassVar[object] = Trained
    LANE: ClassVar[Lane] = "long"
    source: str
    options: TrainOptions
    out: str


class AuditText(Request[Audit], frozen=True, kw_only=True):
    """Check the encoding of a text; with `path`, of a file."""

    RESULT: ClassVar[object] = Audit
    LANE: ClassVar[Lane] = "views"
    ref: str
    text: str = ""
    path: str | None = None
    add_special_tokens: bool = True


class CountFile(Request[Statistics], frozen=True, kw_only=True):
    """Token statistics of a whole file or data set."""

    RESULT: ClassVar[object] = Statistics
    LANE: ClassVar[Lane] = "long"
    ref: str
    source: str


class InstallStarter(Request[list[StarterStatus]], frozen=True, kw_only=True):
    """Bring starter kit items; an empty list means all."""

    RESULT: ClassVar[object] = list[StarterStatus]
    LANE: ClassVar[Lane] = "long"
    names: list[str]
