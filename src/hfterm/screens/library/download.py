"""The Download tab: a model or data set of the hub, brought with progress, cancel and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hfterm.engine.library_requests import Fetch, PlanDownload
from hfterm.hub.repo_types import RepoKind, RepoPlan
from hfterm.library.code import download_code
from hfterm.library.facts import is_pickle
from hfterm.library.types import LibraryFile
from hfterm.library.wanted import PARTS, wanted
from hfterm.screens.library.page import Brought, LibraryPage
from hfterm.sizes import size_text
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.library_tables import file_rows

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient

KINDS: dict[str, RepoKind] = {"model": "model", "data set": "dataset"}


class DownloadPage(LibraryPage):
    """A form, the files that would come, and the line of progress."""

    HELP = """\
## Download
Type a hub id (`owner/name`) and press `Enter`: the files that would come are listed, with their
sizes and what of them is here. `Enter` again (or `F7`) brings them, `Esc` stops: what arrived is
kept, and the next time goes on from it. A file is taken into the cache only when its hash is the
one that the hub names. A private or gated repository needs a token: `hf auth login`.
`files` names other patterns (`*.gguf`), separated by spaces.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f7", "bring", "Download", key_display="F7", priority=True, id="download.bring",
                tooltip="Download what is listed, going on from what is here"),
    ]  # fmt: skip

    def __init__(self, engine: EngineClient, id: str) -> None:
        super().__init__(engine, id=id)
        self._plan: RepoPlan | None = None
        self._bringing = False

    def body(self) -> ComposeResult:
        """The form and the files."""
        with Horizontal(classes="options"):
            yield Field("hub id", "", placeholder="owner/name", id="download-ref")
            yield Choice("kind", tuple(KINDS), id="download-kind")
            yield Choice("download", PARTS, id="download-part")
        with Horizontal(classes="options"):
            yield Field("revision", "", placeholder="main", id="download-revision")
            yield Field("files", "", placeholder="as above, or *.gguf", id="download-files")
        yield Static("", id="download-about", markup=False)
        yield DataGrid(id="download-grid", empty="Enter lists what the hub has of an id.")

    def come(self) -> None:
        """Type."""
        self.query_one("#download-grid" if self._plan is not None else "#download-ref").focus()

    def again(self) -> None:
        """Bring it, or ask again."""
        self.action_bring()

    def show(self, ref: str, *, dataset: bool) -> None:
        """A download that was broken off: list it."""
        if self._under_way():
            return
        self.query_one("#download-ref", Input).value = ref
        kind = self.query_one("#download-kind", Choice)
        kind.value = "data set" if dataset else "model"
        self._ask_hub()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._ask_hub()

    @on(Choice.Changed)
    @on(Input.Changed)
    def _other(self, event: Choice.Changed | Input.Changed) -> None:
        """Another download: what is listed is not it."""
        event.stop()
        if self._plan is not None and not self.busy:
            self._plan = None
            self.query_one("#download-grid", DataGrid).set_source(file_rows([]))
            self.query_one("#download-about", Static).update("")

    @on(DataGrid.RowChosen, "#download-grid")
    def _enter(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        self.action_bring()

    def _request(self) -> PlanDownload | None:
        ref = self.query_one("#download-ref", Input).value.strip()
        if not ref:
            self.notice.show("No hub id is typed.", "owner/name, as on the hub's page.", "note")
            return None
        kind = KINDS[self.query_one("#download-kind", Choice).value]
        part = self.query_one("#download-part", Choice).value
        typed = tuple(self.query_one("#download-files", Input).value.split())
        allow, ignore = wanted(kind, part, typed)
        revision = self.query_one("#download-revision", Input).value.strip()
        return PlanDownload(ref=ref, kind=kind, revision=revision, allow=allow, ignore=ignore)

    def _under_way(self) -> bool:
        """Whether a download runs; then it is said, for listing would end it."""
        if self._bringing:
            self.notice.show(
                "A download is still on its way.", "Esc stops it and keeps what arrived.", "note"
            )
        return self._bringing

    def _ask_hub(self) -> None:
        request = None if self._under_way() else self._request()
        if request is not None:
            self.start(self._look(request))

    async def _look(self, request: PlanDownload) -> None:
        plan = await self.ask(request)
        if plan is None:
            return
        self._plan = plan
        self._show(plan)
        self.query_one("#download-grid").focus()

    def _show(self, plan: RepoPlan) -> None:
        self.query_one("#download-grid", DataGrid).set_source(file_rows(_files(plan)), cursor=0)
        self._tell(plan, "Enter goes on" if plan.here else "Enter downloads them")

    def _tell(self, plan: RepoPlan, then: str) -> None:
        self.query_one("#download-about", Static).update(foreign(_words(plan, then)))

    def action_bring(self) -> None:
        """Bring what is listed; without a list, make one."""
        if self.busy:
            return
        if self._plan is None:
            self._ask_hub()
        else:
            self.notice.clear()
            self.start(self._bring(self._plan))

    async def _bring(self, plan: RepoPlan) -> None:
        self._tell(plan, "Enter goes on")  # when it is stopped, or fails
        self._bringing = True
        try:
            folder = await self.ask(Fetch(plan=plan))
        finally:
            self._bringing = False
            self.post_message(Brought())
        if folder is not None:
            whole = replace(plan, here=plan.size)
            self._plan = whole
            self._show(whole)
            self.notice.show(f"{plan.ref} is here: {folder}", "F6 lists what is here.", "note")

    def stop(self) -> bool:
        """Stop; what arrived is kept."""
        bringing = self._bringing
        stopped = super().stop()
        if stopped and bringing:
            self.notice.show("Stopped.", "What arrived is kept: F7 goes on from it.", "note")
        return stopped

    def exported(self) -> tuple[str, GridSource] | None:
        """The files."""
        return ("download", file_rows(_files(self._plan))) if self._plan is not None else None

    def code(self) -> str:
        """What brings them."""
        return download_code(self._plan) if self._plan is not None else ""


def _files(plan: RepoPlan) -> list[LibraryFile]:
    files = [LibraryFile(file.name, file.size, is_pickle(file.name)) for file in plan.files]
    return sorted(files, key=lambda file: (-file.size, file.name))


def _words(plan: RepoPlan, then: str) -> str:
    count = f"{len(plan.files):,} file{'' if len(plan.files) == 1 else 's'}"
    parts = [count, size_text(plan.size)]
    if plan.here >= plan.size:
        parts.append("all of it is here")
    elif plan.here:
        parts += [f"{size_text(plan.here)} of it are here", then]
    else:
        parts.append(then)
    if plan.left_out:
        parts.append(f"{plan.left_out:,} left out")
    parts.append(f"commit {plan.commit[:7]}")
    return " · ".join(parts)
