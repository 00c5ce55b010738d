"""Conversations are kept as a tree, found by what was said, and shared between processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import TITLE, ConversationStore, title_of
from hfterm.chat.types import Alternative, LlmSpec, Sampling, Token
from hfterm.errors import HftermError
from hfterm.surrogates import whole_text
from waiting import gone, wait_until

NOTE = AnswerNote(model="smollm2 · nf4", tokens=3, ttft=0.1, seconds=0.5, stop_reason="end")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
"""With NUL, and with halves of surrogate pairs."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "chats.db"


@pytest.fixture
def store(file: Path) -> Iterator[ConversationStore]:
    with closing(ConversationStore.open(file)) as opened:
        yield opened


@pytest.fixture
def other(store: ConversationStore, file: Path) -> Iterator[ConversationStore]:
    """The same file, as another process sees it."""
    with closing(ConversationStore.open(file)) as opened:
        yield opened


def begin(store: ConversationStore, title: str = "A talk") -> int:
    return store.create(title, None, Sampling(), "")


def said(store: ConversationStore, conversation: int) -> list[str]:
    return [message.content for message in store.path(conversation)]


def words(*texts: str) -> list[Token]:
    return [Token(at, text) for at, text in enumerate(texts)]


def found(store: ConversationStore, search: str) -> list[int]:
    return [row.id for row in store.list(search)]


# -- a conversation ----------------------------------------------------------------------------


def test_what_a_conversation_is_had_with_comes_back(store: ConversationStore) -> None:
    spec = LlmSpec(ref="org/model", quantization="nf4", adapter="/lora")
    sampling = Sampling(temperature=0.1, stop=("\n", "，"), seed=7)
    number = store.create("Grüße 🌍", spec, sampling, "Be brief.\0")
    kept = store.get(number)
    assert (kept.title, kept.spec, kept.sampling) == ("Grüße 🌍", spec, sampling)
    assert (kept.system, kept.leaf) == ("Be brief.\0", None)
    assert store.path(number) == []
    store.save_settings(number, None, Sampling(), "")
    kept = store.get(number)
    assert (kept.spec, kept.sampling, kept.system) == (None, Sampling(), "")


def test_an_edit_is_a_sibling_and_what_followed_stays_with_the_old(
    store: ConversationStore,
) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "one")
    answer = store.add(talk, asked, "assistant", "two", NOTE)
    more = store.add(talk, answer, "user", "three")
    assert said(store, talk) == ["one", "two", "three"]
    edited = store.add(talk, None, "user", "ONE")
    assert said(store, talk) == ["ONE"]
    assert store.siblings(edited) == store.siblings(asked) == [asked, edited]
    assert store.siblings(answer) == [answer]
    store.activate(talk, asked)
    assert [message.id for message in store.path(talk)] == [asked, answer, more]
    assert [message.note for message in store.path(talk)] == [None, NOTE, None]
    store.activate(talk, edited)
    assert said(store, talk) == ["ONE"]
    assert [row.messages for row in store.list()] == [4]


def test_siblings_are_of_one_place_and_of_one_conversation(store: ConversationStore) -> None:
    one, two = begin(store), begin(store)
    first = store.add(one, None, "user", "a")
    store.add(two, None, "user", "a")
    again = store.add(one, None, "user", "b")
    below = [store.add(one, first, "assistant", str(at)) for at in range(3)]
    store.add(one, again, "assistant", "elsewhere")
    store.activate(one, below[0])
    assert store.siblings(first) == [first, again]
    assert store.siblings(below[1]) == below
    assert store.siblings(10_000) == []


def test_activating_descends_to_what_was_last_seen(store: ConversationStore) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "asked")
    one = store.add(talk, asked, "assistant", "one")
    deep = store.add(talk, one, "user", "deep")
    deeper = store.add(talk, one, "user", "deeper")
    two = store.add(talk, asked, "assistant", "two")
    edited = store.add(talk, None, "user", "edited")
    assert said(store, talk) == ["edited"]
    store.activate(talk, asked)
    assert said(store, talk) == ["asked", "two"]
    store.activate(talk, one)
    assert said(store, talk) == ["asked", "one", "deeper"]
    store.activate(talk, deep)
    store.activate(talk, edited)
    store.activate(talk, asked)
    assert said(store, talk) == ["asked", "one", "deep"]
    assert deeper != two


def test_looking_at_a_message_is_looking_at_the_branch_it_is_on(store: ConversationStore) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "asked")
    one = store.add(talk, asked, "assistant", "one")
    deep = store.add(talk, one, "user", "deep")
    store.add(talk, asked, "assistant", "two")
    store.activate(talk, deep)  # as a search does, straight into another branch
    edited = store.add(talk, None, "user", "edited")
    assert store.get(talk).leaf == edited
    store.activate(talk, asked)
    assert said(store, talk) == ["asked", "one", "deep"]


