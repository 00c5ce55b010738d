"""What a careful reader would check of one encoding, checked: one finding a question."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from hfterm.job import Job
from hfterm.tokenization.alignment import Alignment, align, fold
from hfterm.tokenization.compare import decoded
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.types import Encoding
from hfterm.tokenization.views import Audit, Finding

ROWS = 1000
"""Rows listed by a finding; `count` counts all."""
NAMED = 5
"""Examples named in a sentence."""
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the order in which text is shown."""
PLAIN_CONTROLS = frozenset("\t\n\r")


def audit(loaded: LoadedTokenizer, text: str, encoding: Encoding, job: Job | None = None) -> Audit:
    """Look `encoding`, which `loaded` made of `text`, over.

    The findings come in a fixed order, one for each question, also where all is well.
    """
    job = job or Job()
    findings = [_pipeline(loaded), _unknown(text, encoding)]
    if loaded.fast is not None:
        alignment = align(loaded.fast, text, encoding, job)
        findings += [
            _offsets(alignment, encoding),
            _without_span(alignment),
            _uncovered(alignment, text, encoding),
        ]
    job.check()
    findings += [
        _round_trip(loaded, text, encoding),
        _specials(loaded, text, encoding),
        _invisible(text, encoding),
        _stored(loaded, encoding),
        _too_long(loaded, encoding),
        _padding(loaded),
    ]
    return Audit(tuple(findings))


def _pipeline(loaded: LoadedTokenizer) -> Finding:
    title = "Pipeline"
    if not loaded.info.verified:
        return Finding(
            severity="note",
            title=title,
            detail="Only tokenizer.json was read; transformers has not opened it yet.",
        )
    for note in loaded.info.notes:
        if "another pipeline" in note:
            return Finding(severity="warning", title=title, detail=note, count=1)
    if loaded.fast is None:
        return Finding(
            severity="note",
            title=title,
            detail=f"{loaded.info.cls} is a Python backend: offsets can't be checked.",
        )
    return Finding(
        severity="ok", title=title, detail="It has the components that tokenizer.json stores."
    )


def _unknown(text: str, encoding: Encoding) -> Finding:
    if encoding.unk_id is None:
        return Finding(
            severity="ok", title="Unknown tokens", detail="It has no unknown token: none needed."
        )
    rows = [
        row
        for row, id_ in enumerate(encoding.column("ids"))
        if id_ == encoding.unk_id
        and not encoding.special[row]
        and not _spelled(row, text, encoding)
    ]
    return _rows(
        "Unknown tokens",
        rows,
        "warning",
        f"{len(rows):,} of {_tokens(len(encoding))} unknown: what was there is lost.",
        "Every piece of the text is in the vocabulary.",
    )


def _offsets(alignment: Alignment, encoding: Encoding) -> Finding:
    wrong = alignment.wrong
    if wrong:
        examples = "; ".join(
            f"row {group.rows[0]} says {group.span!r} and decodes to {group.decoded!r}"
            for group in wrong[:NAMED]
        )
        return Finding(
            severity="warning",
            title="Offsets",
            detail=f"{len(wrong):,} places where a token's span is not what it decodes to: "
            f"{examples}.",
            count=len(wrong),
            rows=tuple(row for group in wrong for row in group.rows)[:ROWS],
        )
    if alignment.normalized:
        return Finding(
            severity="ok",
            title="Offsets",
            detail=f"All spans fit; {alignment.normalized:,} differ from the text only as the "
            "normalizer made them (case, accents, form).",
            count=alignment.normalized,
        )
    return Finding(
        severity="ok", title="Offsets", detail=f"The spans of all {_tokens(len(encoding))} fit."
    )


def _without_span(alignment: Alignment) -> Finding:
    return _rows(
        "Tokens without text",
        alignment.empty,
        "note",
        f"{_tokens(len(alignment.empty))} without characters of the text: put in by the tokenizer, "
        "or white space trimmed from spans.",
        "Every token but those of the post-processor has characters of its own.",
    )


def _uncovered(alignment: Alignment, text: str, encoding: Encoding) -> Finding:
    title = "Characters in no token"
    solid = [at for at in alignment.uncovered if not text[at].isspace()]
    if not solid:
        spaces = len(alignment.uncovered)
        detail = f"Only white space ({spaces:,} characters)." if spaces else "There are none."
        return Finding(severity="ok", title=title, detail=detail, count=spaces)
    names = _named(Counter(text[at] for at in solid))
    return Finding(
        severity="warning",
        title=title,
        detail=f"{len(solid):,} characters that are not white space are in no token: {names}.",
        count=len(solid),
        rows=_rows_at(solid, encoding),
    )


def _round_trip(loaded: LoadedTokenizer, text: str, encoding: Encoding) -> Finding:
    back = decoded(loaded, encoding)
    if back == text:
        return Finding(severity="ok", title="Round trip", detail="Decoding gives the text back.")
    at = next(
        (i for i, (one, other) in enumerate(zip(text, back, strict=False)) if one != other),
        min(len(text), len(back)),
    )
    where = f"first at character {at:,}: {text[at : at + 12]!r} became {back[at : at + 12]!r}"
    folded = fold(text) == fold(back)
    return Finding(
        severity="note" if folded else "warning",
        title="Round trip",
        detail=f"Decoding gives another text, {where}."
        + (" Only case, accents, form or white space differ." if folded else ""),
        count=1,
        rows=_rows_at([at], encoding),
    )


