"""Where added tokens stand in a text, found as `tokenizers` itself finds them.

The Rust library looks for added tokens before anything else, but shows neither the search
nor its result. Here the same search runs with a model that knows nothing, so what it gives
is the added tokens and the stretches between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel

REST = 2**32 - 1
"""The id of a stretch between added tokens; no vocabulary is that large."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a text: one added token, or (`id` None) what lies between two.

    `start` and `end` count characters of the text that was searched.
    """

    text: str
    start: int
    end: int
    id: int | None = None
    special: bool = False


class AddedTokenFinder:
    """Splits texts at the added tokens of one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        wanted = {
            id_: token
            for id_, token in tokenizer.get_added_tokens_decoder().items()
            if not (token.special and tokenizer.encode_special_tokens)
        }
        self._raw = _Search({i: t for i, t in wanted.items() if not t.normalized})
        normalizer = tokenizer.normalizer
        self._normalized = _Search(
            {i: t for i, t in wanted.items() if t.normalized},
            {
                i: normalizer.normalize_str(t.content) if normalizer else t.content
                for i, t in wanted.items()
            },
        )

    def in_original(self, text: str) -> list[Segment]:
        """The segments of the text before normalization."""
        return list(self._raw.segments(text))

    def in_normalized(self, text: str) -> list[Segment]:
        """The segments of a normalized stretch: some added tokens are looked for only there."""
        return list(self._normalized.segments(text))


class _Search:
    """One search for some added tokens, each with the text it is looked for as."""

    def __init__(
        self, tokens: dict[int, AddedToken], contents: dict[int, str] | None = None
    ) -> None:
        self._probe = Tokenizer(WordLevel({"rest": REST}, unk_token="rest"))
        self._ids: dict[int, tuple[int, bool]] = {}
        for id_, token in sorted(tokens.items()):
            content = contents[id_] if contents else token.content
            self._probe.add_tokens(
                [
                    AddedToken(
                        content,
                        single_word=token.single_word,
                        lstrip=token.lstrip,
                        rstrip=token.rstrip,
                        normalized=False,
                    )
                ]
            )
            own = self._probe.token_to_id(content)
            if own is not None:
                self._ids[own] = (id_, token.special)

    def segments(self, text: str) -> Iterator[Segment]:
        if not self._ids:
            if text:
                yield Segment(text, 0, len(text))
            return
        encoding = self._probe.encode(text, add_special_tokens=False)
        for own, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            id_, special = self._ids.get(own, (None, False))
            yield Segment(text[start:end], start, end, id_, special)