def test_a_message_that_is_gone_is_not_brought_in_sight(store: ConversationStore) -> None:
    one, two = begin(store), begin(store)
    store.add(one, None, "user", "kept")
    elsewhere = store.add(two, None, "user", "elsewhere")
    for number in (elsewhere, 10_000):
        with suppress(HftermError):
            store.activate(one, number)
        assert said(store, one) == ["kept"]


def test_the_last_one_used_comes_first(store: ConversationStore) -> None:
    numbers = [begin(store, str(at)) for at in range(5)]
    store.add(numbers[1], None, "user", "again")
    store.rename(numbers[3], "renamed")
    rows = store.list()
    assert [row.title for row in rows] == ["1", "4", "renamed", "2", "0"]
    assert [row.id for row in store.list(limit=2, offset=1)] == [numbers[4], numbers[3]]
    assert [row.messages for row in rows] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get(9),
        lambda store: store.rename(9, "x"),
        lambda store: store.delete(9),
        lambda store: store.path(9),
        lambda store: store.add(9, None, "user", "x"),
        lambda store: store.begin_answer(9, 1),
    ],
    ids=["get", "rename", "delete", "path", "add", "begin_answer"],
)
def test_a_conversation_that_is_gone_says_so(store: ConversationStore, call: object) -> None:
    with pytest.raises(HftermError, match="no longer there") as caught:
        call(store)  # pyright: ignore[reportCallIssue]
    assert caught.value.kind == "gone"
    assert store._all("SELECT count(*) FROM message") == [(0,)]


def test_titles_are_the_first_line_cut() -> None:
    assert title_of("\n  \n  Hello there  \nmore") == "Hello there"
    assert title_of(" \n") == title_of("") == "New conversation"
    assert title_of("x" * TITLE) == "x" * TITLE
    long = title_of("word " * 40)
    assert len(long) <= TITLE
    assert long.endswith("…")


@given(ANY_TEXT)
def test_any_text_comes_back_but_for_halves_of_characters(text: str) -> None:
    with closing(ConversationStore.open(None)) as store:
        whole = whole_text(text)
        talk = store.create(text, None, Sampling(), text)
        store.add(talk, None, "user", text)
        assert said(store, talk) == [whole]
        assert (store.get(talk).title, store.get(talk).system) == (whole, whole)
        store.rename(talk, text[::-1])
        assert store.list()[0].title == whole_text(text[::-1])


# -- an answer as it comes ---------------------------------------------------------------------


def test_an_answer_is_kept_as_it_comes_and_made_one_text(store: ConversationStore) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "Where?")
    answer = store.begin_answer(talk, asked, note=AnswerNote(model="m"))
    assert said(store, talk) == ["Where?", ""]
    one = Token(3, "In", "In", 0.5, 1.25, (Alternative(3, "In", 0.5), Alternative(4, "At", 0.1)))
    rest = words(" the", "", " harbour 🐟")
    store.append(answer, [one])
    assert said(store, talk) == ["Where?", "In"]
    store.append(answer, rest)
    store.append(answer, [])
    assert store.tokens(answer) == (one, *rest)
    assert store.path(talk)[-1].note == AnswerNote(model="m", stop_reason="interrupted")
    store.finish(answer, NOTE)
    last = store.path(talk)[-1]
    assert (last.content, last.note, last.role) == ("In the harbour 🐟", NOTE, "assistant")
    assert store.tokens(answer) == (one, *rest)
    assert [row.model for row in store.list("harbour")] == [NOTE.model]
    assert store._all("SELECT count(*) FROM piece") == [(0,)]


def test_an_answer_may_go_on_from_tokens_or_from_text(store: ConversationStore) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "Where?")
    one = store.begin_answer(talk, asked, begun=words("In", " the"))
    assert said(store, talk) == ["Where?", "In the"]
    store.append(one, words(" end"))
    store.finish(one, NOTE)
    assert said(store, talk) == ["Where?", "In the end"]
    assert [token.text for token in store.tokens(one)] == ["In", " the", " end"]
    two = store.begin_answer(talk, asked, prefix="At ")
    assert said(store, talk) == ["Where?", "At "]
    store.append(two, words("noon"))
    assert said(store, talk) == ["Where?", "At noon"]
    store.finish(two, NOTE)
    assert said(store, talk) == ["Where?", "At noon"]
    assert store.tokens(two) == ()  # those of its beginning are not known
    assert store.siblings(two) == [one, two]
    assert found(store, "noon") == [talk]