def _specials(loaded: LoadedTokenizer, text: str, encoding: Encoding) -> Finding:
    """Special tokens that the text itself spells, which a model takes for the real ones."""
    specials = {special.id for special in loaded.info.special_tokens}
    rows = [
        row
        for row, id_ in enumerate(encoding.column("ids"))
        if id_ in specials
        and not encoding.special[row]
        and (id_ != encoding.unk_id or _spelled(row, text, encoding))
    ]
    found = Counter(encoding.token(row).token for row in rows)
    names = ", ".join(f"{token!r} ×{count:,}" for token, count in found.most_common(NAMED))
    return _rows(
        "Special tokens in the text",
        rows,
        "warning",
        f"{_tokens(len(rows))} special because the text spells it out, not by the tokenizer: "
        f"{names}. A model can't tell the difference; split_special_tokens=True keeps them text.",
        "The text spells none.",
    )


def _invisible(text: str, encoding: Encoding) -> Finding:
    title = "Invisible characters"
    if text.isascii() and text.isprintable():
        return Finding(severity="ok", title=title, detail="There are none.")
    places = [at for at, character in enumerate(text) if _is_invisible(character)]
    if not places:
        return Finding(severity="ok", title=title, detail="There are none.")
    found = Counter(text[at] for at in places)
    bidi = sum(found[character] for character in BIDI)
    return Finding(
        severity="warning" if bidi else "note",
        title=title,
        detail=f"{len(places):,} control or format characters: {_named(found)}."
        + (" Bidi overrides show the text in another order than it has." if bidi else ""),
        count=len(places),
        rows=_rows_at(places, encoding),
    )


def _stored(loaded: LoadedTokenizer, encoding: Encoding) -> Finding:
    title = "Stored truncation and padding"
    limit, padding = loaded.info.stored_truncation, loaded.info.stored_padding
    parts: list[str] = []
    if limit is not None:
        parts.append(
            f"tokenizer.json stores truncation to {limit:,} tokens"
            + (
                f": used as it is, it would cut this text from {len(encoding):,} to {limit:,}."
                if len(encoding) > limit
                else ", which this text does not reach."
            )
        )
    if padding is not None:
        parts.append(f"It stores padding {padding}.")
    if not parts:
        return Finding(severity="ok", title=title, detail="tokenizer.json stores neither.")
    cut = limit is not None and len(encoding) > limit
    return Finding(
        severity="warning" if cut else "note",
        title=title,
        detail=" ".join(parts),
        count=len(encoding) - limit if cut and limit is not None else 0,
        rows=(limit,) if cut and limit is not None else (),
    )


def _too_long(loaded: LoadedTokenizer, encoding: Encoding) -> Finding:
    limit = loaded.info.model_max_length
    if limit is None:
        return Finding(
            severity="note", title="Length", detail="The files name no limit (model_max_length)."
        )
    tokenizer = loaded.fast or loaded.transformers()
    left_out = 0 if any(encoding.special) else tokenizer.num_special_tokens_to_add(False)
    count = len(encoding) + left_out
    over = count - limit
    said = f", with {left_out:,} special that are left out here" if left_out else ""
    if over <= 0:
        return Finding(
            severity="ok",
            title="Length",
            detail=f"{count:,} of at most {limit:,} tokens{said}.",
        )
    return Finding(
        severity="warning",
        title="Length",
        detail=f"{_tokens(count)}{said}, {over:,} more than the model takes ({limit:,}).",
        count=over,
        rows=(limit,) if limit < len(encoding) else (),
    )


def _padding(loaded: LoadedTokenizer) -> Finding:
    for special in loaded.info.special_tokens:
        if special.role == "pad_token":
            return Finding(
                severity="ok", title="Padding token", detail=f"{special.token!r}, id {special.id}."
            )
    return Finding(
        severity="note",
        title="Padding token",
        detail="There is none: batches can't be padded until one is set, "
        "for instance tokenizer.pad_token = tokenizer.eos_token.",
    )


def _rows(title: str, rows: list[int], severity: str, found: str, fine: str) -> Finding:
    if not rows:
        return Finding(severity="ok", title=title, detail=fine)
    return Finding(
        severity="warning" if severity == "warning" else "note",
        title=title,
        detail=found,
        count=len(rows),
        rows=tuple(rows[:ROWS]),
    )


def _spelled(row: int, text: str, encoding: Encoding) -> bool:
    """Whether the text holds the token literally; GPT-2's unknown token is its end of text."""
    start, end = encoding.column("starts")[row], encoding.column("ends")[row]
    name = encoding.pieces[encoding.column("ids")[row]]
    return start >= 0 and encoding.sequences[row] == 0 and text[start:end].strip() == name


def _tokens(count: int) -> str:
    return f"{count:,} token{'' if count == 1 else 's'}"


def _rows_at(places: Iterable[int], encoding: Encoding) -> tuple[int, ...]:
    """The tokens to jump to for these characters, in order, each once."""
    rows: list[int] = []
    for at in places:
        row = encoding.at_character(at)
        if row is not None and rows[bisect_left(rows, row) :] == []:
            rows.append(row)
        if len(rows) >= ROWS:
            break
    return tuple(rows)


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category in {"Cf", "Cs", "Zl", "Zp"} or (
        category == "Cc" and character not in PLAIN_CONTROLS
    )


def _named(found: Counter[str]) -> str:
    """``U+200D ZERO WIDTH JOINER ×3, …``."""
    parts = [
        f"U+{ord(character):04X} {unicodedata.name(character, 'CONTROL')} ×{count:,}"
        for character, count in found.most_common(NAMED)
    ]
    more = len(found) - NAMED
    return ", ".join(parts) + (f" and {more:,} more" if more > 0 else "")
