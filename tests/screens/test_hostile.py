"""Text, vocabulary, names and errors that attack the terminal or Textual's markup: nothing acts.

What is looked at is everything the application writes to the terminal: after Textual's own
sequences (colours, cursor moves, synchronized output) are taken out, no control may be left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.drivers import headless_driver
from textual.widgets import Input

from corpus import HOSTILE
from hfterm import paths
from hfterm.errors import HftermError
from hfterm.screens.tokenize.pages import PAGES
from hfterm.text import FORBIDDEN
from hfterm.widgets.modals import CodeModal, ModelPicker, Prompt
from pilot_app import (
    go_to,
    grid,
    notice,
    page,
    ready,
    rows,
    settled,
    shown,
    toasts,
    tokenize_screen,
)
from screen_fixtures import MakeApp

OWN = re.compile(
    r"\x1b\[[0-9;:]*m"  # colours
    r"|\x1b\[\d+;\d+H"  # cursor
    r"|\x1b\[\?2026[hl]"  # synchronized output
    r"|\x1b\]22;[a-z-]+\x07"  # shape of the mouse pointer
)
CONTROLS = re.compile("[" + "".join(re.escape(chr(code)) for code in FORBIDDEN) + "]")
ALL = " ".join(HOSTILE.values())
HEADLESS = headless_driver.HeadlessDriver


class Tap(HEADLESS):
    """A terminal that keeps what is written to it."""

    written: list[str]

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.written = []

    @property
    def is_headless(self) -> bool:
        """False, or the application would not draw."""
        return False

    def write(self, data: str) -> None:
        """Keep it."""
        self.written.append(data)


@pytest.fixture(autouse=True)
def tapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run apps on the terminal that keeps."""
    monkeypatch.setattr(headless_driver, "HeadlessDriver", Tap)
    yield


def attacks(app: object) -> list[str]:
    """What of the written bytes is no sequence of Textual's own, with what stands around it."""
    assert isinstance(app._driver, Tap)
    assert app._driver.written
    left = OWN.sub("", "".join(app._driver.written))
    return [repr(left[max(0, m.start() - 20) : m.end() + 20]) for m in CONTROLS.finditer(left)]


def links(app: object) -> list[object]:
    """Actions that a click on anything drawn would run, beside Textual's own."""
    return [
        segment.style.meta["@click"]
        for strip in app.screen._compositor.render_strips()
        for segment in strip
        if segment.style is not None and "@click" in segment.style.meta
    ]


def check(app: object) -> None:
    """Nothing came through, nothing can be clicked, the application lives."""
    assert not attacks(app)
    assert not links(app)
    assert app.is_running
    assert app.return_code is None


def test_the_tap_would_see_an_attack() -> None:
    for name, text in HOSTILE.items():
        if not name.startswith("markup"):
            assert CONTROLS.search(OWN.sub("", text)), name


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=["80x24", "200x50"])
async def test_every_tab(make_app: MakeApp, zoo: dict[str, Path], size: tuple[int, int]) -> None:
    app = make_app(zoo["hostile"], ALL)
    async with app.run_test(size=size, notifications=True) as pilot:
        await ready(pilot)
        found = {str(row["token"]) for row in rows(app)}
        assert any("\x1b" in token for token in found), "the attack is in the table"
        grid(app).focus()
        for _ in range(len(grid(app).source)):
            await pilot.press("down")
        await pilot.press("home")
        check(app)
        for entry in PAGES:
            await go_to(pilot, entry.title)
            await settled(pilot, lambda: not page(app).busy)
            await pilot.press("tab", "tab", "end")
            check(app)
            assert "MarkupError" not in shown(app)
        assert not [toast for toast in toasts(app) if "fault" in toast]


@pytest.mark.parametrize("name", HOSTILE)
async def test_markup_is_shown_as_it_is_written(make_app: MakeApp, name: str) -> None:
    """One attack at a time, with a tokenizer that keeps the brackets; a click changes nothing."""
    text = HOSTILE[name]
    app = make_app(text=text)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        if name.startswith("markup"):
            assert text in shown(app)
        for x in (5, 20):
            await pilot.click("#text", offset=(x, 0))
            await pilot.click("#strip", offset=(x, 0))
        check(app)


