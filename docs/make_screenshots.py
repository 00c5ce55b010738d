"""Export the pictures of the README and the guide from the running application.

    python docs/make_screenshots.py                     # all of them
    python docs/make_screenshots.py tokenize library    # some
    python docs/make_screenshots.py --check [NAME …]    # say which are stale, and write nothing

Needs the starter kit (`hfterm starter`). Nothing is drawn: each picture is what Textual
exports of the real screen, with real tokens from a real engine process. What would differ from
one time to the next is held still (`steady`), so that a picture changes only when the application
does; `--check` compares the words of all lines, figures left out, since a processor may round in
another way. `recorded_run` is a real run, so that its picture needs no minutes of training.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ["COLORTERM"] = "truecolor"
os.environ["OMP_NUM_THREADS"] = "1"  # sums of floats in one order

from picture_text import difference, lines_of
from steady import hold_still, make_home
from textual.css.query import NoMatches
from textual.pilot import Pilot
from textual.widgets import Static

from hfterm import paths
from hfterm.app import HftermApp
from hfterm.chat.types import Sampling
from hfterm.engine.requests import OpenTokenizer
from hfterm.screens.attention.desk import AttentionDesk
from hfterm.screens.chat.screen import ChatScreen
from hfterm.screens.start import StartOptions
from hfterm.screens.tokenize.screen import TokenizeScreen
from hfterm.widgets.chart_board import ChartBoard
from hfterm.widgets.composer import Composer
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.heatmap import Heatmap

HERE = Path(__file__).parent
RUN = HERE / "recorded_run"
MOST_SECONDS = 300
"""That a condition may take, on a machine that has other things to do."""

Take = Callable[[str], None]


@dataclass(frozen=True)
class Sitting:
    """An application that sits for some pictures.

    Attributes:
        pictures: their names.
        mode: the screen it opens.
        size: columns and rows.
        pose: brings it there, and takes them.
        start: what it begins with.
    """

    pictures: tuple[str, ...]
    mode: str
    size: tuple[int, int]
    pose: Callable[[Pilot[None], Take], Awaitable[None]]
    start: StartOptions | None = None


async def _tokenize(pilot: Pilot[None], take: Take) -> None:
    screen = _workbench(pilot)
    assert isinstance(screen, TokenizeScreen)
    await _until(pilot, lambda: screen.subject.info is not None)
    await pilot.press("tab", "tab", "tab", *["down"] * 4)
    await _still(pilot)
    take("tokenize")


async def _models(pilot: Pilot[None], take: Take) -> None:
    await _until(pilot, lambda: _rows(pilot, "classes-grid") > 0)
    pilot.app.screen.query_one("#classes-grid", DataGrid).focus()
    await pilot.press("down", "down")
    await _still(pilot)
    take("models")
    await pilot.press("alt+o")
    await _until(pilot, lambda: pilot.app.screen is not _workbench(pilot))
    await _still(pilot)
    take("open-in")


async def _predict(pilot: Pilot[None], take: Take) -> None:
    await _until(pilot, lambda: bool(pilot.app.screen.query("#task-label")))
    await pilot.press("f5")
    await _until(pilot, lambda: _rows(pilot, "result-grid") > 0)
    pilot.app.screen.query_one("#task-gradients", Choice).action_step(1)
    pilot.app.screen.query_one("#task-label", Choice).action_step(2)
    await _until(pilot, lambda: pilot.app.screen.query_one("#result-second").display)
    await _still(pilot)
    take("predict")


async def _attention(pilot: Pilot[None], take: Take) -> None:
    await _until(pilot, lambda: pilot.app.screen.query_one(AttentionDesk).page is not None)
    await pilot.press("f5")
    await _until(pilot, lambda: pilot.app.screen.query_one(Heatmap).weight >= 0)
    await pilot.press("escape", *["down"] * 14, *["right"] * 3)
    await pilot.press("enter", "end", "pagedown")
    await _still(pilot)
    take("attention")


async def _train(pilot: Pilot[None], take: Take) -> None:
    """The Monitor of the recorded run, and the form when it has been checked."""
    app = _app(pilot)
    await _until(pilot, lambda: bool(app.run_watch.runs))
    await pilot.press("f6")
    await _until(pilot, lambda: _rows(pilot, "runs-grid") > 0)
    await pilot.press("enter")
    await _until(pilot, lambda: bool(app.screen.query_one(ChartBoard).charts))
    await pilot.press("z", "b", "b")
    await _still(pilot)
    take("train")
    await pilot.press("f4", "f4")
    await _until(pilot, lambda: bool(app.screen.query("#new-cost")))
    await pilot.press("f5")
    await _until(pilot, lambda: "trained" in _words(pilot, "new-cost"))
    await _until(pilot, lambda: _rows(pilot, "new-rows") > 0)
    await _still(pilot)
    take("train-new")


async def _chat(pilot: Pilot[None], take: Take) -> None:
    """Two questions and their answers, and the tokens of the second."""
    await _until(pilot, lambda: pilot.app.screen.query_one(Composer).has_focus)
    screen = _workbench(pilot)
    assert isinstance(screen, ChatScreen)
    assert screen.session is not None
    assert screen.talk is not None
    session, talk = screen.session, screen.talk
    session.sampling = Sampling(temperature=0, max_new_tokens=200)
    await talk.show()
    for number, question in enumerate(("What is the capital of France?", QUESTION), 1):
        talk.composer.put(question)
        await pilot.press("enter")
        await _until(pilot, lambda count=2 * number: len(session.path()) == count and not talk.busy)
    await _still(pilot)
    take("chat")
    await pilot.press("alt+t")
    await _until(pilot, lambda: _rows(pilot, "tokens-grid") > 0)
    await _still(pilot)
    take("chat-tokens")


QUESTION = "List the steps to make a cup of tea."


async def _library(pilot: Pilot[None], take: Take) -> None:
    await _until(pilot, lambda: _rows(pilot, "library-grid") > 0)
    pilot.app.screen.query_one("#library-grid", DataGrid).focus()
    await _still(pilot)
    take("library")


FRANCE = "The capital of France is Paris, and the capital of Spain is"
SMALL, LARGE = (110, 32), (120, 40)
SITTINGS = (
    Sitting(("tokenize",), "tokenize", SMALL, _tokenize),
    Sitting(("models", "open-in"), "models", SMALL, _models),
    Sitting(("predict",), "predict", SMALL, _predict),
    Sitting(("attention",), "attention", LARGE, _attention, StartOptions("smollm2", FRANCE)),
    Sitting(("train", "train-new"), "train", LARGE, _train),
    Sitting(("chat", "chat-tokens"), "chat", LARGE, _chat),
    Sitting(("library",), "library", LARGE, _library),
)


def _app(pilot: Pilot[None]) -> HftermApp:
    assert isinstance(pilot.app, HftermApp)
    return pilot.app


def _workbench(pilot: Pilot[None]) -> object:
    return _app(pilot).workbench


def _rows(pilot: Pilot[None], grid: str) -> int:
    return len(pilot.app.screen.query_one(f"#{grid}", DataGrid).source)


def _words(pilot: Pilot[None], name: str) -> str:
    return str(pilot.app.screen.query_one(f"#{name}", Static).content)


async def _until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        await pilot.pause(0.1)
        try:
            if condition():
                return
        except NoMatches:
            pass
        if time.monotonic() > deadline:
            shown = "\n".join(lines_of(pilot.app.export_screenshot()))
            raise SystemExit(f"What the picture waits for did not come. On screen:\n{shown}")


async def _still(pilot: Pilot[None]) -> None:
    """Wait until nothing is under way, and the picture stays."""
    last, same = "", 0

    def unchanged() -> bool:
        nonlocal last, same
        now = pilot.app.export_screenshot()
        words = "\n".join(lines_of(now))
        at_work = "Esc stops" in words or "loading" in words or "· ram" not in words
        same = same + 1 if now == last and not at_work else 0
        last = now
        return same >= 10

    await _until(pilot, unchanged)


async def _sit(sitting: Sitting, take: Callable[[str, str], None]) -> None:
    app = HftermApp(start=sitting.start, mode=sitting.mode)
    async with app.run_test(size=sitting.size) as pilot:
        await _until(pilot, lambda: app.workbench is not None and app.workbench.settled)
        await app.engine.call(OpenTokenizer(ref="minilm"))  # it says the same on every screen
        await _until(pilot, lambda: app.engine.status.phase == "warm")
        await sitting.pose(pilot, lambda name: take(name, app.export_screenshot()))


def main() -> int:
    """Take pictures, or compare them with those that are there."""
    names = [name for sitting in SITTINGS for name in sitting.pictures]
    parser = argparse.ArgumentParser(description="Export the pictures of the documentation.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--check", action="store_true", help="only say which are stale")
    wanted = parser.parse_args()
    unknown = set(wanted.names) - set(names)
    if unknown:
        parser.error(f"no picture is called {', '.join(sorted(unknown))}: {', '.join(names)}")
    stale: list[str] = []

    def take(name: str, svg: str) -> None:
        file = HERE / f"{name}.svg"
        if wanted.names and name not in wanted.names:
            return
        if not wanted.check:
            file.write_text(svg, encoding="utf-8")
            print(file.name, flush=True)
            return
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        changed = difference(old, svg)
        print(f"{file.name}: {changed or 'as it is'}", flush=True)
        if changed:
            stale.append(name)

    kit = paths.starter_dir().absolute()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        make_home(Path(home), kit)
        shutil.copytree(RUN, paths.runs_dir() / RUN_NAME)
        hold_still()
        for sitting in SITTINGS:
            if not wanted.names or set(wanted.names) & set(sitting.pictures):
                asyncio.run(_sit(sitting, take))
    if stale:
        print(f"Take them anew: python docs/make_screenshots.py {' '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


RUN_NAME = "20261127-130829-reviews-lora"

if __name__ == "__main__":
    sys.exit(main())
