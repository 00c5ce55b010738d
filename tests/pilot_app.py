"""Run the workbench under Textual's pilot, with a real engine process behind it.

An engine takes seconds to import transformers, so most tests share one: it lives in a thread
with a loop of its own, and every app gets a client that hands its requests over.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest
from textual._context import visible_screen_stack
from textual.css.query import NoMatches
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Tabs

from hfterm.app import HftermApp
from hfterm.engine.client import EngineClient, EngineStatus
from hfterm.engine.protocol import Request
from hfterm.engine.requests import OpenTokenizer
from hfterm.job import Progress
from hfterm.screens.attention.desk import AttentionDesk
from hfterm.screens.tokenize.page import TokenizePage
from hfterm.screens.tokenize.pages import PAGES
from hfterm.screens.tokenize.screen import TokenizeScreen
from hfterm.widgets.data_grid import DataGrid, Value
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.notice import Notice
from waiting import Patience

R = TypeVar("R")

PATIENCE = float(os.environ.get("HFTERM_TEST_PATIENCE", "30"))
"""Seconds after which a condition that has not come true fails a test."""

SOON, LATER = 0.01, 0.15
"""Seconds between two looks at a condition: at first, and when it has long not come true."""


class BackgroundEngine:
    """One engine process for many apps, warm."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.client = EngineClient("tests")

    def run(self, work: Coroutine[None, None, R]) -> R:
        """Run `work` in the engine's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def warm(self) -> None:
        """Open a model through transformers, so that no test waits for the import."""
        warm = threading.Event()
        self.client._on_status = lambda status: warm.set() if status.phase == "warm" else None
        self.run(self.client.call(OpenTokenizer(ref="minilm")))
        assert warm.wait(60), f"the engine is {self.client.status.phase}"
        self.client._on_status = None

    def close(self) -> None:
        """End the process and the thread."""
        self.run(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class BorrowedEngine(EngineClient):
    """An app's client of the `BackgroundEngine`."""

    def __init__(
        self, background: BackgroundEngine, on_status: Callable[[EngineStatus], None]
    ) -> None:
        super().__init__(on_status=on_status)
        self._background = background

    async def start(self) -> None:
        """Say the engine's state; it runs already."""
        if self.status.phase != "warm":
            self._set(EngineStatus("warm", self._background.client.status.pid))

    async def call(
        self,
        request: Request[R],
        on_progress: Callable[[Progress], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> R:
        """Hand the request over; a cancel goes with it."""
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        passing = asyncio.create_task(self._pass_on(stop, there)) if stop is not None else None

        def report(progress: Progress) -> None:
            if on_progress is not None and not loop.is_closed():
                loop.call_soon_threadsafe(on_progress, progress)

        call = self._background.client.call(request, report, there)
        try:
            answer = await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(call, self._background.loop)
            )
        finally:
            if passing is not None:
                passing.cancel()
        return self.answered(answer)

    async def _pass_on(self, stop: asyncio.Event, there: asyncio.Event) -> None:
        """What the app's loop sets, set in the engine's."""
        await stop.wait()
        self._background.loop.call_soon_threadsafe(there.set)

    def answered(self, answer: R) -> R:
        """A chance to look at an answer before the app does."""
        return answer

    async def unload(self) -> None:
        """The model goes, but the process stays for the next test."""
        self._set(EngineStatus("off"))

    async def close(self) -> None:
        """The process stays for the next test."""
        self._on_status = None


async def settled(
    pilot: Pilot[None], condition: Callable[[], object], what: str = "", *, processes: int = 1
) -> None:
    """Wait until `condition` is true; a widget that is not there yet makes it false.

    `processes` is how many engines start one after the other until then.
    """
    patience = Patience(PATIENCE * processes)
    delay = SOON
    while True:
        # a look costs: the engine that is waited for needs the core too
        await asyncio.sleep(delay)
        delay = min(delay * 1.3, LATER)
        try:
            if condition():
                await pilot.pause()
                return
        except NoMatches:
            pass
        if patience.over:
            # not pytest.fail: Textual's screenshots wait for ever after an exception of that kind
            message = f"{what or condition} did not come true. On screen:\n{shown(pilot.app)}"
            raise AssertionError(message)


def shown(app: HftermApp) -> str:
    """What is on the screen, line by line, modal and toasts included."""
    # else a window drawn here first is drawn, and kept, without the screen behind it
    visible_screen_stack.set(app._background_screens)
    return "\n".join(
        "".join(segment.text for segment in strip)
        for strip in app.screen._compositor.render_strips()
    )


async def quiet(pilot: Pilot[None]) -> None:
    """Wait until the picture stays the same over some turns of the loop."""
    last, same = "", 0

    def unchanged() -> bool:
        nonlocal last, same
        now = shown(pilot.app)
        same = same + 1 if now == last else 0
        last = now
        return same >= 15

    await settled(pilot, unchanged, "a picture that stays")


def toasts(app: HftermApp) -> list[str]:
    """Every message that popped up and still stands."""
    return [note.message for note in app._notifications]


def tokenize_screen(app: HftermApp) -> TokenizeScreen:
    """The screen under whatever modal."""
    bench = app.workbench
    assert isinstance(bench, TokenizeScreen)
    return bench


def grid(app: HftermApp, name: str = "tokens") -> DataGrid:
    """A table of the screen."""
    return tokenize_screen(app).query_one(f"#{name}", DataGrid)


def rows(app: HftermApp, name: str = "tokens") -> list[dict[str, Value]]:
    """All rows of a table by the labels of its columns."""
    source = grid(app, name).source
    labels = [column.label for column in source.columns]
    return [dict(zip(labels, source.values(i), strict=True)) for i in range(len(source))]


def tokens(app: HftermApp) -> list[Value]:
    """The token column of the Table tab."""
    return [row["token"] for row in rows(app)]


def notice(app: HftermApp) -> str:
    """The notices in sight: of the modal, else of the screen and its open tab."""
    return "\n".join(
        note.message
        for note in app.screen.query(Notice)
        if all(node.display for node in note.ancestors_with_self if isinstance(node, Widget))
    )


def page(app: HftermApp) -> TokenizePage:
    """The tab in sight."""
    found = tokenize_screen(app).page
    assert found is not None
    return found


def encoding_now(app: HftermApp) -> bool:
    """Whether the screen is still asking for tokens."""
    screen = tokenize_screen(app)
    return any(
        worker.group == "encode" and worker.node is screen and worker.is_running
        for worker in app.workers
    )


async def ready(pilot: Pilot[None]) -> None:
    """Wait for the verified token table."""
    app = pilot.app

    def verified() -> bool:
        subject = tokenize_screen(app).subject
        encoding = subject.encoding
        return (
            encoding is not None
            and subject.info is not None
            and subject.info.verified
            and len(grid(app).source) == len(encoding)
            and not encoding_now(app)
        )

    await settled(pilot, verified, "the token table")


async def at_a_map(pilot: Pilot[None]) -> AttentionDesk:
    """Run Attention's model and wait for the first map."""
    app = pilot.app
    await settled(pilot, lambda: app.screen.query_one(AttentionDesk).page is not None, "the tabs")
    await pilot.press("f5")
    heat = app.screen.query_one("#heads-map", Heatmap)
    await settled(pilot, lambda: not math.isnan(heat.weight), "a map")
    return app.screen.query_one(AttentionDesk)


async def go_to(pilot: Pilot[None], title: str) -> None:
    """Press F4 until a tab is in sight."""
    app = pilot.app
    for _ in PAGES:
        tab = tokenize_screen(app).query_one(Tabs).active_tab
        if tab is not None and str(tab.label) == title:
            await settled(pilot, lambda: page(app).id == f"page-{title}", f"the {title} tab")
            return
        await pilot.press("f4")
    pytest.fail(f"F4 never comes to {title}")


def table(app: HftermApp, name: str) -> list[dict[str, Value]]:
    """All rows of any table in sight, by the labels of its columns."""
    source = app.screen.query_one(f"#{name}", DataGrid).source
    labels = [column.label for column in source.columns]
    return [dict(zip(labels, source.values(i), strict=True)) for i in range(len(source))]


async def tab(pilot: Pilot[None], title: str) -> None:
    """Press F4 until a tab of the screen in sight is open."""
    app = pilot.app
    await settled(pilot, lambda: app.screen.query_one(Tabs).active_tab is not None, "the tabs")
    tabs = app.screen.query_one(Tabs)
    for _ in range(tabs.tab_count):
        if tabs.active_tab is not None and str(tabs.active_tab.label) == title:
            await settled(
                pilot, lambda: app.screen.query_one(f"#page-{title}").display, f"the {title} tab"
            )
            return
        await pilot.press("f4")
        await pilot.pause()
    pytest.fail(f"F4 never comes to {title}")
