"""Conversations against a model of them: whatever is done in whatever order, and after crashes."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from hfterm.chat.conversation_files import export_conversation, import_conversations
from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import ConversationStore, title_of
from hfterm.chat.types import LlmSpec, Sampling, Token
from hfterm.errors import HftermError
from hfterm.training.run_files import boot_id
from hfterm.training.run_types import ProcessMark

WORDS = ("harbour", "ship", "Straße", "naïve", "日本", "émile", "x1", "don't", "HARBOUR", "café")
TEXT = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join),
    st.text(max_size=12),
    st.sampled_from(
        ["", "\n", '"quoted"', "a AND b", "NEAR(", "*", "\0", "\ud800", "👩🏽\u200d💻"]
    ),
)
DEAD = msgspec.msgpack.encode(ProcessMark(1, 1e12, boot_id()))
"""Written by a process that is gone, as whoever was killed leaves it."""


def kept(text: str) -> str:
    """Half a surrogate pair is no character: that alone is another afterwards."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass
class Said:
    """A message of the model."""

    id: int
    parent: int | None
    role: str
    content: str
    tokens: list[Token] | None = None
    seen: int = 0
    open: bool = False
    """Whether it is an answer that is still coming."""
    prefix: str = ""


@dataclass
class Talk:
    """A conversation of the model."""

    title: str
    system: str
    said: dict[int, Said] = field(default_factory=dict)
    leaf: int | None = None
    updated: int = 0

    def path(self) -> list[Said]:
        found: list[Said] = []
        at = self.leaf
        while at is not None:
            found.append(self.said[at])
            at = self.said[at].parent
        return found[::-1]


