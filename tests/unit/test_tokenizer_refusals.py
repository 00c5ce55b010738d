"""Tokenizers that are odd, and what can't be done with them; spans that nobody can know."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer

from hfterm.errors import Cancelled, HftermError
from hfterm.hub.texts import TextSource
from hfterm.job import Job, Progress
from hfterm.tokenization import audit as auditing
from hfterm.tokenization import vocabulary
from hfterm.tokenization.batch import encode_batch
from hfterm.tokenization.detached import run_detached
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer, load, load_quick
from hfterm.tokenization.role_spans import role_spans
from hfterm.tokenization.slow import slow_against_fast
from hfterm.tokenization.stages import steps
from hfterm.tokenization.training import MERGING, _Feed
from hfterm.tokenization.views import BatchOptions, Message

Opened = Callable[[str], LoadedTokenizer]

CHAT = [Message("user", "Hi there"), Message("assistant", "Hello"), Message("user", "Bye")]


@pytest.fixture
def folder(zoo: dict[str, Path], tmp_path: Path) -> Path:
    """A WordPiece tokenizer's folder that a test may change."""
    copy = tmp_path / "tokenizer"
    shutil.copytree(zoo["wordpiece-uncased"], copy)
    return copy


def configured(folder: Path, **more: object) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | more))


# -- what a folder says ------------------------------------------------------------------------


def test_special_tokens_as_older_configs_write_them(folder: Path) -> None:
    configured(folder, cls_token={"__type": "AddedToken", "content": "[CLS]", "lstrip": False})
    found = load_quick(str(folder))
    assert found is not None
    named = {special.role: special.token for special in found.info.special_tokens}
    assert named["cls_token"] == "[CLS]"
    assert named["sep_token"] == "[SEP]"


def test_several_chat_templates_are_known_by_their_names(folder: Path) -> None:
    templates = [{"name": name, "template": "{{ messages }}"} for name in ("default", "tools")]
    configured(folder, chat_template=templates)
    quick = load_quick(str(folder))
    assert quick is not None
    assert quick.info.chat_templates == ("default", "tools")
    assert load(str(folder)).info.chat_templates == ("default", "tools")


