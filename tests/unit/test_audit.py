"""The audit's findings on texts and tokenizers that have what it looks for."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable

import msgspec
import pytest

from corpus import HOSTILE, PROSE, TEXTS
from hfterm.job import Cancelled, Job
from hfterm.tokenization.audit import audit
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer, load_quick
from hfterm.tokenization.views import Finding
from zoo import FAST, NAMES

Opened = Callable[[str], LoadedTokenizer]


def findings(loaded: LoadedTokenizer, text: str) -> dict[str, Finding]:
    found = audit(loaded, text, encode(loaded, text)).findings
    return {finding.title: finding for finding in found}


def severities(loaded: LoadedTokenizer, text: str) -> dict[str, str]:
    return {title: finding.severity for title, finding in findings(loaded, text).items()}


def test_a_plain_text_has_nothing_to_warn_of(opened: Opened) -> None:
    for name in ("gpt2", "wordpiece-uncased", "t5", "llama"):
        assert "warning" not in severities(opened(name), "The ship left.").values(), name


def test_every_question_is_answered_once_whatever_the_text(opened: Opened) -> None:
    for name in NAMES:
        titles = None
        for text in TEXTS.values():
            found = findings(opened(name), text)
            titles = titles or list(found)
            assert list(found) == titles
            size = len(encode(opened(name), text))
            for finding in found.values():
                assert finding.detail
                assert all(0 <= row < size for row in finding.rows), (name, text, finding)
                assert list(finding.rows) == sorted(set(finding.rows))
        assert len(titles or []) == (11 if name in FAST else 8)


def test_offsets_of_the_zoo_are_right(opened: Opened) -> None:
    """Normalised case, accents and forms are told from wrong spans, in every script."""
    for name in FAST:
        for text in TEXTS.values():
            assert findings(opened(name), text)["Offsets"].severity == "ok", (name, text)


def test_normalised_spans_are_counted(opened: Opened) -> None:
    finding = findings(opened("wordpiece-uncased"), "The café, the Town")["Offsets"]
    assert finding.count >= 2
    assert "normalizer" in finding.detail


def test_a_wrong_span_is_found(opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    text = "the ship left the town"
    encoding = encode(loaded, text)
    starts, ends = array("i", encoding.starts), array("i", encoding.ends)
    row = next(token.index for token in encoding.tokens() if token.start == 14)
    starts[row], ends[row] = 4, 8  # as if drifted
    for later in range(row, len(ends)):
        ends[later] = max(ends[later], ends[row])
    moved = msgspec.structs.replace(encoding, starts=starts.tobytes(), ends=ends.tobytes())
    offsets = next(f for f in audit(loaded, text, moved).findings if f.title == "Offsets")
    assert offsets.severity == "warning"
    assert row in offsets.rows


def test_a_library_slip_is_shown(opened: Opened) -> None:
    """A pre-tokenizer that puts a space after a special token shifts the trimmed span."""
    found = findings(opened("roberta"), "<s>[a")
    assert found["Tokens without text"].count == 1
    assert found["Characters in no token"].severity == "warning"
    assert "LEFT SQUARE BRACKET" in found["Characters in no token"].detail


def test_unknown_tokens_with_their_rows(opened: Opened) -> None:
    loaded = opened("word-level")
    text = "the 𓂀 town 𓂀𓂀"
    finding = findings(loaded, text)["Unknown tokens"]
    encoding = encode(loaded, text)
    unknown = [t.index for t in encoding.tokens() if t.id == loaded.info.unk_id]
    assert finding.severity == "warning"
    assert finding.rows == tuple(unknown)
    assert finding.count == len(unknown) == 2
    assert findings(loaded, "the town")["Unknown tokens"].severity == "ok"
    # GPT-2's unknown token is its end of text: that one was not unknown
    assert severities(opened("gpt2"), "a<|endoftext|>")["Unknown tokens"] == "ok"
    spelled = [t.index for t in encode(loaded, "[UNK] 𓂀").tokens() if t.start == 0]
    found = findings(loaded, "[UNK] 𓂀")
    assert found["Special tokens in the text"].rows == (spelled[0],)
    assert found["Unknown tokens"].rows == (spelled[0] + 1,)


def test_characters_in_no_token(opened: Opened) -> None:
    text = "safe\u202etext"
    finding = findings(opened("wordpiece-uncased"), text)["Characters in no token"]
    assert (finding.severity, finding.count) == ("warning", 1)
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in finding.detail
    assert len(finding.rows) == 1
    finding = findings(opened("wordpiece-uncased"), "a  b ")["Characters in no token"]
    assert (finding.severity, finding.count) == ("ok", 3)


def test_stored_truncation_says_what_it_would_cut(opened: Opened) -> None:
    loaded = opened("stored")
    size = len(encode(loaded, PROSE))
    finding = findings(loaded, PROSE)["Stored truncation and padding"]
    assert finding.severity == "warning"
    assert f"from {size:,} to 16" in finding.detail
    assert finding.rows == (16,)
    assert finding.count == size - 16
    short = findings(loaded, "the")["Stored truncation and padding"]
    assert (short.severity, short.count) == ("note", 0)
    assert "padding" in short.detail
    assert severities(opened("gpt2"), PROSE)["Stored truncation and padding"] == "ok"


def test_longer_than_the_model_takes(opened: Opened) -> None:
    loaded = opened("wordpiece-cased")
    finding = findings(loaded, PROSE)["Length"]
    assert (finding.severity, finding.rows) == ("warning", (64,))
    assert finding.count == len(encode(loaded, PROSE)) - 64
    assert severities(loaded, "the")["Length"] == "ok"
    assert severities(opened("llama"), "the")["Length"] == "note"


def test_special_tokens_that_are_left_out_count_all_the_same(opened: Opened) -> None:
    loaded = opened("wordpiece-cased")
    text = "the " * 63
    alone = encode(loaded, text, add_special_tokens=False)
    assert len(alone) == 63
    found = {f.title: f for f in audit(loaded, text, alone).findings}["Length"]
    assert (found.severity, found.count, found.rows) == ("warning", 1, ())
    assert "65 tokens, with 2 special that are left out here" in found.detail


def test_round_trip(opened: Opened) -> None:
    assert severities(opened("gpt2"), TEXTS["emoji zwj"])["Round trip"] == "ok"
    lower = findings(opened("wordpiece-uncased"), "The Café")["Round trip"]
    assert lower.severity == "note"
    assert "character 0" in lower.detail
    assert severities(opened("word-level"), "the 𓂀 town")["Round trip"] == "warning"
    assert severities(opened("byt5"), "añ\r\n")["Round trip"] == "ok"


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("gpt2", "a<|endoftext|>b<|endoftext|>", 2),
        ("wordpiece-uncased", "[CLS] a [SEP]", 2),
        ("llama", "<s>x</s>", 2),
        ("wordpiece-uncased", "[cls] a", 0),
        ("gpt2", "[CLS]", 0),
        ("byt5", "a</s>b", 1),
        ("word-level", "[UNK] 𓂀", 1),
    ],
)
def test_special_tokens_that_the_text_spells(
    opened: Opened, name: str, text: str, count: int
) -> None:
    finding = findings(opened(name), text)["Special tokens in the text"]
    assert finding.count == len(finding.rows) == count
    assert finding.severity == ("warning" if count else "ok")
    encoding = encode(opened(name), text)
    for row in finding.rows:
        assert encoding.token(row).special == 0


def test_split_special_tokens_is_a_real_remedy(opened: Opened) -> None:
    """What the finding recommends does what it says."""
    auto = opened("gpt2").transformers()
    text = "a<|endoftext|>b"
    assert 0 in auto(text)["input_ids"]
    assert 0 not in auto(text, split_special_tokens=True)["input_ids"]
    assert 0 in auto(text, split_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("text", "severity", "names"),
    [
        ("plain\ttext\r\n", "ok", "none"),
        ("añ 中 नमस्ते", "ok", "none"),
        ("👩‍👩‍👧", "note", "ZERO WIDTH JOINER ×2"),
        (HOSTILE["bidi override"], "warning", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        (HOSTILE["bidi isolate"], "warning", "U+2066"),
        (HOSTILE["escape"], "note", "U+001B"),
        (HOSTILE["c1"], "note", "U+009B"),
        ("a\u200bb\ufeff", "note", "ZERO WIDTH SPACE"),
        ("a\u2028b", "note", "U+2028 LINE SEPARATOR"),
    ],
)
def test_invisible_characters(opened: Opened, text: str, severity: str, names: str) -> None:
    for name in ("gpt2", "byt5"):
        finding = findings(opened(name), text)["Invisible characters"]
        assert finding.severity == severity
        assert names in finding.detail
        assert bool(finding.rows) == (severity != "ok" and name == "gpt2")


def test_details_never_hold_raw_controls(opened: Opened) -> None:
    for text in HOSTILE.values():
        for name in ("hostile", "gpt2", "canine"):
            for finding in findings(opened(name), text).values():
                assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in finding.detail)
                assert not set("\u202e\u2066\u2067") & set(finding.detail)


def test_a_rebuilt_pipeline_is_a_warning(opened: Opened) -> None:
    finding = findings(opened("llama-rebuilt"), "a")["Pipeline"]
    assert finding.severity == "warning"
    assert "LlamaTokenizer" in finding.detail
    assert severities(opened("llama"), "a")["Pipeline"] == "ok"


def test_an_unverified_pipeline_says_so(opened: Opened) -> None:
    quick = load_quick(opened("gpt2").info.path)
    assert quick is not None
    assert severities(quick, "a")["Pipeline"] == "note"


def test_padding_token(opened: Opened) -> None:
    assert severities(opened("no-pad"), "a")["Padding token"] == "note"
    assert severities(opened("t5"), "a")["Padding token"] == "ok"


def test_python_backends_are_audited_without_offsets(opened: Opened) -> None:
    found = findings(opened("bert-legacy"), "the 𓂀")
    assert "Offsets" not in found
    assert found["Pipeline"].severity == "note"
    assert found["Unknown tokens"].count == 1


def test_a_pair_is_audited_by_its_text(opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    encoding = encode(loaded, "the ship", "left the town")
    found = {f.title: f for f in audit(loaded, "the ship", encoding).findings}
    assert found["Offsets"].severity == "ok"
    assert found["Characters in no token"].count == 1


def test_an_audit_can_be_cancelled(opened: Opened) -> None:
    loaded = dataclasses.replace(opened("gpt2"))
    with pytest.raises(Cancelled):
        audit(loaded, "a", encode(loaded, "a"), Job(cancelled=lambda: True))