class Conversations(RuleBasedStateMachine):
    """Two stores on one file, as two hfterm have, one of which is dropped now and then."""

    talks = Bundle("talks")
    places = Bundle("places")
    """(conversation, message)"""
    answers = Bundle("answers")
    """(conversation, answer), still coming"""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hfterm-machine-"))
        self.file = self.folder / "conversations.sqlite"
        self.store = ConversationStore.open(self.file)
        self.other = ConversationStore.open(self.file)
        self.model: dict[int, Talk] = {}
        self.moment = 0
        self.files = 0

    def teardown(self) -> None:
        for store in (self.store, self.other):
            store.close()
        shutil.rmtree(self.folder)

    def tick(self) -> int:
        self.moment += 1
        return self.moment

    def see(self, talk: Talk, message: int | None) -> None:
        now = self.tick()
        while message is not None:
            talk.said[message].seen = now
            message = talk.said[message].parent

    def put(self, number: int, said: Said) -> tuple[int, int]:
        talk = self.model[number]
        self.see(talk, said.parent)
        said.seen = self.tick()
        talk.said[said.id] = said
        talk.leaf, talk.updated = said.id, self.tick()
        return number, said.id

    def there(self, number: int, message: int | None = None) -> bool:
        talk = self.model.get(number)
        return talk is not None and (message is None or message in talk.said)

    # -- what is done ------------------------------------------------------------------------

    @rule(target=talks, title=TEXT, system=TEXT)
    def begin(self, title: str, system: str) -> int:
        number = self.store.create(title, LlmSpec(ref="x"), Sampling(), system)
        assert number not in self.model
        self.model[number] = Talk(kept(title), kept(system), updated=self.tick())
        return number

    @rule(target=places, number=talks, role=st.sampled_from(["user", "assistant"]), text=TEXT)
    def say(self, number: int, role: str, text: str):
        """At the end of the branch in sight."""
        if not self.there(number):
            with pytest.raises(HftermError, match="no longer there"):
                self.store.add(number, None, "user", text)
            return multiple()
        parent = self.model[number].leaf
        id_ = self.store.add(number, parent, role, text)  # pyright: ignore[reportArgumentType]
        return self.put(number, Said(id_, parent, role, kept(text)))

    @rule(target=places, place=places, text=TEXT)
    def edit(self, place: tuple[int, int], text: str):
        """Another text in the place of a message, beside it."""
        number, message = place
        if not self.there(number, message):
            with pytest.raises(HftermError, match="no longer there"):
                self.store.add(number, message, "user", text)
            return multiple()
        old = self.model[number].said[message]
        id_ = self.store.add(number, old.parent, old.role, text)  # pyright: ignore[reportArgumentType]
        return self.put(number, Said(id_, old.parent, old.role, kept(text)))

    @rule(place=places)
    def go_to(self, place: tuple[int, int]) -> None:
        number, message = place
        if not self.there(number, message):
            with pytest.raises(HftermError, match="no longer there"):
                self.store.activate(number, message)
            return
        self.store.activate(number, message)
        talk = self.model[number]
        self.see(talk, message)
        leaf = message
        while below := [one for one in talk.said.values() if one.parent == leaf]:
            leaf = max(below, key=lambda one: (one.seen, one.id)).id
        talk.leaf = leaf

    @rule(number=talks, title=TEXT)
    def rename(self, number: int, title: str) -> None:
        if not self.there(number):
            with pytest.raises(HftermError, match="no longer there"):
                self.store.rename(number, title)
            return
        self.store.rename(number, title)
        self.model[number].title = kept(title)

    @rule(number=talks, system=TEXT)
    def settle(self, number: int, system: str) -> None:
        self.store.save_settings(number, None, Sampling(temperature=0.1), system)
        if self.there(number):
            self.model[number].system = kept(system)

    @rule(number=consumes(talks), by_other=st.booleans())
    def delete(self, number: int, by_other: bool) -> None:
        if not self.there(number):
            return
        (self.other if by_other else self.store).delete(number)
        del self.model[number]

    # -- an answer, piece by piece ------------------------------------------------------------

    @rule(target=answers, place=places, prefix=TEXT, begun=st.lists(TEXT, max_size=3))
    def begin_answer(self, place: tuple[int, int], prefix: str, begun: list[str]):
        number, message = place
        if not self.there(number, message):
            return multiple()
        tokens = [Token(at, text) for at, text in enumerate(begun)]
        id_ = self.store.begin_answer(number, message, prefix, tokens)
        start = "" if begun else kept(prefix)
        said = Said(id_, message, "assistant", start, [], open=True, prefix=start)
        self.put(number, said)
        self.arrive(said, tokens)
        return number, id_

    @staticmethod
    def arrive(said: Said, tokens: list[Token]) -> None:
        assert said.tokens is not None
        for token in tokens:
            one = msgspec.structs.replace(token, text=kept(token.text))
            said.tokens.append(one)
            said.content += one.text

    @rule(answer=answers, texts=st.lists(TEXT, min_size=1, max_size=4))
    def append(self, answer: tuple[int, int], texts: list[str]) -> None:
        """Also to an answer that was deleted, or made whole: then nothing happens."""
        number, id_ = answer
        tokens = [Token(at, text) for at, text in enumerate(texts)]
        self.store.append(id_, tokens)
        if self.there(number, id_) and self.model[number].said[id_].open:
            self.arrive(self.model[number].said[id_], tokens)

    @rule(target=places, answer=consumes(answers))
    def finish(self, answer: tuple[int, int]):
        number, id_ = answer
        self.store.finish(id_, AnswerNote(model="tiny", tokens=3, stop_reason="end"))
        if not self.there(number, id_):
            return multiple()
        if self.model[number].said[id_].open:
            self.close_answer(self.model[number].said[id_])
            self.model[number].updated = self.tick()
        return number, id_

    @staticmethod
    def close_answer(said: Said) -> None:
        said.open = False
        if said.prefix:  # whose tokens are not known
            said.tokens = None

    @rule(answer=consumes(answers))
    def discard(self, answer: tuple[int, int]) -> None:
        """Only what nobody has answered yet, as the interface does."""
        number, id_ = answer
        if not self.there(number, id_):
            self.store.discard(id_)
            return
        talk = self.model[number]
        if any(one.parent == id_ for one in talk.said.values()):
            return
        self.store.discard(id_)
        if talk.leaf == id_:
            talk.leaf = talk.said[id_].parent
        del talk.said[id_]

    # -- crashes and files ----------------------------------------------------------------------

    @rule()
    def crash(self) -> None:
        """The process is gone with its connection; another hfterm opens the file."""
        base = self.store._base
        base.execute("UPDATE message SET writer = ? WHERE writer IS NOT NULL", (DEAD,))
        del base
        self.store.close()
        self.store = ConversationStore.open(self.file)
        every = [(said, talk) for talk in self.model.values() for said in talk.said.values()]
        for said, talk in sorted(every, key=lambda one: one[0].id):
            if said.open:
                self.close_answer(said)
                talk.updated = self.tick()

    @rule()
    def crash_in_the_middle(self) -> None:
        """A transaction that nobody ends: all that it did is as if it had not been."""
        lost = sqlite3.connect(self.file, isolation_level=None, timeout=5)
        lost.execute("BEGIN IMMEDIATE")
        lost.execute("DELETE FROM message")
        lost.execute("DELETE FROM conversation")
        lost.close()

    @rule(target=talks, number=talks, ending=st.sampled_from([".json", ".md"]))
    def write_and_read(self, number: int, ending: str):
        """A copy by way of a file, of the branch in sight."""
        talk = self.model.get(number)
        if talk is None or not talk.path():
            return multiple()
        path = talk.path()
        if ending == ".md" and any("\r" in one.content for one in path):
            return multiple()  # a Markdown file keeps one kind of line end
        self.files += 1
        target = self.folder / f"{self.files}{ending}"
        export_conversation(self.store, number, str(target))
        (copy,) = import_conversations(self.store, str(target))
        system = [talk.system] if talk.system else []
        if ending == ".md" and "\r" in talk.system:
            self.other.delete(copy)
            return multiple()
        title = " ".join(talk.title.split()) if ending == ".md" else talk.title
        title = title or title_of(path[0].content)
        made = Talk(self.other.get(copy).title, "".join(system), updated=self.tick())
        if ending == ".json":
            assert made.title == title
        self.model[copy] = made
        parent: int | None = None
        for one, other in zip(path, self.other.path(copy), strict=True):
            made.said[other.id] = Said(other.id, parent, one.role, one.content, seen=self.tick())
            parent = made.leaf = other.id
        return copy

    # -- what holds ------------------------------------------------------------------------------

    def same(self, store: ConversationStore) -> None:
        for number, talk in self.model.items():
            said = store.messages(number)
            assert [(one.id, one.parent, one.role, one.content) for one in said] == [
                (one.id, one.parent, one.role, one.content) for one in talk.said.values()
            ]
            assert [one.id for one in store.path(number)] == [one.id for one in talk.path()]
            found = store.get(number)
            assert (found.title, found.system, found.leaf) == (talk.title, talk.system, talk.leaf)
            for one in talk.said.values():
                assert list(store.tokens(one.id)) == (one.tokens or [])

    @invariant()
    def nothing_is_lost(self) -> None:
        self.same(self.store)
        self.same(self.other)

    @invariant()
    def the_list_is_the_model(self) -> None:
        rows = self.other.list()
        newest = sorted(self.model, key=lambda n: (self.model[n].updated, n), reverse=True)
        assert [row.id for row in rows] == newest
        for row in rows:
            talk = self.model[row.id]
            assert (row.title, row.messages) == (talk.title, len(talk.said))
        for at in range(0, len(newest), 2):
            assert [row.id for row in self.other.list("", 2, at)] == newest[at : at + 2]

    @invariant()
    def siblings_are_the_models(self) -> None:
        for talk in self.model.values():
            for one in talk.said.values():
                beside = [two.id for two in talk.said.values() if two.parent == one.parent]
                assert self.store.siblings(one.id) == sorted(beside)

    @rule(word=st.sampled_from(WORDS), cut=st.integers(1, 8), both=st.sampled_from(WORDS))
    def search(self, word: str, cut: int, both: str) -> None:
        """What was said is found by its words, or how they begin; and nothing else."""
        for sought in (word, word[:cut], f"{word} {both}"):
            wanted = [plain(one) for one in sought.split()]
            expected = {
                number for number, talk in self.model.items()
                if any(all(map(begun_in(one.content if not one.open else one.prefix), wanted))
                       for one in talk.said.values())
            }  # fmt: skip
            assert {row.id for row in self.store.list(sought)} == expected

    @rule(text=TEXT)
    def search_anything(self, text: str) -> None:
        """Whatever is typed there, it is no fault."""
        self.store.list(text)

    @precondition(lambda self: self.model)
    @rule()
    def it_is_whole(self) -> None:
        base = sqlite3.connect(self.file)
        try:
            assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            base.execute("INSERT INTO said (said, rank) VALUES ('integrity-check', 1)")
            assert base.execute(
                "SELECT count(*) FROM piece WHERE message NOT IN"
                " (SELECT id FROM message WHERE writer IS NOT NULL)"
            ).fetchone() == (0,)
        finally:
            base.rollback()
            base.close()


def plain(text: str) -> str:
    """As the index has it: no case, no accents."""
    import unicodedata

    letters = unicodedata.normalize("NFD", text.lower())
    return "".join(each for each in letters if not unicodedata.combining(each))


def begun_in(text: str) -> Callable[[str], bool]:
    """Whether a word, or a phrase of two with a sign between, is begun in a text."""
    words = re.findall(r"[^\W_]+", plain(text))

    def begun(sought: str) -> bool:
        parts = re.findall(r"[^\W_]+", sought)
        return any(
            words[at : at + len(parts) - 1] == parts[:-1]
            and at + len(parts) <= len(words)
            and words[at + len(parts) - 1].startswith(parts[-1])
            for at in range(len(words))
        )

    return begun


TestConversations = pytest.mark.timeout(900)(
    Conversations.TestCase
)  # a failure is made small, which takes a while
TestConversations.settings = settings(
    max_examples=int(os.environ.get("HFTERM_MACHINE_EXAMPLES", "30")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