def test_an_answer_of_which_nothing_came_is_forgotten(store: ConversationStore) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "Where?")
    answer = store.begin_answer(talk, asked)
    store.append(answer, words("x"))
    store.discard(answer)
    assert said(store, talk) == ["Where?"]
    assert store.get(talk).leaf == asked
    assert store.tokens(answer) == ()
    assert [row.messages for row in store.list()] == [1]
    store.discard(answer)
    store.finish(answer, NOTE)
    assert said(store, talk) == ["Where?"]


def test_typed_messages_have_no_tokens(store: ConversationStore) -> None:
    asked = store.add(begin(store), None, "user", "x")
    assert store.tokens(asked) == store.tokens(999) == ()


def test_a_token_with_half_a_character_is_kept_as_text_is(store: ConversationStore) -> None:
    talk = begin(store)
    answer = store.begin_answer(talk, store.add(talk, None, "user", "x"), begun=words("a\ud83d"))
    store.append(answer, words("\ude00b"))
    store.finish(answer, NOTE)
    assert said(store, talk)[-1] == "a\ufffd\ufffdb"


def test_tokens_that_come_after_a_deletion_are_nowhere(
    store: ConversationStore, other: ConversationStore
) -> None:
    talk = begin(store)
    answer = store.begin_answer(talk, store.add(talk, None, "user", "private"))
    other.delete(talk)
    with suppress(HftermError):
        store.append(answer, words("my secret"))
    store.finish(answer, NOTE)
    assert store.tokens(answer) == ()
    # another answer may have its number now
    fresh = begin(other)
    again = other.begin_answer(fresh, other.add(fresh, None, "user", "hello"))
    assert said(other, fresh) == ["hello", ""]
    assert other.tokens(again) == ()
    assert other._all("SELECT count(*) FROM piece") == [(0,)]


def test_a_conversation_that_was_deleted_elsewhere_does_not_become_another(
    store: ConversationStore, other: ConversationStore
) -> None:
    talk = begin(store)
    other.delete(talk)
    fresh = begin(other, "another")
    with pytest.raises(HftermError, match="no longer there"):
        store.add(talk, None, "user", "meant for the first")
    assert said(other, fresh) == []


# -- two processes -----------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.types import Sampling, Token
store = ConversationStore.open(Path(sys.argv[1]))
talk = store.create("Theirs", None, Sampling(), "")
asked = store.add(talk, None, "user", "Where?")
answer = store.begin_answer(talk, asked, prefix=sys.argv[2], note=AnswerNote(model="theirs"))
store.append(answer, [Token(1, "In the "), Token(2, "harbour")])
print(talk, answer, flush=True)
sys.stdin.readline()
store.append(answer, [Token(3, " town")])
print("more", flush=True)
sys.stdin.readline()
store.finish(answer, AnswerNote(model="theirs", stop_reason="end"))
print("over", flush=True)
"""


@pytest.fixture
def child(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes an answer, a step with each line it is given."""
    with _child(file) as started:
        yield started
        started.kill()


def _child(file: Path, prefix: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file), prefix],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip


