"""The tutorial is true: every row's keys are pressed, and what it promises is looked for.

Each section is one session in the real application, with real engines, models, runs and commands.
The Spanish tutorial has the same rows and keys, so that it is true as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from keys import (
    TUTORIALS,
    Command,
    Fill,
    GoTo,
    Press,
    Section,
    Type,
    Unreadable,
    actions,
    read,
)
from walk import SIZE, Walk, flat

from pilot_app import BackgroundEngine, settled
from run_fixtures import end_runs
from screen_fixtures import MakeApp

_ = end_runs  # a fixture

SECTIONS = read(TUTORIALS["en"].read_text("utf-8"))


@pytest.mark.parametrize("section", SECTIONS, ids=[section.title for section in SECTIONS])
@pytest.mark.usefixtures("end_runs")
@pytest.mark.timeout(900)  # a machine under load is slow; what never comes is said by the walk
async def test_every_row_shows_what_it_says(
    section: Section,
    make_app: MakeApp,
    background_engine: BackgroundEngine,
    walk_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(walk_folder)
    for name, text in section.files.items():
        (walk_folder / name).write_text(text, "utf-8")
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        walk = Walk(pilot, walk_folder)
        await settled(pilot, lambda: "engine warm" in walk.screen, "the first screen")
        for row in section.rows:
            await walk.row(row)


def test_nothing_that_is_expected_is_only_what_was_typed() -> None:
    for section in SECTIONS:
        for row in section.rows:
            typed = [flat(one.text) for one in row.actions if isinstance(one, Type)]
            typed += [flat(one.value) for one in row.actions if isinstance(one, Fill)]
            for wanted in row.expected:
                assert not any(flat(wanted) in one for one in typed), (row.line, wanted)


def test_every_section_begins_on_a_screen() -> None:
    """A section can be walked alone: its first row says where."""
    for section in SECTIONS:
        first = next(action for row in section.rows for action in row.actions)
        number = isinstance(first, Press) and first.key.startswith("alt+") and first.key[4:]
        assert isinstance(first, Command) or (number and number.isdecimal()), section.title


def test_the_spanish_tutorial_has_the_same_rows_and_keys() -> None:
    text = TUTORIALS["es"].read_text("utf-8")
    assert "TODO" not in text
    spanish = read(text, "es")
    assert len(spanish) == len(SECTIONS)
    for one, other in zip(SECTIONS, spanish, strict=True):
        assert one.outline == other.outline, other.title
        assert one.files == other.files, other.title
        assert [row.actions for row in one.rows] == [row.actions for row in other.rows]
        for mine, theirs in zip(one.rows, other.rows, strict=True):
            assert sorted(mine.expected) == sorted(theirs.expected), (mine.line, theirs.line)


@pytest.mark.parametrize(
    ("cell", "done"),
    [
        ("`Alt+5`", (Press("alt+5"),)),
        ("`F4` ×3, `↓`, `Shift+Tab`", (Press("f4", 3), Press("down"), Press("shift+tab"))),
        ("tab `Steps`, row `[CLS]`", (GoTo("tab", "Steps"), GoTo("row", "[CLS]"))),
        ("`r` = `8`, `eval` = ` `", (Fill("r", "8"), Fill("eval", ""))),
        ("to `Text`, type `a, b`", (GoTo("to", "Text"), Type("a, b"))),
        ("`o`, `+`", (Press("o"), Press("plus"))),
        ("`$ hfterm tokenize minilm 'a b'`", (Command(("hfterm", "tokenize", "minilm", "a b")),)),
        ("–", ()),
    ],
)
def test_the_grammar(cell: str, done: tuple[object, ...]) -> None:
    assert actions(cell) == done


@pytest.mark.parametrize(
    "cell",
    ["Alt+5", "`Alt+5` `F4`", "`Alt+5`; `F4`", "`F13`", "`Hyper+a`", "`Oops`", "press `F4`",
     "`F4` x3", "`$ hfterm keys`, `F4`", ""],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused(cell: str) -> None:
    if not cell:
        with pytest.raises(Unreadable, match="line 4"):
            read("## A\n| a | b | c |\n|---|---|---|\n| step | `F4` | nothing |\n")
        return
    with pytest.raises(Unreadable):
        actions(cell)
