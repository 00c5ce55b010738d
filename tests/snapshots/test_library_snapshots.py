"""Pictures of the Library screen. `--snapshot-update` takes them anew.

What is on a box, when it was read and how much is free differ between machines, so the things are
made up; the rows of the data set are the starter kit's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from hfterm.library.types import Library, LibraryItem
from hfterm.screens.library.screen import LibraryScreen
from hfterm.screens.library.things import ThingsPage
from hfterm.widgets import library_tables
from pilot_app import quiet, settled, shown

Compare = Callable[..., bool]
Steps = Callable[[Pilot[None]], Awaitable[None]]
Studio = Callable[..., object]

SMALL, MIDDLE = (80, 24), (120, 40)
BOTH = pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=lambda size: f"{size[0]}x{size[1]}")

THINGS = [
    LibraryItem(
        ref="smollm2", kind="model", place="starter kit", path="/kit/smollm2",
        what="LlamaForCausalLM", parameters=134_515_008, dtype="F32", licence="Apache-2.0",
        size=541_615_112, used=5.0, screens=("chat", "models"),
    ),
    LibraryItem(
        ref="google-bert/bert-base-uncased", kind="model", place="hub cache", path="/hub/bert",
        what="BertForMaskedLM", parameters=110_106_428, dtype="F32", licence="apache-2.0",
        size=881_000_000, revision="86b5e0934494bd15c9632b12f734a8a67f723594", revisions=2,
        used=4.0, screens=("models",), deletable=True,
    ),
    LibraryItem(
        ref="lab/old-checkpoint", kind="model", place="hub cache", path="/hub/old",
        what="GPT2LMHeadModel", size=548_000_000, revision="0" * 40, used=3.0,
        pickles=("pytorch_model.bin",), screens=("chat",), deletable=True,
    ),
    LibraryItem(
        ref="lab/broken-off", kind="model", place="hub cache", path="/hub/cut", size=31_457_280,
        used=2.0, problem="a download was broken off", deletable=True,
    ),
    LibraryItem(
        ref="/runs/1-reviews-lora/model", kind="adapter", place="run",
        path="/runs/1-reviews-lora/model", what="LoRA of minilm", parameters=75_266, dtype="F32",
        size=305_112, used=1.0, screens=("predict", "models"),
    ),
]  # fmt: skip


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same things on every machine, and however often the tab looks."""

    async def look(page: ThingsPage) -> None:
        page.library = Library(THINGS, 74_400_000_000, 31_457_280, [])
        page._show()

    monkeypatch.setattr(ThingsPage, "_look", look)
    monkeypatch.setattr(library_tables, "day", lambda seconds: "2025-06-01" if seconds else "")


async def listed(pilot: Pilot[None]) -> None:
    """The made-up things, with the cursor on the one of the hub cache."""
    screen = pilot.app.screen
    assert isinstance(screen, LibraryScreen)
    await settled(pilot, lambda: "things ·" in shown(pilot.app))
    await settled(pilot, lambda: "broken-off" in shown(pilot.app))
    await pilot.press("home", "down")
    await quiet(pilot)


async def rows(pilot: Pilot[None]) -> None:
    """The film reviews, with their columns."""
    await listed(pilot)
    await pilot.press("f4", "f4")
    await settled(pilot, lambda: pilot.app.screen.query_one("#rows-source").has_focus)
    await pilot.press(*"reviews", "enter")
    await settled(pilot, lambda: "rows 1 to 500" in shown(pilot.app))
    await pilot.press("alt+c")
    await settled(pilot, lambda: "10,605" in shown(pilot.app))
    await quiet(pilot)


async def download(pilot: Pilot[None]) -> None:
    """An id that is none."""
    await listed(pilot)
    await pilot.press("f3")
    await settled(pilot, lambda: pilot.app.screen.query_one("#download-ref").has_focus)
    await pilot.press(*"no id", "enter")
    await settled(pilot, lambda: "is no hub id" in shown(pilot.app))
    await quiet(pilot)


@BOTH
@pytest.mark.parametrize("steps", [listed, rows, download], ids=lambda steps: steps.__name__)
def test_tabs(snap_compare: Compare, studio: Studio, steps: Steps, size: tuple[int, int]) -> None:
    assert snap_compare(studio(mode="library"), terminal_size=size, run_before=steps)
