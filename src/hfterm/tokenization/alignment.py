"""The spans of an encoding against what its tokens decode to."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from tokenizers import Tokenizer, models

from hfterm.job import Job
from hfterm.tokenization.types import Encoding


@dataclass(frozen=True)
class Group:
    """Neighbouring tokens that share characters, such as the byte pieces of one emoji."""

    rows: tuple[int, ...]
    start: int
    end: int
    span: str
    decoded: str


@dataclass
class Alignment:
    """How spans and tokens fit.

    Attributes:
        normalized: groups that differ from their span only as the normalizer made them.
        wrong: groups that decode to something else than their span.
        empty: rows of tokens with no characters, without those of the post-processor.
        uncovered: characters of the text that are in no token.
    """

    normalized: int = 0
    wrong: list[Group] = field(default_factory=lambda: [])
    empty: list[int] = field(default_factory=lambda: [])
    uncovered: list[int] = field(default_factory=lambda: [])


def align(tokenizer: Tokenizer, text: str, encoding: Encoding, job: Job) -> Alignment:
    """Compare every span with what its tokens decode to. Unknown tokens are left out."""
    result = Alignment()
    ids = encoding.column("ids")
    decode = _Decoder(tokenizer)
    covered = 0
    for count, (rows, start, end) in enumerate(_groups(encoding, result.empty)):
        if count % 4096 == 0:
            job.check()
        result.uncovered.extend(range(covered, start))
        covered = end
        members = tuple(ids[row] for row in rows)
        if encoding.unk_id in members:
            continue
        span, said = text[start:end], decode(members)
        if _bare(span) == _bare(said):
            continue
        if _bare(decode.normalize(span)) == _bare(said) or fold(span) == fold(said):
            result.normalized += 1
        else:
            result.wrong.append(Group(rows, start, end, span, said))
    result.uncovered.extend(range(covered, len(text)))
    return result


def _groups(encoding: Encoding, empty: list[int]) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Maximal runs of rows whose spans overlap; rows without characters go to `empty`."""
    starts, ends = encoding.column("starts"), encoding.column("ends")
    rows: list[int] = []
    begin = reach = 0
    for row in range(len(encoding)):
        if encoding.special[row] or encoding.sequences[row] != 0:
            continue
        if starts[row] >= ends[row]:
            empty.append(row)
            continue
        if rows and starts[row] >= reach:
            yield tuple(rows), begin, reach
            rows = []
        if not rows:
            begin = reach = starts[row]
        rows.append(row)
        reach = max(reach, ends[row])
    if rows:
        yield tuple(rows), begin, reach


class _Decoder:
    """Decodes tokens from the middle of a text, and remembers."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._normalizer = tokenizer.normalizer
        model = tokenizer.model
        prefix = (
            model.continuing_subword_prefix
            if isinstance(model, models.WordPiece | models.BPE)
            else None
        )
        self._prefix: str = prefix or ""
        self._seen: dict[tuple[int, ...], str] = {}

    def __call__(self, ids: tuple[int, ...]) -> str:
        found = self._seen.get(ids)
        if found is None:
            found = self._tokenizer.decode(list(ids), skip_special_tokens=False)
            if self._prefix:  # a decoder leaves it at the first token it is given
                found = found.removeprefix(self._prefix)
            self._seen[ids] = found
        return found

    def normalize(self, text: str) -> str:
        return text if self._normalizer is None else self._normalizer.normalize_str(text)


def _bare(text: str) -> str:
    """Without white space, which decoders put in and take out, and its Metaspace sign."""
    return "".join(text.replace("▁", " ").split())


def fold(text: str) -> str:
    """A text without case, accents, compatibility forms, white space and invisible characters."""
    decomposed = unicodedata.normalize("NFKD", _bare(text)).casefold()
    kept = [c for c in decomposed if unicodedata.category(c) not in {"Mn", "Cf", "Cc"}]
    return "".join("".join(kept).split())
