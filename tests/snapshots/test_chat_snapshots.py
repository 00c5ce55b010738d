"""Pictures of the Chat screen. `--snapshot-update` takes them anew.

The conversation is one that was kept: what a model says, and how fast, differs between machines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from hfterm import paths
from hfterm.chat import conversations
from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.lab_types import WayResult
from hfterm.chat.types import Alternative, LlmSpec, Sampling, Token
from hfterm.screens.chat.lab import LabPage
from hfterm.screens.chat.screen import ChatScreen
from hfterm.widgets import conversation_table
from hfterm.widgets.data_grid import DataGrid
from pilot_app import quiet, settled, shown

Compare = Callable[..., bool]
Steps = Callable[[Pilot[None]], Awaitable[None]]
Studio = Callable[..., object]

SMALL, MIDDLE = (80, 24), (120, 40)
BOTH = pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=lambda size: f"{size[0]}x{size[1]}")
NOTE = AnswerNote(
    model="smollm2 · nf4", tokens=46, prompt_tokens=31, ttft=0.085, seconds=1.585, stop_reason="end"
)
WORDS = (
    ("The", 0.31), (" sky", 0.98), (" looks", 0.62), (" **blue**", 0.44), (" because", 0.91),
    (" air", 0.27), (" scatters", 0.83), (" short", 0.58), (" waves", 0.39), (" most", 0.51),
    (":\n\n", 0.33), ("1.", 0.7), (" blue", 0.66), (" light", 0.95), ("\n2.", 0.88),
    (" violet", 0.47), (" light", 0.99),
)  # fmt: skip


@pytest.fixture(autouse=True)
def kept(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation of last year with an answer in two ways, in a folder of the test's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(conversation_table, "_when", lambda _: "2025-06-01 09:30")
    monkeypatch.setattr(conversations, "is_alive", lambda _: False)
    store = ConversationStore.open(paths.data_dir() / "conversations.sqlite")
    spec = LlmSpec(ref="smollm2", quantization="nf4")
    number = store.create("Why is the sky blue?", spec, Sampling(), "Be brief.")
    asked = store.add(number, None, "user", "Why is the sky blue?")
    store.add(number, asked, "assistant", "It is not.", NOTE)
    answer = store.begin_answer(number, asked)
    for at, (text, share) in enumerate(WORDS):
        others = (Alternative(at, text, share), Alternative(900 + at, " other", (1 - share) / 2))
        store.append(answer, [Token(at, text, text, share, 2 * (1 - share), others)])
    store.finish(answer, NOTE)
    store.close()


async def opened(pilot: Pilot[None]) -> None:
    """The conversation, through the history."""
    screen = pilot.app.screen
    assert isinstance(screen, ChatScreen)
    await settled(pilot, lambda: screen.talk is not None and screen.talk.composer.has_focus)
    await pilot.press("f4", "f4", "f4", "f4")
    await settled(pilot, lambda: len(screen.query_one("#history-grid", DataGrid).source) == 1)
    await settled(pilot, lambda: screen.query_one("#history-grid").has_focus)


async def talked(pilot: Pilot[None]) -> None:
    """Back on Talk."""
    await opened(pilot)
    await pilot.press("enter")
    await settled(pilot, lambda: "violet" in shown(pilot.app))


async def whole(pilot: Pilot[None]) -> None:
    await settled(pilot, lambda: "· ram" in shown(pilot.app) and "engine warm" in shown(pilot.app))
    await quiet(pilot)


def picture(snap_compare: Compare, studio: Studio, size: tuple[int, int], steps: Steps) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await steps(pilot)
        await whole(pilot)

    assert snap_compare(studio(mode="chat"), terminal_size=size, run_before=before)


@BOTH
def test_nothing_said_yet(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await settled(pilot, lambda: "Nothing was said yet" in shown(pilot.app))

    picture(snap_compare, studio, size, steps)


@BOTH
def test_a_conversation(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    picture(snap_compare, studio, size, talked)


@BOTH
def test_tokens(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await talked(pilot)
        await pilot.press("alt+t", "down", "down")
        await settled(pilot, lambda: "perplexity" in shown(pilot.app))

    picture(snap_compare, studio, size, steps)


@BOTH
def test_history(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    picture(snap_compare, studio, size, opened)


@BOTH
def test_lab(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await pilot.press("f3")
        page = pilot.app.screen.query_one(LabPage)
        for result in (
            WayResult(way="float32", size=538_100_000, load_s=0.5, tokens_per_s=28.6,
                      ttft_s=0.085, memory=953_000_000, perplexity=46.3, sample="The seasons"),
            WayResult(way="nf4", size=109_800_000, load_s=3.5, tokens_per_s=31.6, ttft_s=0.123,
                      memory=648_000_000, perplexity=53.0, kl=0.2542, agreement=0.64,
                      sample="The seasons are"),
            WayResult(way="fp4", error="Memory ran out with smollm2."),
        ):  # fmt: skip
            page._add(result)

    picture(snap_compare, studio, size, steps)
