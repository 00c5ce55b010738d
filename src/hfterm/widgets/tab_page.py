"""The ground of every tab: it asks the engine, and shows progress and failure in place."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.worker import Worker

from hfterm.engine.client import EngineClient
from hfterm.engine.protocol import Request
from hfterm.engine.requests import InstallStarter
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.job import Progress
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.notice import Notice

if TYPE_CHECKING:
    from hfterm.widgets.data_grid import GridSource

R = TypeVar("R")

SILENCE = 0.3
"""Seconds without an answer or a progress after which a page says what it waits for."""


class TabPage(Vertical):
    """A page that does its own work. Subclasses yield their widgets in `body`."""

    DEFAULT_CSS = """
    TabPage { height: 1fr; }
    """

    def __init__(self, engine: EngineClient, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.engine = engine
        self.notice = Notice()
        self.job_line = JobLine()
        self.failure: HftermError | None = None
        """What the last request failed of; None when it did not."""
        self._asking = 0
        self._stop: asyncio.Event | None = None

    def compose(self) -> ComposeResult:
        """The page's own widgets, then the line of work and the notice."""
        yield from self.body()
        yield self.job_line
        yield self.notice

    def body(self) -> ComposeResult:
        """The page's own widgets."""
        yield from ()

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._asking > 0

    def start(self, work: Coroutine[None, None, object]) -> Worker[object]:
        """Run `work`; what this page was doing before is cancelled."""
        return self.run_worker(work, group=f"page-{self.id}", exclusive=True, exit_on_error=False)

    def stop(self) -> bool:
        """Cancel what the page is doing. False when it does nothing."""
        if not self.busy:
            return False
        if self._stop is not None and not self._stop.is_set():
            self._stop.set()  # a second time it is not waited for
            return True
        self.workers.cancel_group(self, f"page-{self.id}")
        self.job_line.clear()
        self.notice.show("Stopped.", severity="note")
        return True

    async def ask(
        self, request: Request[R], *, partial: bool = False, keep: bool = False
    ) -> R | None:
        """The engine's answer; None when it failed, and the notice then says why.

        With `partial`, stopping asks for what there is until then, and waits for it. With `keep`
        an answer leaves what the notice says.
        """
        self._asking += 1
        stop = self._stop = asyncio.Event() if partial else None
        silence = self.set_timer(SILENCE, self._say_what_it_waits_for)
        try:
            result = await self.engine.call(request, self.job_line.show, stop)
        except HftermError as error:
            self.failure = error
            self.notice.show_error(error)
            return None
        finally:
            silence.stop()
            self._stop = None
            self._asking -= 1
            if not self._asking:
                self.job_line.clear()
        self.failure = None
        if not keep:
            self.notice.clear()
        return result

    async def bring(self, ref: str) -> bool:
        """Fetch what is in the starter kit but not here yet; False when that failed."""
        if not starter.is_starter(ref) or starter.starter_path(ref) is not None:
            return True
        return await self.ask(InstallStarter(names=[ref])) is not None

    def _say_what_it_waits_for(self) -> None:
        # the timer may fire just before the answer comes: its message then comes after it
        if self.busy and not self.job_line.display:
            loading = self.engine.status.phase == "warming"
            what = "transformers, which is being loaded" if loading else "the engine"
            self.job_line.show(Progress(f"waiting for {what}"))

    # -- what a page offers to the screen's actions ---------------------------------------

    def exported(self) -> tuple[str, GridSource] | None:
        """(name, table) of what the page shows, for export; None when there is nothing."""
        return None

    def code(self) -> str:
        """The Python that does what the page shows."""
        return ""