def test_a_model_of_the_cache_without_a_tokenizer_is_asked_for() -> None:
    cache = Path(os.environ["HF_HOME"]) / "hub" / "models--lab--bare"
    snapshot = cache / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0123abc")
    (snapshot / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(HftermError, match="lab/bare is not in the cache") as caught:
        load("lab/bare")
    assert caught.value.kind == "offline"


def test_a_package_that_a_tokenizer_needs_and_is_not_here(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    configured(
        folder, tokenizer_class="BertJapaneseTokenizer", word_tokenizer_type="mecab",
        subword_tokenizer_type="wordpiece",
    )  # fmt: skip
    with pytest.raises(HftermError, match="needs a package that is not installed") as caught:
        load(str(folder))
    assert caught.value.kind == "missing-package"


# -- no twin, or one with more tokens ----------------------------------------------------------


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer"])
def test_a_wordpiece_that_is_not_berts_has_no_slow_twin(folder: Path, part: str) -> None:
    file = folder / "tokenizer.json"
    stored = json.loads(file.read_text("utf-8"))
    stored[part] = {"type": "Lowercase"} if part == "normalizer" else {"type": "WhitespaceSplit"}
    file.write_text(json.dumps(stored))
    configured(folder, tokenizer_class="PreTrainedTokenizerFast")
    with pytest.raises(HftermError, match="not with BERT's normalizer") as caught:
        slow_against_fast(load(str(folder)), "a b", Job())
    assert caught.value.kind == "no-slow-twin"


def test_tokens_that_were_added_are_added_to_the_slow_twin_too(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("<extra>", normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    found = slow_against_fast(load(str(folder)), "the <extra> cat", Job())
    assert found.equal
    assert found.fast_tokens == found.slow_tokens


# -- batches -----------------------------------------------------------------------------------


def test_longer_texts_than_they_are_padded_to_are_ragged(opened: Opened) -> None:
    result = encode_batch(
        opened("wordpiece-uncased"), ["the cat", "the " * 20], None,
        BatchOptions(padding="max_length", max_length=8),
    )  # fmt: skip
    assert result.shape is None
    assert result.shape_error.endswith("longer than max_length: choose a truncation.")
    assert {len(row.ids) for row in result.rows} == {8, 22}


def test_half_a_surrogate_pair_in_a_batch(opened: Opened) -> None:
    with pytest.raises(HftermError, match="refuses this batch") as caught:
        encode_batch(opened("wordpiece-uncased"), ["a\ud800"], None, BatchOptions())
    assert "half of a surrogate pair" in caught.value.remedy


def test_a_length_that_no_memory_holds(opened: Opened) -> None:
    options = BatchOptions(padding="max_length", max_length=2**70)
    with pytest.raises(HftermError, match="refuses this batch") as caught:
        encode_batch(opened("wordpiece-uncased"), ["a"], None, options)
    assert caught.value.remedy == "Change padding, truncation or max_length."


def test_truncation_to_no_length_cuts_nothing(opened: Opened) -> None:
    loaded = next(
        one for one in map(opened, ("word-level", "characters", "no-pre-tokenizer"))
        if one.info.model_max_length is None
    )  # fmt: skip
    options = BatchOptions(padding="none", truncation="longest_first")
    result = encode_batch(loaded, ["the cat " * 50], None, options)
    assert list(result.rows[0].ids) == loaded.transformers()("the cat " * 50)["input_ids"]
    assert result.cut == 0


# -- steps, vocabulary, audit ------------------------------------------------------------------


def test_the_steps_are_the_same_before_transformers_is_there(zoo: dict[str, Path]) -> None:
    quick, whole = load_quick(str(zoo["wordpiece-uncased"])), load(str(zoo["wordpiece-uncased"]))
    assert quick is not None
    found = [
        [piece.id for piece in stage.pieces]
        for loaded in (quick, whole)
        for stage in steps(loaded, "The quick \u2603 fox").stages
        if stage.name == "convert_tokens_to_ids"
    ]
    assert found[0] == found[1]
    assert whole.info.unk_id in found[0]


def test_an_added_token_of_which_the_normalizer_leaves_nothing(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("\ufffd", normalized=True), AddedToken("<x>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    quick = load_quick(str(folder))
    assert quick is not None
    found = steps(quick, "the <x> cat")
    last = next(stage for stage in found.stages if stage.name == "convert_tokens_to_ids")
    assert [piece.id for piece in last.pieces] == [
        *encode(quick, "the <x> cat").column("ids")[1:-1]
    ]


def test_a_pattern_for_which_there_is_no_time_left(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = opened("gpt2")
    long = max(loaded.rust().get_vocab(), key=len)
    monkeypatch.setattr(vocabulary, "SHORT", 0)  # a look at the clock for each
    assert vocabulary.search(loaded, f"^{long[:3]}", "regex").total
    monkeypatch.setattr(vocabulary, "REGEX_SECONDS", -1.0)
    with pytest.raises(HftermError, match="takes more than") as caught:
        vocabulary.search(loaded, f"^{long[:3]}", "regex")
    assert caught.value.kind == "slow-pattern"


def test_as_many_rows_of_a_finding_as_can_be_gone_to(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, text = opened("gpt2"), "a\u200bb " * 9
    encoding = encode(loaded, text)
    whole = {one.title: one for one in auditing.audit(loaded, text, encoding).findings}
    monkeypatch.setattr(auditing, "ROWS", 3)
    few = {one.title: one for one in auditing.audit(loaded, text, encoding).findings}
    title = next(title for title, one in whole.items() if len(one.rows) == 9)
    assert few[title].rows == whole[title].rows[:3]
    assert few[title].detail == whole[title].detail


def test_what_a_thread_raises_is_raised_and_a_cancel_does_not_wait() -> None:
    seen: list[Progress] = []

    def wrong() -> int:
        raise HftermError("bad", "It is wrong.", "Mend it.")

    with pytest.raises(HftermError, match="It is wrong"):
        run_detached(wrong, Job(seen.append), lambda: None)
    with pytest.raises(Cancelled):
        run_detached(lambda: threading.Event().wait(60), Job(cancelled=lambda: True), lambda: None)
    assert run_detached(lambda: 3, Job(), lambda: None) == 3


def test_merging_is_said_again_only_once_all_texts_are_read(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("one\ntwo\n")
    seen: list[str] = []
    feed = _Feed(TextSource(str(file)), Job(lambda progress: seen.append(progress.stage)))
    feed.busy()
    assert seen == []
    assert [*feed] == [["one", "two"]]
    assert (seen.count(MERGING), feed.characters) == (1, 6)
    feed.busy()
    assert seen.count(MERGING) == 2


# -- whose characters are whose ----------------------------------------------------------------


def plain(messages: list[Message]) -> str:
    return "".join(f"<{message.role}>{message.content}\n" for message in messages)


def contents(messages: list[Message], apply: Callable[[list[Message]], str]) -> list[str]:
    text = apply(messages)
    return [text[span.start : span.end] for span in role_spans(messages, text, apply)]


def test_a_content_that_holds_a_mark_gets_its_span_by_another() -> None:
    messages = [*CHAT[:1], Message("assistant", "what is hfterm0mark1qx?"), *CHAT[2:]]
    assert contents(messages, plain) == [plain([message]) for message in messages]


def test_a_text_that_holds_every_mark_gets_no_span() -> None:
    marks = " ".join(f"hfterm{attempt}mark0qx" for attempt in range(9))
    assert contents([Message("user", marks)], plain) == []


def test_a_template_that_refuses_other_contents_gets_no_span() -> None:
    def strict(messages: list[Message]) -> str:
        if any(message.content not in ("yes", "no") for message in messages):
            raise ValueError("yes or no")
        return plain(messages)

    assert contents([Message("user", "yes"), Message("assistant", "no")], strict) == []


def test_a_template_that_counts_characters_gets_no_span() -> None:
    def counted(messages: list[Message]) -> str:
        return "".join(f"[{len(one.content)}]{one.content}" for one in messages)

    assert contents(CHAT, counted) == []


def test_a_template_that_rewrites_contents_gets_no_span() -> None:
    assert contents(CHAT, lambda messages: plain(messages).upper()) == []


def test_a_template_that_joins_the_words_of_contents_gets_no_span() -> None:
    def joined(messages: list[Message]) -> str:
        return plain([Message(one.role, one.content.replace(" ", "_")) for one in messages])

    assert contents([Message("user", "Hi there you")], joined) == []


def test_a_first_header_that_never_comes_again_gives_the_content_alone() -> None:
    def numbered(messages: list[Message]) -> str:
        return "".join(f"#{place} {one.content}\n" for place, one in enumerate(messages))

    found = contents(CHAT, numbered)
    assert found == ["Hi there", "#1 Hello\n", "#2 Bye\n"]
