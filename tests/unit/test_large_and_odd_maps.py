"""Heat maps that are too lively, too large or no numbers, and keys that come too quickly."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from rich.color import ColorSystem
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.key_order import KeysInOrder
from hfterm.widgets.ramps import NAN
from waiting import until


class Bench(App[None]):
    """A map in true colours."""

    CSS = "Screen { overflow: hidden; }"

    def __init__(self, heat: Heatmap) -> None:
        super().__init__()
        self.console._color_system = ColorSystem.TRUECOLOR  # pyright: ignore[reportPrivateUsage]
        self.heat = heat

    def compose(self) -> ComposeResult:
        yield self.heat


@asynccontextmanager
async def bench(heat: Heatmap, size: tuple[int, int]) -> AsyncGenerator[Pilot[None]]:
    async with Bench(heat).run_test(size=size) as pilot:
        heat.styles.width, heat.styles.height = size
        heat.focus()
        await pilot.pause()
        yield pilot


def lines(heat: Heatmap) -> list[str]:
    return [
        "".join(segment.text for segment in heat.render_line(y)) for y in range(heat.size.height)
    ]


def noise(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(3).random((rows, columns), np.float32)


def names(count: int) -> list[str]:
    return [f"t{index}" for index in range(count)]


async def test_a_picture_too_large_for_a_slow_line_has_fewer_shades_and_says_so() -> None:
    heat = Heatmap()
    heat.set_map(noise(120, 160), names(120), names(160))
    async with bench(heat, (180, 70)) as pilot:
        assert "shades" in lines(heat)[-1]
        heat.set_map(np.full((120, 160), 0.5, np.float32), names(120), names(160))
        await pilot.pause()
        assert "shades" not in lines(heat)[-1]


async def test_two_rows_in_a_line_of_which_one_is_no_number_are_marked() -> None:
    weights = noise(60, 60)
    weights[31, 7] = np.nan
    weights[40] = np.nan
    heat = Heatmap()
    heat.set_map(weights, names(60), names(60))
    async with bench(heat, (90, 36)) as pilot:
        shown = lines(heat)
        assert any(NAN in line for line in shown[:-1])
        assert f"{NAN} not a number: 61" in shown[-1]
        heat.go_to(40, 3)
        await pilot.pause()
        assert np.isnan(heat.weight)


@pytest.mark.parametrize("size", [(12, 4), (30, 9), (70, 30)])
async def test_a_difference_that_is_zoomed_and_panned_has_both_ends_in_its_legend(
    size: tuple[int, int],
) -> None:
    heat = Heatmap()
    heat.set_map(noise(90, 90) - 0.5, names(90), names(90), signed=True)
    async with bench(heat, size) as pilot:
        for keys in (["plus"] * 3, ["greater_than_sign", "end"], ["minus"] * 8, ["w"]):
            await pilot.press(*keys)
            assert all(len(line) == size[0] for line in lines(heat))
        if size[1] >= 30:
            assert "−0.5" in lines(heat)[-1]
            assert "+0.5" in lines(heat)[-1]


class Typed(KeysInOrder):
    """A field, and a key that takes its time."""

    BINDINGS = [("f12", "slow", "Slow")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield Input()

    async def action_slow(self) -> None:
        field = self.query_one(Input)
        field.value += "["
        self.call_later(setattr, field, "cursor_position", 99)


async def test_keys_that_come_while_one_is_handled_are_handled_in_order() -> None:
    app = Typed()
    async with app.run_test():
        field = app.query_one(Input)
        for key in ("a", "b", "f12", "c", "d", "backspace", "e"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        app.post_message(events.Paste("pasted"))
        await until(lambda: field.value.endswith("pasted"), "the last of them")
        assert field.value == "ab[cepasted"
        assert not app._held
