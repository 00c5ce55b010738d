"""Processes that are killed while they keep a conversation: what was kept is there afterwards.

``HFTERM_KILLS=20`` kills each kind that often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import ConversationStore

KILLS = int(os.environ.get("HFTERM_KILLS", "3"))

BEGIN = """
import os, resource, sys
from pathlib import Path
from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.types import Sampling, Token
from hfterm.errors import HftermError

def say(number):
    os.write(1, b"%d\\n" % number)

file = Path(sys.argv[1])
store = ConversationStore.open(file)
talk = store.create("Numbers", None, Sampling(), "")
asked = store.add(talk, None, "user", "Count.")
"""

TOKENS = """
answer = store.begin_answer(talk, asked, note=AnswerNote(model="counter"))
number = 0
while True:
    store.append(answer, [Token(number, f"{number} ", probability=0.5)])
    say(number)
    number += 1
"""

ANSWERS = """
number = 0
while True:
    answer = store.begin_answer(talk, asked)
    store.append(answer, [Token(at, f"word{number}_{at} ") for at in range(5)])
    store.finish(answer, AnswerNote(model="counter", tokens=5, stop_reason="end"))
    say(number)
    number += 1
"""

DELETES = """
number = 0
while True:
    other = store.create(f"gone {number}", None, Sampling(), "")
    store.add(other, store.add(other, None, "user", f"gone{number}"), "assistant", "secret")
    store.delete(other)
    store.rename(talk, f"{number}")
    say(number)
    number += 1
"""

FULL = """
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, most))
answer = store.begin_answer(talk, asked)
number = 0
try:
    while True:
        store.append(answer, [Token(number, f"{number} " + "x" * 1000 + " ")])
        say(number)
        number += 1
except HftermError as error:
    assert error.kind == "not-kept", error
try:
    for other in range(1000):
        store.add(talk, asked, "user", "y" * 4000)
except HftermError as error:
    assert error.kind == "not-kept", error
    print(error, file=sys.stderr)
else:
    raise AssertionError("the disk never was full")
assert not store._base.in_transaction
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
store.append(answer, [Token(number, f"{number} ")])
say(number)
store.finish(answer, AnswerNote(stop_reason="end"))
store.add(talk, asked, "user", "There is room again.")
"""


def _begin(script: str, file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + script, str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
    )  # fmt: skip


def _kill_after(script: str, file: Path, lines: int) -> int:
    """Kill the process once it has said so many numbers; how many it had said in all."""
    with _begin(script, file) as child:
        assert child.stdout is not None
        said = b""
        while said.count(b"\n") < lines:
            piece = child.stdout.read(64)
            assert piece, child.communicate()[1].decode()
            said += piece
        child.send_signal(signal.SIGKILL)
        rest, errors = child.communicate()
        assert child.returncode == -signal.SIGKILL, errors.decode()
    numbers = [int(line) for line in (said + rest).split(b"\n")[:-1]]
    assert numbers == list(range(len(numbers)))
    return len(numbers)


@pytest.mark.parametrize("kill", range(KILLS))
def test_every_token_that_was_kept_outlives_the_process(tmp_path: Path, kill: int) -> None:
    file = tmp_path / "chats.db"
    said = _kill_after(TOKENS, file, random.Random(kill).randint(1, 600))
    store = ConversationStore.open(file)
    try:
        (row,) = store.list()
        *_, answer = store.path(row.id)
        tokens = store.tokens(answer.id)
        # the one that was being said may be there as well
        assert said <= len(tokens) <= said + 1
        assert [token.id for token in tokens] == list(range(len(tokens)))
        assert answer.content == "".join(f"{number} " for number in range(len(tokens)))
        assert answer.note == AnswerNote(model="counter", stop_reason="interrupted")
        assert [found.id for found in store.list(f"{said - 1}")] == [row.id]
        assert store._all("SELECT count(*) FROM piece") == [(0,)]
        assert store._all("PRAGMA integrity_check") == [("ok",)]
    finally:
        store.close()


@pytest.mark.parametrize("kill", range(KILLS))
def test_an_answer_is_whole_or_interrupted_wherever_the_kill_falls(
    tmp_path: Path, kill: int
) -> None:
    file = tmp_path / "chats.db"
    said = _kill_after(ANSWERS, file, random.Random(100 + kill).randint(1, 150))
    store = ConversationStore.open(file)
    try:
        (row,) = store.list()
        answers = [message for message in store.messages(row.id) if message.role == "assistant"]
        assert said <= len(answers) <= said + 1
        assert row.messages == len(answers) + 1
        for number, answer in enumerate(answers):
            assert answer.note is not None
            words = [f"word{number}_{at} " for at in range(5)]
            if answer.note.stop_reason == "end":
                assert answer.content == "".join(words)
                assert [token.text for token in store.tokens(answer.id)] == words
            else:
                assert number == len(answers) - 1
                assert "".join(words).startswith(answer.content)
        assert store.siblings(answers[0].id) == [answer.id for answer in answers]
        assert store.list(f"word{said - 1}")
    finally:
        store.close()


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_kill_while_deleting_leaves_all_or_nothing(tmp_path: Path, kill: int) -> None:
    file = tmp_path / "chats.db"
    said = _kill_after(DELETES, file, random.Random(200 + kill).randint(1, 100))
    store = ConversationStore.open(file)
    try:
        rows = store.list()
        assert len(rows) <= 2
        kept = next(row for row in rows if not row.title.startswith("gone"))
        assert int(kept.title) in (said - 1, said)
        for row in rows:
            assert len(store.messages(row.id)) == row.messages
            if row.id != kept.id and row.messages == 2:
                assert [found.id for found in store.list("secret")] == [row.id]
        assert len(store.list("secret")) <= len(rows) - 1
        # what is in the index is what was said
        store._base.execute("INSERT INTO said (said, rank) VALUES ('integrity-check', 1)")
    finally:
        store.close()


def test_a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    file = tmp_path / "chats.db"
    with _begin(FULL, file) as child:
        said, errors = child.communicate()
        assert child.returncode == 0, errors.decode()
    # it says what the trouble was, not that it could not undo it
    assert "rollback" not in errors.decode(), errors.decode()
    store = ConversationStore.open(file)
    try:
        (row,) = store.list()
        answer = next(m for m in store.messages(row.id) if m.role == "assistant")
        numbers = [int(line) for line in said.split()]
        assert [token.id for token in store.tokens(answer.id)] == numbers
        assert [int(word) for word in answer.content.split() if word[0] != "x"] == numbers
        assert store.path(row.id)[-1].content == "There is room again."
        assert store._all("PRAGMA integrity_check") == [("ok",)]
    finally:
        store.close()