def _heard(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    assert line, "the process ended"
    return line


def _step(child: subprocess.Popen[str]) -> str:
    assert child.stdin is not None
    child.stdin.write("\n")
    return _heard(child)


def test_an_answer_that_another_process_writes_is_read_and_left_to_it(
    child: subprocess.Popen[str], file: Path
) -> None:
    talk, answer = map(int, _heard(child).split())
    with closing(ConversationStore.open(file)) as store:
        assert said(store, talk) == ["Where?", "In the harbour"]
        assert len(store.tokens(answer)) == 2
        assert _step(child) == "more"
        assert said(store, talk) == ["Where?", "In the harbour town"]
    with closing(ConversationStore.open(file)) as store:  # opening does not end it either
        assert len(store.tokens(answer)) == 3
        assert found(store, "harbour") == []
        assert _step(child) == "over"
        assert said(store, talk) == ["Where?", "In the harbour town"]
        assert len(store.tokens(answer)) == 3
        assert store.path(talk)[-1].note == AnswerNote(model="theirs", stop_reason="end")
        assert found(store, "harbour") == [talk]


@pytest.mark.parametrize("prefix", ["", "Well: "])
def test_an_answer_whose_process_was_killed_is_made_whole(file: Path, prefix: str) -> None:
    with _child(file, prefix) as child:
        talk, answer = map(int, _heard(child).split())
        with closing(ConversationStore.open(file)) as before:
            assert said(before, talk) == ["Where?", f"{prefix}In the harbour"]
            child.send_signal(signal.SIGKILL)
            child.wait()
            wait_until(lambda: gone(child.pid), "the process ends")
            # also without opening it again it can be read
            assert said(before, talk) == ["Where?", f"{prefix}In the harbour"]
    with closing(ConversationStore.open(file)) as store:
        assert said(store, talk) == ["Where?", f"{prefix}In the harbour"]
        assert len(store.tokens(answer)) == (0 if prefix else 2)
        assert store.path(talk)[-1].note == AnswerNote(model="theirs", stop_reason="interrupted")
        assert found(store, "harbour") == [talk]
        assert store._all("SELECT count(*) FROM piece") == [(0,)]


def test_a_killed_process_nobody_waited_for_is_gone_as_well(file: Path) -> None:
    with _child(file) as child:
        talk, _ = map(int, _heard(child).split())
        child.send_signal(signal.SIGKILL)
        wait_until(lambda: gone(child.pid), "the process is a zombie")
        with closing(ConversationStore.open(file)) as store:
            assert found(store, "harbour") == [talk]


def test_setting_the_clock_does_not_end_an_answer_that_is_written(
    store: ConversationStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's idea of when it was booted follows its clock, and so do processes' starts."""
    talk = begin(store)
    answer = store.begin_answer(talk, store.add(talk, None, "user", "Where?"))
    store.append(answer, words("In"))
    booted = psutil.boot_time() + 2
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "boot_time", lambda: booted)
        ConversationStore.open(file).close()
    store.append(answer, words(" town"))
    store.finish(answer, NOTE)
    assert said(store, talk) == ["Where?", "In town"]


def test_an_answer_that_ends_while_it_is_read_is_read_whole(
    store: ConversationStore, other: ConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(store)
    answer = store.begin_answer(talk, store.add(talk, None, "user", "Where?"))
    store.append(answer, words("In", " town"))
    pieces = other._pieces

    def late(number: int) -> tuple[Token, ...]:
        store.finish(answer, NOTE)
        return pieces(number)

    monkeypatch.setattr(other, "_pieces", late)
    assert said(other, talk) == ["Where?", "In town"]


def test_a_message_added_while_a_branch_is_read_does_not_hide_it(
    store: ConversationStore, other: ConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "Where?")
    get = other.get

    def late(number: int) -> object:
        store.add(talk, asked, "assistant", "There.")
        return get(number)

    monkeypatch.setattr(other, "get", late)
    assert said(other, talk)[:1] == ["Where?"]


MANY = """
import sys
from pathlib import Path
from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.types import Sampling, Token
store = ConversationStore.open(Path(sys.argv[1]))
name, shared = sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
talk = store.create(name, None, Sampling(), "")
parent = None
for number in range(40):
    store.add(shared, None, "user", f"{name} {number}")
    parent = store.add(talk, parent, "user", f"{name} {number}")
    parent = store.begin_answer(talk, parent)
    for at in range(3):
        store.append(parent, [Token(number, f"{name}{number}-{at} ")])
    store.finish(parent, AnswerNote(stop_reason="end"))
"""


def _whole(store: ConversationStore, name: str, talk: int) -> None:
    expected: list[str] = []
    for number in range(40):
        expected += [f"{name} {number}", "".join(f"{name}{number}-{at} " for at in range(3))]
    assert said(store, talk) == expected


def test_processes_that_write_at_once_lose_nothing(store: ConversationStore, file: Path) -> None:
    shared = begin(store, "shared")
    names = [f"process{at}" for at in range(3)]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(file), name, str(shared)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    for child in children:
        assert _heard(child) == "ready"
    for child in children:
        _, errors = child.communicate("\n")
        assert child.returncode == 0, errors
    rows = {row.title: row for row in store.list()}
    for name in names:
        _whole(store, name, rows[name].id)
    everything = {message.content for message in store.messages(shared)}
    assert everything == {f"{name} {number}" for name in names for number in range(40)}
    assert rows["shared"].messages == 120
    assert store._all("PRAGMA integrity_check") == [("ok",)]


def test_threads_with_a_store_each_lose_nothing(file: Path) -> None:
    troubles: list[BaseException] = []
    line = threading.Barrier(4)

    def write(name: str) -> None:
        try:
            line.wait(60)
            with closing(ConversationStore.open(file)) as store:  # also the file is made at once
                talk = begin(store, name)
                parent = None
                for number in range(40):
                    parent = store.add(talk, parent, "user", f"{name} {number}")
                    parent = store.begin_answer(talk, parent)
                    for at in range(3):
                        store.append(parent, words(f"{name}{number}-{at} "))
                    store.finish(parent, NOTE)
        except BaseException as error:  # noqa: BLE001
            troubles.append(error)

    threads = [threading.Thread(target=write, args=(f"t{at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    with closing(ConversationStore.open(file)) as store:
        rows = store.list()
        assert sorted(row.title for row in rows) == ["t0", "t1", "t2", "t3"]
        for row in rows:
            _whole(store, row.title, row.id)


# -- search ------------------------------------------------------------------------------------


def test_all_words_must_be_begun_so_in_one_message(store: ConversationStore) -> None:
    one = begin(store, "harbour")  # titles are not searched
    first = store.add(one, None, "user", "The Harbour was quiet")
    store.add(one, first, "assistant", "Fishing boats rocked")
    two = begin(store)
    store.add(two, None, "user", "quiet harbours, and boats")
    assert found(store, "harb") == [two, one]
    assert found(store, "HARBOUR") == [two, one]
    assert found(store, "boats quiet") == [two]
    assert found(store, "rock fish") == [one]
    assert found(store, "arbour") == []
    assert found(store, "harbour nowhere") == []
    assert found(store, "") == found(store, " .!* ") == [two, one]
    assert [row.id for row in store.list("harbour", limit=1, offset=1)] == [one]


def test_search_finds_other_branches_and_shows_where(store: ConversationStore) -> None:
    talk = begin(store)
    store.add(talk, None, "user", "x " * 200 + "the\nneedle  is\there " + "y " * 200)
    store.add(talk, None, "user", "another branch")
    (row,) = store.list("needle")
    assert "the needle is here" in row.snippet
    assert row.snippet.startswith("…")
    assert row.snippet.endswith("…")
    assert "\n" not in row.snippet
    assert store.list()[0].snippet == ""


def test_a_snippet_shows_what_was_found_without_its_accents(store: ConversationStore) -> None:
    store.add(begin(store), None, "user", "x " * 200 + "a café there")
    (row,) = store.list("cafe")
    assert "café" in row.snippet


def test_operators_are_words(store: ConversationStore) -> None:
    talk = begin(store)
    store.add(talk, None, "user", "NEAR and OR not content:x AND a_b under_score")
    for search in ("NEAR", "OR", "NOT", "AND", "NEAR(and or)", '"near" OR', "content:x", "-near"):
        assert found(store, search) == [talk], search
    assert found(store, "a_b") == found(store, "under_sc") == [talk]
    assert found(store, "content : nothing") == []


SEARCHES = (
    '"', '""', '"unclosed', "*", "a*", "^a", "NEAR", "NEAR(", "NEAR(a b, 2)", "AND", "a AND",
    "OR", "-a", "--", "a -b", "content:", "said:", "{a b}:", "(", ")", "a + b",
    "';DROP TABLE message;--",
    "\0", "a\0b", "\ud83d", "a\udcffb", "🎉", "👩‍👩‍👧", "漢字", "_",
    "__", "a _", "İ", "ß", "²", "\u0301",
    "%", "\\", "\x1b[31m", "\u202e", "\U0010ffff", "x" * 1_000_000, "x " * 500_000, '"' * 1_000_000,
)  # fmt: skip


@pytest.fixture(scope="module")
def filled() -> Iterator[ConversationStore]:
    with closing(ConversationStore.open(None)) as store:
        for text in ("a b content said", "漢字 🎉", "NEAR a OR b", "xx", "a\0b _ ß İ ² x"):
            store.add(begin(store), None, "user", text)
        yield store


@pytest.mark.parametrize("search", SEARCHES, ids=lambda text: ascii(text)[:20])
def test_no_search_raises_what_nobody_understands(filled: ConversationStore, search: str) -> None:
    with suppress(HftermError):
        filled.list(search)


@given(ANY_TEXT, ANY_TEXT)
def test_no_search_in_any_text_raises_what_nobody_understands(text: str, search: str) -> None:
    with closing(ConversationStore.open(None)) as store:
        store.add(begin(store), None, "user", text)
        for what in (search, text, text + search, f'"{search}*'):
            with suppress(HftermError):
                assert len(store.list(what)) <= 1


@pytest.mark.parametrize(
    "text",
    ["under _ score", "cafe\u0301s", "a\U0001df00b", "हिन्दी", "ไทยที่", "don't", "x²", "Straße İ"],
    ids=ascii,
)
def test_what_was_said_is_found_by_itself(store: ConversationStore, text: str) -> None:
    talk = begin(store)
    store.add(talk, None, "user", text)
    assert found(store, text) == [talk]


@given(st.text(max_size=60))
def test_whatever_was_said_is_found_by_itself(text: str) -> None:
    with closing(ConversationStore.open(None)) as store:
        talk = begin(store)
        store.add(talk, None, "user", text)
        assert found(store, text) == [talk]


def test_what_was_deleted_is_found_no_more(
    store: ConversationStore, other: ConversationStore
) -> None:
    one, two = begin(store), begin(store)
    for talk in (one, two):
        first = store.add(talk, None, "user", "harbour")
        store.add(talk, first, "assistant", "fishing")
    other.delete(two)
    assert found(store, "harbour") == found(store, "fishing") == [one]
    assert [row.id for row in store.list()] == [one]
    with pytest.raises(HftermError, match="no longer there"):
        store.get(two)
    assert store.messages(two) == []
    fresh = begin(store)  # it may get the number of the one that is gone
    assert said(store, fresh) == []
    assert found(store, "harbour") == [one]


def test_what_was_deleted_is_in_no_file(store: ConversationStore, file: Path) -> None:
    talk = begin(store, "zebrasecret")
    for at in range(20):
        store.add(talk, None, "user", f"giraffesecret {at} " * 50)
    answer = store.begin_answer(talk, store.add(talk, None, "user", "x"))
    store.append(answer, words("walrussecret"))
    store.finish(answer, NOTE)
    keep = begin(store, "kept")
    store.add(keep, None, "user", "nothing of it")
    store.delete(talk)
    store.close()
    left = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert b"kept" in left
    here = [word for word in (b"zebrasecret", b"giraffesecret", b"walrussecret") if word in left]
    assert here == []


# -- the file ----------------------------------------------------------------------------------


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "a" / "kept" / "chats.db"
    before = os.umask(0)
    try:
        with closing(ConversationStore.open(file)) as store:
            store.add(begin(store), None, "user", "private")
            modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"chats.db": 0o600, "chats.db-wal": 0o600, "chats.db-shm": 0o600}
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_could_read_no_longer_is(tmp_path: Path) -> None:
    file = tmp_path / "chats.db"
    with closing(ConversationStore.open(file)) as store:
        talk = begin(store)
    file.chmod(0o644)
    with closing(ConversationStore.open(file)) as store:
        store.rename(talk, "x")
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert tmp_path.stat().st_mode & 0o777 == 0o700  # pytest's own


def test_a_store_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(ConversationStore.open(None)) as store:
        store.add(begin(store), None, "user", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "chats.db"
    with closing(ConversationStore.open(file)) as store:
        store._base.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(HftermError, match="newer hfterm") as caught:
        ConversationStore.open(file)
    assert caught.value.kind == "newer"
    assert "99" in caught.value.message
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "data", [b"not a database", b"# notes\n" * 1000, b"\0" * 4096, os.urandom(8192)],
    ids=["short", "text", "zeros", "noise"],
)  # fmt: skip
def test_another_kind_of_file_is_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "chats.db"
    file.write_bytes(data)
    with pytest.raises(HftermError) as caught:
        ConversationStore.open(file)
    assert caught.value.kind == "damaged"
    assert str(file) in caught.value.message
    assert file.read_bytes() == data


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "chats.db"
    with closing(sqlite3.connect(file)) as base:
        base.execute("CREATE TABLE bookmarks (url TEXT)")
        base.commit()
    with pytest.raises(HftermError):
        ConversationStore.open(file)
    with closing(sqlite3.connect(file)) as base:
        assert base.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


class Sound:
    """Bytes that a failing test does not print."""

    def __init__(self, data: bytes) -> None:
        self.data = data


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A file with a few conversations."""
    file = tmp_path_factory.mktemp("sound") / "chats.db"
    with closing(ConversationStore.open(file)) as store:
        for number in range(3):
            talk = begin(store, f"talk {number}")
            parent = None
            for at in range(15):
                parent = store.add(talk, parent, "user", f"word{at} harbour " * 20)
                parent = store.begin_answer(talk, parent)
                store.append(parent, words(*(f"t{at} " for at in range(30))))
                store.finish(parent, NOTE)
    return Sound(file.read_bytes())


def _use(file: Path) -> None:
    """Whatever a store is used for; only what a person understands may come of it."""
    with suppress(HftermError), closing(ConversationStore.open(file)) as store:
        steps = [
            store.list,
            lambda: store.list("harbour"),
            lambda: store.list("wo"),
            lambda: [store.get(number) for number in (1, 2, 3)],
            lambda: [store.path(number) for number in (1, 2, 3)],
            lambda: [store.tokens(number) for number in range(1, 91)],
            lambda: store.siblings(1),
            lambda: store.activate(1, 1),
            lambda: store.add(2, 1, "user", "more harbour"),
            lambda: store.delete(3),
        ]
        for step in steps:
            with suppress(HftermError):
                step()


@settings(deadline=None, max_examples=40, print_blob=False)
@given(data=st.data())
def test_a_damaged_file_says_so(sound: Sound, data: st.DataObject) -> None:
    whole = sound.data
    pages = len(whole) // 4096
    page = data.draw(st.integers(0, pages - 1), "page")
    start = page * 4096 + data.draw(st.integers(0, 4000), "offset")
    garbage = data.draw(st.binary(min_size=1, max_size=96), "garbage")
    broken = whole[:start] + garbage + whole[start + len(garbage) :]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.db"
        file.write_bytes(broken)
        _use(file)


@settings(deadline=None, max_examples=15)
@given(share=st.floats(0, 1))
def test_a_file_that_was_cut_off_says_so(sound: Sound, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.db"
        file.write_bytes(sound.data[: int(len(sound.data) * share)])
        _use(file)


@pytest.mark.parametrize("column", ["note", "tokens", "sampling", "spec"])
def test_what_can_t_be_understood_says_so(store: ConversationStore, column: str) -> None:
    talk = store.create("talk", LlmSpec(ref="x"), Sampling(), "")
    answer = store.begin_answer(talk, store.add(talk, None, "user", "x"))
    store.append(answer, words("a"))
    store.finish(answer, NOTE)
    table = "message" if column in ("note", "tokens") else "conversation"
    store._base.execute(f"UPDATE {table} SET {column} = x'c1ffff'")
    with pytest.raises(HftermError):
        if column == "tokens":
            store.tokens(answer)
        else:
            store.path(talk)
            store.get(talk)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "shut"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        for file in (folder / "chats.db", folder / "kept" / "chats.db"):
            with pytest.raises(HftermError, match="can't be kept") as caught:
                ConversationStore.open(file)
            assert caught.value.kind == "not-kept"
    finally:
        folder.chmod(0o700)


def test_a_place_where_no_file_can_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "file" / "chats.db"):
        with pytest.raises(HftermError, match="can't be kept"):
            ConversationStore.open(place)


def test_when_there_is_no_room_nothing_is_lost_and_it_goes_on(store: ConversationStore) -> None:
    talk = begin(store)
    asked = store.add(talk, None, "user", "before")
    (pages,) = store._base.execute("PRAGMA page_count").fetchone()
    store._base.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(HftermError, match="full"):
        for _ in range(100):
            store.add(talk, asked, "user", "much " * 5000)
    assert not store._base.in_transaction
    store._base.execute("PRAGMA max_page_count = 1000000")
    assert store.messages(talk)[0].content == "before"
    store.add(talk, asked, "user", "after")
    assert said(store, talk) == ["before", "after"]


def test_a_file_that_another_holds_too_long_says_so(
    store: ConversationStore, other: ConversationStore
) -> None:
    talk = begin(store)
    other._base.execute("PRAGMA busy_timeout = 1")
    store._base.execute("BEGIN IMMEDIATE")
    with pytest.raises(HftermError, match="can't be kept"):
        other.add(talk, None, "user", "x")
    assert said(other, talk) == []  # reading goes on
    store._base.execute("ROLLBACK")
    other.add(talk, None, "user", "x")
    assert said(store, talk) == ["x"]


# -- against a model ---------------------------------------------------------------------------


@dataclass
class Said:
    conversation: int
    parent: int | None
    content: str
    seen: int
    tokens: list[Token] | None = None
    prefix: str = ""
    written: bool = False


@dataclass
class Talk:
    title: str
    used: int
    leaf: int | None = None
    model: str = ""


TEXTS = st.text(max_size=12)
TOKENS = st.lists(st.builds(Token, st.integers(0, 9), TEXTS), max_size=3)


class Kept(RuleBasedStateMachine):
    """A store does what dictionaries do; it is read through a second one on the same file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "chats.db"
        self.store = ConversationStore.open(file)
        self.other = ConversationStore.open(file)
        self.talks: dict[int, Talk] = {}
        self.said: dict[int, Said] = {}
        self.clock = 0

    def teardown(self) -> None:
        self.store.close()
        self.other.close()
        self.folder.cleanup()

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def any_talk(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.talks)), "conversation")

    def any_message(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.said)), "message")

    def any_written(self, data: st.DataObject) -> int:
        written = sorted(number for number, kept in self.said.items() if kept.written)
        return data.draw(st.sampled_from(written), "answer")

    def place(self, conversation: int, number: int, kept: Said) -> None:
        assert number not in self.said
        self.said[number] = kept
        self.look(number)
        talk = self.talks[conversation]
        talk.leaf, talk.used = number, kept.seen

    def look(self, number: int | None) -> None:
        """Whoever looks at a message looks at the branch that leads to it."""
        now = self.now()
        while number is not None:
            self.said[number].seen = now
            number = self.said[number].parent

    def below(self, number: int) -> list[int]:
        return [id_ for id_, kept in self.said.items() if kept.parent == number]

    @rule(title=TEXTS)
    def create(self, title: str) -> None:
        number = self.store.create(title, None, Sampling(), "")
        assert number not in self.talks
        self.talks[number] = Talk(title, self.now())

    @precondition(lambda self: self.talks)
    @rule(data=st.data(), text=TEXTS)
    def begin_branch(self, data: st.DataObject, text: str) -> None:
        talk = self.any_talk(data)
        self.place(
            talk, self.store.add(talk, None, "user", text), Said(talk, None, text, self.now())
        )

    @precondition(lambda self: self.said)
    @rule(data=st.data(), text=TEXTS)
    def add(self, data: st.DataObject, text: str) -> None:
        parent = self.any_message(data)
        talk = self.said[parent].conversation
        number = self.store.add(talk, parent, "user", text)
        self.place(talk, number, Said(talk, parent, text, self.now()))

    @precondition(lambda self: self.said)
    @rule(data=st.data(), text=TEXTS)
    def edit(self, data: st.DataObject, text: str) -> None:
        old = self.said[self.any_message(data)]
        number = self.store.add(old.conversation, old.parent, "user", text)
        self.place(
            old.conversation, number, Said(old.conversation, old.parent, text, self.now())
        )  # fmt: skip

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def activate(self, data: st.DataObject) -> None:
        number = self.any_message(data)
        kept = self.said[number]
        self.store.activate(kept.conversation, number)
        self.look(number)
        while below := self.below(number):
            number = max(below, key=lambda id_: self.said[id_].seen)
        self.talks[kept.conversation].leaf = number

    @precondition(lambda self: self.talks)
    @rule(data=st.data(), title=TEXTS)
    def rename(self, data: st.DataObject, title: str) -> None:
        talk = self.any_talk(data)
        self.store.rename(talk, title)
        self.talks[talk].title = title

    @precondition(lambda self: self.talks)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        talk = self.any_talk(data)
        self.store.delete(talk)
        del self.talks[talk]
        self.said = {id_: kept for id_, kept in self.said.items() if kept.conversation != talk}
        with pytest.raises(HftermError):
            self.other.get(talk)

    @precondition(lambda self: self.said)
    @rule(data=st.data(), prefix=TEXTS, begun=TOKENS)
    def begin(self, data: st.DataObject, prefix: str, begun: list[Token]) -> None:
        parent = self.any_message(data)
        talk = self.said[parent].conversation
        number = self.store.begin_answer(talk, parent, prefix, begun)
        prefix = "" if begun else prefix
        kept = Said(talk, parent, prefix, self.now(), [*begun], prefix, written=True)
        self.place(talk, number, kept)

    @precondition(lambda self: any(kept.written for kept in self.said.values()))
    @rule(data=st.data(), tokens=TOKENS)
    def append(self, data: st.DataObject, tokens: list[Token]) -> None:
        number = self.any_written(data)
        self.store.append(number, tokens)
        known = self.said[number].tokens
        assert known is not None
        known += tokens

    @precondition(lambda self: any(kept.written for kept in self.said.values()))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = self.any_written(data)
        kept = self.said[number]
        self.store.finish(number, AnswerNote(model=f"model {number}"))
        kept.content = self.text(kept)
        kept.written = False
        if kept.prefix:
            kept.tokens = None
        talk = self.talks[kept.conversation]
        talk.used, talk.model = self.now(), f"model {number}"

    @precondition(lambda self: any(kept.written for kept in self.said.values()))
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        number = self.any_written(data)
        if self.below(number):
            return  # nothing is asked below an answer that is being written
        kept = self.said.pop(number)
        self.store.discard(number)
        talk = self.talks[kept.conversation]
        if talk.leaf == number:
            talk.leaf = kept.parent

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = ConversationStore.open(Path(self.folder.name) / "chats.db")

    @staticmethod
    def text(kept: Said) -> str:
        if not kept.written:
            return kept.content
        return kept.prefix + "".join(token.text for token in kept.tokens or ())

    @invariant()
    def lists_the_same(self) -> None:
        ordered = sorted(self.talks, key=lambda number: -self.talks[number].used)
        rows = self.other.list()
        assert [row.id for row in rows] == ordered
        for row in rows:
            talk = self.talks[row.id]
            assert (row.title, row.model) == (talk.title, talk.model)
            everything = [k for k in self.said.values() if k.conversation == row.id]
            assert row.messages == len(everything)

    @invariant()
    def shows_the_same(self) -> None:
        for number, talk in self.talks.items():
            path: list[tuple[int, str]] = []
            at = talk.leaf
            while at is not None:
                path.append((at, self.text(self.said[at])))
                at = self.said[at].parent
            assert [(m.id, m.content) for m in self.other.path(number)] == path[::-1]
        for number, kept in self.said.items():
            assert self.other.tokens(number) == tuple(kept.tokens or ())
            assert self.other.siblings(number) == sorted(
                id_
                for id_, one in self.said.items()
                if (one.conversation, one.parent) == (kept.conversation, kept.parent)
            )


TestKept = Kept.TestCase
TestKept.settings = settings(
    deadline=None, max_examples=40, stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