@pytest.mark.parametrize("title", ["Batch", "Template", "Vocabulary", "Compare", "Audit", "Train"])
async def test_hostile_text_in_a_tab_s_own_fields(
    make_app: MakeApp, zoo: dict[str, Path], title: str
) -> None:
    app = make_app(zoo["hostile"], "x")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await ready(pilot)
        await go_to(pilot, title)
        for field in page(app).query(Input):
            field.value = ALL
            field.focus()
            await pilot.press("enter")
            await settled(pilot, lambda: not page(app).busy)
            check(app)
        for editor in page(app).query("TextEditor"):
            editor.text = f"user: {ALL}\n{ALL} ||| {ALL}"
            await settled(pilot, lambda: not page(app).busy)
            check(app)


async def test_names_of_models_and_files(make_app: MakeApp, tmp_path: Path) -> None:
    """Errors, titles and borders name what was asked for."""
    app = make_app(text="the fox")
    evil = (
        f"./{HOSTILE['markup action']}{HOSTILE['title']}{HOSTILE['c1']}{HOSTILE['bidi override']}"
    )
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await settled(pilot, lambda: isinstance(app.screen, ModelPicker))
        app.screen.query_one("#picker-name", Input).value = evil
        await pilot.pause()
        check(app)
        await pilot.press("enter")
        await settled(pilot, lambda: notice(app))
        check(app)
        assert "[@click=app.quit]" in shown(app)
        named = tmp_path / "\x1b[2J[red]\u202efile.txt"
        named.write_text("the fox")
        await pilot.press("f7")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        app.screen.query_one(Input).value = str(named)
        await pilot.press("enter")
        await settled(pilot, lambda: tokenize_screen(app).subject.path == str(named))
        await ready(pilot)
        check(app)
        await pilot.press("f2")
        await settled(pilot, lambda: isinstance(app.screen, CodeModal))
        check(app)


async def test_models_in_the_picker_and_the_title(
    make_app: MakeApp, zoo: dict[str, Path], tmp_path: Path
) -> None:
    """A folder whose name attacks, opened: its name stands in the line on top."""
    folder = tmp_path / "[red]\x1b]0;owned\x07[@click=app.quit]"
    folder.mkdir()
    for file in zoo["characters"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    app = make_app(folder, "fox")
    async with app.run_test(size=(160, 40)) as pilot:
        await ready(pilot)
        assert "[@click=app.quit]" in shown(app).split("\n")[0]
        await go_to(pilot, "Config")
        await settled(pilot, lambda: "[red]" in shown(app))
        check(app)


async def test_toasts(make_app: MakeApp) -> None:
    app = make_app(problems=[f"settings line 1: {text}" for text in HOSTILE.values()])
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await ready(pilot)
        assert len(toasts(app)) == len(HOSTILE)
        assert "[@click=app.quit]" in shown(app)
        for y, line in enumerate(shown(app).split("\n")):
            if "click" in line:
                await pilot.click(offset=(line.index("click"), y))
        check(app)


async def test_errors_of_the_engine(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(text="fox")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await ready(pilot)

        async def refuse(request: object, on_progress: object = None) -> object:
            raise HftermError("test", ALL, ALL)

        monkeypatch.setattr(app.engine, "call", refuse)
        await pilot.press("x")
        await settled(pilot, lambda: notice(app))
        check(app)

        async def fail(request: object, on_progress: object = None) -> object:
            raise ValueError(ALL)

        monkeypatch.setattr(app.engine, "call", fail)
        await pilot.press("y")
        await settled(pilot, lambda: toasts(app))
        check(app)
        (paths.logs_dir() / "faults.log").unlink()


async def test_log(make_app: MakeApp) -> None:
    app = make_app(text="fox")
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        app.engine.log_file.parent.mkdir(parents=True, exist_ok=True)
        app.engine.log_file.write_text("\n".join(HOSTILE.values()))
        await pilot.press("f8")
        await settled(pilot, lambda: "[@click=app.quit]" in shown(app))
        check(app)
