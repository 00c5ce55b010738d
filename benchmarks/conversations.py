"""Conversations that are kept: how long a file with very many takes to list, search and open.

The file is made anew in a temporary folder. Every message has the word “common” in it, three have
the word “quokka”, and the others are drawn as words are in texts: few often, most seldom.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path

from harness import Report, median, options, table
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.types import Sampling
from results import at_most

CONVERSATIONS = int(os.environ.get("HFTERM_CONVERSATIONS", "1000"))
MESSAGES = int(os.environ.get("HFTERM_MESSAGES", "200"))
ROUNDS = int(os.environ.get("HFTERM_ROUNDS", "20"))
WORDS = 40
"""Words of a message."""

VOCABULARY = 20_000
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def vocabulary(chance: random.Random) -> list[str]:
    """Words of made-up letters, the same each time; those that are looked for are not in it."""
    weights = list(accumulate(1 / (at + 2) for at in range(len(LETTERS))))
    words = {
        "".join(chance.choices(LETTERS, cum_weights=weights, k=chance.randint(2, 11)))
        for _ in range(VOCABULARY)
    }
    return sorted(words - {"common", "quokka"})


def fill(store: ConversationStore) -> list[int]:
    """Make the conversations, each a branch of user and assistant in turns; their numbers."""
    chance = random.Random(7)
    words = vocabulary(chance)
    chance.shuffle(words)
    weights = list(accumulate(1 / (at + 1) for at in range(len(words))))
    rare = {chance.randrange(CONVERSATIONS * MESSAGES) for _ in range(3)}
    made: list[int] = []
    for conversation in range(CONVERSATIONS):
        number = store.create(f"Conversation {conversation}", None, Sampling(), "")
        parent: int | None = None
        with store._change() as base:  # a transaction a conversation, not one a message
            for message in range(MESSAGES):
                text = " ".join(chance.choices(words, cum_weights=weights, k=WORDS)) + " common"
                if conversation * MESSAGES + message in rare:
                    text += " quokka"
                role = "assistant" if message % 2 else "user"
                parent = store._add(base, number, parent, role, text, None, None)
        made.append(number)
    return made


TOPIC = f"{CONVERSATIONS:,} conversations of {MESSAGES:,} messages"


def row(report: Report, rounds: int, name: str, does: Callable[[], list[object]]) -> list[object]:
    """What it is, how many it gave, and milliseconds."""
    spent: list[float] = []
    found = 0
    for _ in range(rounds):
        start = time.perf_counter()
        found = len(does())
        spent.append((time.perf_counter() - start) * 1000)
    report.add(TOPIC, name, "ms", spent, target=at_most(100, "ms"))
    return [name, found, median(spent), max(spent)]


def main() -> None:
    """Print one table."""
    chosen = options(__doc__)
    report = Report(chosen)
    rounds = chosen.rounds(ROUNDS, 3)
    measured = partial(row, report, rounds)
    with tempfile.TemporaryDirectory(prefix="hfterm-benchmark-") as folder:
        file = Path(folder) / "conversations.db"
        start = time.perf_counter()
        store = ConversationStore.open(file)
        numbers = fill(store)
        store.close()
        seconds = time.perf_counter() - start
        print(
            f"{CONVERSATIONS:,} conversations of {MESSAGES:,} messages of {WORDS + 1} words: "
            f"{file.stat().st_size / 1e6:,.0f} MB, made in {seconds:,.1f} s"
        )

        def opened() -> list[object]:
            other = ConversationStore.open(file)
            rows = other.list()
            other.close()
            return [*rows]

        first = measured("open the file and list", opened)
        store = ConversationStore.open(file)
        chance = random.Random(3)
        rows = [
            first,
            measured("list", lambda: [*store.list()]),
            measured("search a word of three messages", lambda: [*store.list("quokka")]),
            measured("search a word of every message", lambda: [*store.list("common")]),
            measured("search two words of every message", lambda: [*store.list("common com")]),
            measured("search two letters", lambda: [*store.list("co")]),
            measured("search two other letters", lambda: [*store.list("ea")]),
            measured("search one letter", lambda: [*store.list("t")]),
            measured("search what nobody said", lambda: [*store.list("xyzzyx")]),
            measured("open one conversation", lambda: [*store.path(chance.choice(numbers))]),
        ]
        store.close()
        table(
            f"Conversations, {rounds} rounds", ("what", "rows", "median ms", "max ms"), rows
        )  # fmt: skip


if __name__ == "__main__":
    main()
