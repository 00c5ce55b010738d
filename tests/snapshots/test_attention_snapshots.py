"""Pictures of the Attention screen. `--snapshot-update` takes them anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from hfterm.screens.attention.desk import AttentionDesk
from hfterm.widgets.heatmap import Heatmap
from pilot_app import notice, settled, shown, tab

Compare = Callable[..., bool]
Studio = Callable[..., object]

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 50)

TITLES = ("Ranking", "Lines", "Hidden", "Lens", "Compare")


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def desk(pilot: Pilot[None]) -> AttentionDesk:
    return pilot.app.screen.query_one(AttentionDesk)


def weight(pilot: Pilot[None], name: str = "heads-map") -> float:
    return pilot.app.screen.query_one(f"#{name}", Heatmap).weight


async def still(pilot: Pilot[None]) -> None:
    """Nothing is under way, and the status line is whole."""
    await settled(pilot, lambda: not desk(pilot).working)
    await settled(pilot, lambda: "Esc stops" not in shown(pilot.app))
    await settled(pilot, lambda: "· ram" in shown(pilot.app) and "engine warm" in shown(pilot.app))


async def looking(pilot: Pilot[None]) -> None:
    """A pass, and its first map."""
    await settled(pilot, lambda: desk(pilot).page is not None)
    await pilot.press("f5")
    await settled(pilot, lambda: weight(pilot) >= 0, "a map")
    await settled(pilot, lambda: "●" in shown(pilot.app), "the model in the status line")
    await still(pilot)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_before_it_ran(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await settled(pilot, lambda: desk(pilot).page is not None)
        await still(pilot)

    assert snap_compare(studio(mode="attention"), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_heads(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looking(pilot)
        await pilot.press("escape", "down", "right", "right")
        await still(pilot)

    assert snap_compare(studio(mode="attention"), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_small_maps_without_specials(
    snap_compare: Compare, studio: Studio, size: tuple[int, int]
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looking(pilot)
        await pilot.press("escape", "v", "x", "enter", "down", "down", "right")
        await still(pilot)

    assert snap_compare(studio(mode="attention"), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
@pytest.mark.parametrize("title", TITLES)
def test_tabs(snap_compare: Compare, studio: Studio, title: str, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looking(pilot)
        pilot.app.screen.query_one("#attention-strip").focus()
        await pilot.press("right", "right", "right")
        await tab(pilot, title)
        if title == "Compare":
            pilot.app.screen.query_one("#other-text", Input).focus()
            pilot.app.screen.query_one(
                "#other-text", Input
            ).value = "The dog sat on the mat because it was tired."
            await pilot.press("enter")
            await settled(pilot, lambda: weight(pilot, "change-map") > -2, "a difference")
        await still(pilot)

    model = "smollm2" if title == "Lens" else "minilm"
    assert snap_compare(studio(model, mode="attention"), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("view", ["positions", "layers", "plane"])
def test_hidden_views(snap_compare: Compare, studio: Studio, view: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looking(pilot)
        await tab(pilot, "Hidden")
        pilot.app.screen.query_one("#hidden-view").focus()
        while pilot.app.screen.query_one("#hidden-view").value != view:
            await pilot.press("right")
        await settled(pilot, lambda: not desk(pilot).working)
        await still(pilot)

    assert snap_compare(studio(mode="attention"), terminal_size=MIDDLE, run_before=steps)


@pytest.mark.parametrize("colors", ["truecolor", "256", "16", "none"])
def test_colors(snap_compare: Compare, studio: Studio, colors: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looking(pilot)
        await pilot.press("escape", "down", "enter", "down", "down")
        await still(pilot)

    app = studio("smollm2", mode="attention", colors=colors)
    assert snap_compare(app, terminal_size=LARGE, run_before=steps)


def test_too_long(snap_compare: Compare, studio: Studio) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await settled(pilot, lambda: desk(pilot).page is not None)
        await pilot.press("f5")
        await settled(pilot, lambda: "positions for 512" in notice(pilot.app))
        await settled(pilot, lambda: "●" in shown(pilot.app), "the model in the status line")
        await still(pilot)

    app = studio("minilm", "word " * 600, mode="attention")
    assert snap_compare(app, terminal_size=SMALL, run_before=steps)
