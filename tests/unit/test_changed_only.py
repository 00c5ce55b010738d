"""What is written to the terminal is what is not there already, and nothing else."""

from __future__ import annotations

import inspect

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.strip import Strip

from hfterm.widgets.changed_only import ChangedOnly, _ChangedPieces, _Written

WIDTH, HEIGHT = 12, 3
LINES = st.lists(st.text("ab ", min_size=WIDTH, max_size=WIDTH), min_size=HEIGHT, max_size=HEIGHT)
CUTS = st.lists(st.integers(1, WIDTH - 1), max_size=3, unique=True)


def update(lines: list[str], cuts: list[int], spans: list[tuple[int, int, int]]) -> ChopsUpdate:
    """Lines cut into pieces at `cuts`, of which `spans` are to be drawn."""
    starts = [0, *sorted(cuts)]
    ends = [*sorted(cuts), WIDTH]
    chops = [
        {start: Strip([Segment(line[start:end])]) for start, end in zip(starts, ends, strict=True)}
        for line in lines
    ]
    return ChopsUpdate(chops, spans, [ends] * HEIGHT)


@given(st.lists(st.tuples(LINES, CUTS), min_size=1, max_size=6))
def test_the_terminal_shows_the_same_as_if_all_were_written(
    frames: list[tuple[list[str], list[int]]],
) -> None:
    console, written = Console(color_system=None, width=WIDTH), _Written()
    screen = pyte.Screen(WIDTH, HEIGHT)
    terminal = pyte.Stream(screen)
    whole = [(y, 0, WIDTH) for y in range(HEIGHT)]
    for lines, cuts in frames:
        terminal.feed(_ChangedPieces(update(lines, cuts, whole), written).render_segments(console))
        assert screen.display == lines
        again = _ChangedPieces(update(lines, cuts, whole), written)
        assert again.render_segments(console) == ""


def test_one_line_that_changed_is_all_that_is_written() -> None:
    console, written = Console(color_system=None, width=WIDTH), _Written()
    whole = [(y, 0, WIDTH) for y in range(HEIGHT)]
    _ChangedPieces(update(["a" * WIDTH] * HEIGHT, [], whole), written).render_segments(console)
    lines = ["a" * WIDTH, "b" * WIDTH, "a" * WIDTH]
    text = _ChangedPieces(update(lines, [], whole), written).render_segments(console)
    assert text == f"\x1b[2;1H{'b' * WIDTH}"
    written.clear()
    text = _ChangedPieces(update(lines, [], whole), written).render_segments(console)
    assert text.count("\x1b[") == HEIGHT


def test_textual_still_draws_where_it_is_looked_for() -> None:
    assert list(inspect.signature(App._display).parameters) == ["self", "screen", "renderable"]
    assert ChangedOnly._display is not App._display
