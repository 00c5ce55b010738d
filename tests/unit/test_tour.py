"""The tour: ten lines, each of which fits a narrow window, and names keys that exist."""

from __future__ import annotations

import re

from hfterm.app import HftermApp
from hfterm.screens.tour import LINES, Tour


def test_ten_lines_one_after_the_other_and_then_none() -> None:
    tour = Tour(offered=True)
    assert tour.offer
    assert not tour.line, "it takes no room before it is asked for"
    seen: list[str] = []
    tour.next()
    while tour.line:
        seen.append(tour.line)
        tour.next()
    assert [line.partition("  ")[2] for line in seen] == list(LINES)
    assert [line.partition("  ")[0] for line in seen] == [f"{n}/10" for n in range(1, 11)]
    assert not tour.offer
    tour.next()
    assert tour.line == seen[0], "it can be seen again"


def test_it_can_be_skipped() -> None:
    tour = Tour(offered=True)
    tour.next()
    tour.skip()
    assert not tour.line
    assert not tour.offer
    assert not Tour(offered=False).offer


def test_every_key_of_it_exists() -> None:
    keys = {key for binding in HftermApp.every_binding() for key in binding.key.split(",")}
    named = {
        name.lower().replace("alt+", "alt+")
        for line in LINES
        for name in re.findall(r"\b(?:F\d|(?:Ctrl|Alt)\+\w)", line)
    }
    assert len(named) > 12
    assert named <= keys
