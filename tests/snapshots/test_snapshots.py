"""Pictures of every view. `pytest tests/snapshots --snapshot-update` takes them anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from hfterm.screens.tokenize.pages import PAGES
from hfterm.widgets.modals import ModelPicker
from hfterm.widgets.starter_offer import StarterOffer
from hfterm.widgets.text_editor import TextEditor
from pilot_app import go_to, grid, notice, page, quiet, ready, settled, shown, tokenize_screen

Compare = Callable[..., bool]
Steps = Callable[[Pilot[None]], Awaitable[None]]

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 50)


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


async def at_rest(pilot: Pilot[None]) -> None:
    """The verified table, a warm engine, the machine's load."""
    await ready(pilot)
    await settled(pilot, lambda: "· ram" in shown(pilot.app) and "engine warm" in shown(pilot.app))


def wrapped(pilot: Pilot[None]) -> bool:
    """Whether each editor of the page has heard of its width; on a busy machine that comes late."""
    editors = page(pilot.app).query(TextEditor)
    return all(editor.wrapped_document._width == editor.wrap_width > 0 for editor in editors)


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE], ids=named)
def test_table(snap_compare: Compare, studio: Callable[..., object], size: tuple[int, int]) -> None:
    assert snap_compare(studio(), terminal_size=size, run_before=at_rest)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=named)
@pytest.mark.parametrize("colors", ["256", "16", "none"])
def test_colors(
    snap_compare: Compare, studio: Callable[..., object], colors: str, size: tuple[int, int]
) -> None:
    async def row(pilot: Pilot[None]) -> None:
        await at_rest(pilot)
        grid(pilot.app).focus()
        await pilot.press("home", "down", "down", "down")
        await settled(pilot, lambda: grid(pilot.app).cursor_row == 3)

    assert snap_compare(studio(colors=colors), terminal_size=size, run_before=row)


SHOWN = {
    "Steps": "AddedVocabulary",
    "Batch": "attention_mask ",
    "Vocabulary": "[unused0]",
    "Template": "<|im_start|>assistant",
    "Compare": "spans cut differently",
    "Config": "model_max_length",
    "Train": "compared with the one that is open",
    "Audit": "Unknown tokens",
}


TABS = [(entry.title, size) for entry in PAGES[1:] for size in (SMALL, MIDDLE)]


@pytest.mark.parametrize(
    ("title", "size"), TABS, ids=[f"{title}-{named(size)}" for title, size in TABS]
)
def test_tab(
    snap_compare: Compare, studio: Callable[..., object], title: str, size: tuple[int, int]
) -> None:
    async def open_tab(pilot: Pilot[None]) -> None:
        await at_rest(pilot)
        for _ in PAGES:
            if page(pilot.app).id == f"page-{title}":
                break
            number = [entry.title for entry in PAGES].index(title)
            tokenize_screen(pilot.app).action_go_to_tab(number)
            await settled(pilot, lambda: page(pilot.app).id == f"page-{title}")
        # a page is idle also before it has asked: what it shows in the end is waited for as well
        await settled(pilot, lambda: SHOWN[title] in shown(pilot.app))
        await settled(pilot, lambda: not page(pilot.app).busy)
        await settled(pilot, lambda: wrapped(pilot))

    model = "smollm2" if title == "Template" else "minilm"
    assert snap_compare(studio(model), terminal_size=size, run_before=open_tab)


def test_template_of_a_model_without(snap_compare: Compare, studio: Callable[..., object]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await at_rest(pilot)
        tokenize_screen(pilot.app).action_go_to_tab(4)
        await settled(pilot, lambda: "no chat template" in notice(pilot.app))

    assert snap_compare(studio(), run_before=steps)


def test_statistics(snap_compare: Compare, studio: Callable[..., object]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await at_rest(pilot)
        await go_to(pilot, "Audit")
        source = page(pilot.app).query_one("#audit-source", Input)
        source.value = "sms-spam"
        source.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: len(grid(pilot.app, "audit-statistics").source) > 5)
        await settled(pilot, lambda: not page(pilot.app).busy)

    assert snap_compare(studio(), terminal_size=MIDDLE, run_before=steps)


def test_pair(snap_compare: Compare, studio: Callable[..., object]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await at_rest(pilot)
        await pilot.press("alt+p")
        await pilot.press(*"Who are they?")
        await ready(pilot)
        await settled(pilot, lambda: tokenize_screen(pilot.app).subject.pair == "Who are they?")
        await ready(pilot)

    assert snap_compare(studio(), run_before=steps)


MODALS: dict[str, tuple[str, ...]] = {
    "help": ("f1",),
    "code": ("f2",),
    "picker": ("f6",),
    "open": ("f7",),
    "palette": ("ctrl+p",),
    "export": ("ctrl+e",),
    "logs": ("f8",),
}


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
@pytest.mark.parametrize("name", MODALS)
def test_modal(
    snap_compare: Compare, studio: Callable[..., object], name: str, size: tuple[int, int]
) -> None:
    async def open_modal(pilot: Pilot[None]) -> None:
        await at_rest(pilot)
        await pilot.press(*MODALS[name])
        await settled(pilot, lambda: len(pilot.app.screen_stack) == 2)
        if name == "palette":
            await settled(
                pilot, lambda: "Screenshot" in shown(pilot.app) or "Next tab" in shown(pilot.app)
            )
            await quiet(pilot)  # its lines come a few at a time

    assert snap_compare(studio(), terminal_size=size, run_before=open_modal)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_error(snap_compare: Compare, studio: Callable[..., object], size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app = pilot.app
        await at_rest(pilot)
        await pilot.press("f6")
        await settled(pilot, lambda: isinstance(app.screen, ModelPicker))
        app.screen.query_one("#picker-name", Input).value = "minilmm"
        await pilot.press("enter")
        await settled(pilot, lambda: "minilmm" in notice(app))

    assert snap_compare(studio(), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_first_start(
    snap_compare: Compare,
    studio: Callable[..., object],
    size: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app = pilot.app
        await settled(pilot, lambda: app.screen.query_one(StarterOffer).has_focus)
        await settled(pilot, lambda: "· ram" in shown(app) and "engine warm" in shown(app))

    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    assert snap_compare(studio(), terminal_size=size, run_before=steps)


def test_toast(snap_compare: Compare, studio: Callable[..., object]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await at_rest(pilot)
        await pilot.press("f9")
        await settled(pilot, lambda: "Copied" in shown(pilot.app))

    assert snap_compare(studio(), run_before=steps)
