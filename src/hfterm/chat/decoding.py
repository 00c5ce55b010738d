"""Tokens as text, one at a time, and the texts at which an answer ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.decoders import DecodeStream
    from transformers import PreTrainedTokenizerBase

INCOMPLETE = "\ufffd"
"""What decoding gives for a part of a character."""


class Decoder(Protocol):
    """Gives the text that each next token adds."""

    def step(self, id_: int) -> str:
        """What the token adds; empty while a character is incomplete."""
        ...

    def rest(self) -> str:
        """What is left of an incomplete character when no more tokens come."""
        ...


def decoder_for(tokenizer: PreTrainedTokenizerBase, before: Sequence[int] = ()) -> Decoder:
    """A decoder of what follows the tokens `before`; special tokens add nothing.

    Args:
        tokenizer: fast ones take the same time for each token, however many came before.
        before: tokens that were decoded already; some tokenizers write a first word otherwise.
    """
    if tokenizer.is_fast:
        return FastDecoder(cast("Tokenizer", tokenizer.backend_tokenizer), before)
    return SlowDecoder(tokenizer, before)


class FastDecoder:
    """Over the Rust library's own `DecodeStream`."""

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int]) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._stream: DecodeStream = DecodeStream(skip_special_tokens=True)
        self._kept: list[int] = []
        for id_ in before:
            self.step(id_)

    def step(self, id_: int) -> str:
        """What the token adds."""
        self._kept.append(id_)
        try:
            text = self._stream.step(self._tokenizer, id_)
        except Exception:  # noqa: BLE001 - the library has no class of its own for this
            # a byte that was a letter is none any more, together with the bytes after it
            text = self._begin_again()
        if text is not None:
            self._kept.clear()
        return text or ""

    def _begin_again(self) -> str:
        from tokenizers.decoders import DecodeStream

        self._stream = DecodeStream(skip_special_tokens=True)
        pieces = [self._stream.step(self._tokenizer, id_) for id_ in self._kept]
        return "".join(piece for piece in pieces if piece is not None)

    def rest(self) -> str:
        """The tokens that gave no whole character."""
        rest = self._tokenizer.decode(self._kept, skip_special_tokens=True)
        self._kept.clear()
        return rest


class SlowDecoder:
    """Over `decode` of any tokenizer: a few tokens are decoded again with each new one."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, before: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ids = list(before)[-8:]
        self._shown = self._text().rstrip(INCOMPLETE)

    def _text(self) -> str:
        return str(self._tokenizer.decode(self._ids, skip_special_tokens=True))

    def step(self, id_: int) -> str:
        """What the token adds."""
        self._ids.append(id_)
        text = self._text()
        if text.endswith(INCOMPLETE):
            return ""
        new = text[len(self._shown) :]
        if len(self._ids) > 16:  # a word's beginning depends on a few tokens before it
            self._ids = self._ids[-8:]
            text = self._text()
        self._shown = text
        return new

    def rest(self) -> str:
        """What the last tokens are without those that never came."""
        return self._text()[len(self._shown) :]


class TokenNames:
    """Tokens as people read them: as text where a token is one, else as the vocabulary writes it.

    Byte-level vocabularies write every byte as a letter of its own (``Ġ`` is a space).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._of_bytes = tokenizer.is_fast and "ByteLevel" in str(
            cast("Tokenizer", tokenizer.backend_tokenizer).decoder
        )

    def of(self, ids: Sequence[int]) -> list[str]:
        """The names of tokens; an id that is none is named by itself."""
        names = cast("list[str | None]", self._tokenizer.convert_ids_to_tokens([*ids]))
        return [
            f"id {id_}" if name is None else self._text(id_, name)
            for id_, name in zip(ids, names, strict=True)
        ]

    def _text(self, id_: int, name: str) -> str:
        if not self._of_bytes:
            return name
        text = cast("Tokenizer", self._tokenizer.backend_tokenizer).decode(
            [id_], skip_special_tokens=False
        )
        return name if not text or INCOMPLETE in text else text


class StopText:
    """Holds back what may be the beginning of a stop string, and says when one is whole."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.met = False
        """Whether a stop string came."""

    def take(self, text: str) -> str:
        """The part of the text so far that is certain to belong to the answer.

        Args:
            text: what came next.
        """
        if not self._stops:
            return text
        held = self._held + text
        keep = max(_overlap(held, stop) for stop in self._stops)
        place = self._first(held)
        if place is not None and place <= len(held) - keep:
            self.met = True
            self._held = ""
            return held[:place]
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def _first(self, text: str) -> int | None:
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        return min(places, default=None)

    def rest(self) -> str:
        """What was held back, when no more comes."""
        rest, self._held = self._held, ""
        place = self._first(rest)
        if place is not None:  # a longer stop string that began before it never came
            self.met = True
            return rest[:place]
        return rest


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of `text` with which `stop` begins."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
