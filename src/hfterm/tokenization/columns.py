"""Columns of an encoding while they grow."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenizers import Encoding as RustEncoding
from tokenizers import Tokenizer

from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.types import NO_SEQUENCE, NONE, Encoding


@dataclass(frozen=True)
class Added:
    """A token that the post-processor adds."""

    id: int
    type_id: int
    sequence: int | None


@dataclass
class Columns:
    """Growing columns of an `Encoding`."""

    ids: array[int] = field(default_factory=lambda: array("I"))
    starts: array[int] = field(default_factory=lambda: array("i"))
    ends: array[int] = field(default_factory=lambda: array("i"))
    words: array[int] = field(default_factory=lambda: array("i"))
    sequences: bytearray = field(default_factory=bytearray)
    type_ids: bytearray = field(default_factory=bytearray)
    mask: bytearray = field(default_factory=bytearray)
    special: bytearray = field(default_factory=bytearray)
    pieces: dict[int, str] = field(default_factory=lambda: {})
    odd: dict[int, str] = field(default_factory=lambda: {})

    def extend(self, encoding: RustEncoding) -> None:
        """Append a whole encoding as it is. Each list is asked for once: every access builds it."""
        self.ids.extend(encoding.ids)
        for start, end in encoding.offsets:
            self.starts.append(start)
            self.ends.append(end)
        self.words.extend(NONE if word is None else word for word in encoding.word_ids)
        self.sequences.extend(
            NO_SEQUENCE if sequence is None else sequence for sequence in encoding.sequence_ids
        )
        self.type_ids.extend(encoding.type_ids)
        self.mask.extend(encoding.attention_mask)
        self.special.extend(encoding.special_tokens_mask)

    def append_added(self, added: Added) -> None:
        """Append a token that the post-processor adds."""
        self.ids.append(added.id)
        self.starts.append(0)
        self.ends.append(0)
        self.words.append(NONE)
        self.sequences.append(NO_SEQUENCE if added.sequence is None else added.sequence)
        self.type_ids.append(added.type_id)
        self.mask.append(1)
        self.special.append(1)

    def name_pieces(
        self, tokenizer: Tokenizer, ids: Sequence[int], tokens: list[str], base: int
    ) -> None:
        """Record the strings of `tokens`, the first of which is row `base`.

        An id mostly has one string. Not so an unknown piece, which keeps its own characters
        in some models, and an added token that takes the white space around it.
        """
        for id_ in set(ids).difference(self.pieces):
            self.pieces[id_] = tokenizer.id_to_token(id_) or ""
        plain = list(map(self.pieces.__getitem__, ids))
        if plain == tokens:
            return
        for index, (token, name) in enumerate(zip(tokens, plain, strict=True)):
            if token != name:
                self.odd[base + index] = token

    def finish(
        self, loaded: LoadedTokenizer, text: str, pair: str | None, seconds: float
    ) -> Encoding:
        """The columns as an `Encoding`."""
        joined = text + (pair or "")
        return Encoding(
            ref=loaded.info.ref,
            backend=loaded.info.backend,
            verified=loaded.info.verified,
            ids=self.ids.tobytes(),
            starts=self.starts.tobytes(),
            ends=self.ends.tobytes(),
            words=self.words.tobytes(),
            sequences=bytes(self.sequences),
            type_ids=bytes(self.type_ids),
            mask=bytes(self.mask),
            special=bytes(self.special),
            pieces=self.pieces,
            odd=self.odd,
            unk_id=loaded.info.unk_id,
            characters=len(joined),
            utf8_bytes=len(joined) if joined.isascii() else len(joined.encode("utf-8", "replace")),
            seconds=seconds,
        )
