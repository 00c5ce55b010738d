"""What can be done with the run that is under the cursor, or in the Monitor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import work
from textual.binding import Binding, BindingType

from hfterm.errors import HftermError
from hfterm.screens.train.page import RecipeWanted, RunsTouched, RunWanted, TrainPage
from hfterm.sizes import size_text
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.modals import Prompt
from hfterm.widgets.training_tables import run_name

if TYPE_CHECKING:
    from hfterm.training.store import Run


def _key(keys: str, action: str, label: str, name: str, tooltip: str, *, show: bool) -> Binding:
    return Binding(keys, action, label, show=show, id=f"run.{name}", tooltip=tooltip)


class RunPage(TrainPage):
    """A tab that is about one run at a time."""

    HELP = """\
## A run
`s` stops it with a checkpoint, `k` kills it, `u` resumes it, `o` opens its model elsewhere, `c`
puts its recipe into the form, `d` deletes it, `n` and `t` write a note and tags.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("s,alt+s", "stop", "Stop", "stop", "Ask the run to checkpoint and stop", show=True),
        _key("k,alt+k", "kill", "Kill", "kill", "End the run's processes at once", show=True),
        _key("u,alt+u", "resume", "Resume", "resume", "Go on from the last checkpoint", show=True),
        _key("o,alt+o", "app.open_in", "Open in", "open",
             "Open the trained model in another screen, merge it, write its card", show=True),
        _key("c,alt+c", "clone", "Clone", "clone", "Put its recipe into the form", show=True),
        _key("d,alt+d", "delete", "Delete", "delete", "Delete the run, after a yes", show=False),
        _key("n,alt+n", "note", "Note", "note", "Write a note", show=False),
        _key("t,alt+t", "tag", "Tag", "tag", "Tag it", show=False),
    ]  # fmt: skip

    @property
    def current(self) -> Run | None:
        """The run that the keys are about."""
        return None

    async def do(self, what: Callable[[], object]) -> bool:
        """Do something to runs in a thread; what goes wrong is said."""
        self.notice.clear()
        try:
            await asyncio.to_thread(what)
        except HftermError as error:
            self.notice.show_error(error)
            return False
        finally:
            self.post_message(RunsTouched())
        return True

    def _chosen(self) -> Run | None:
        """The run, or None and a word about it."""
        run = self.current
        if run is None:
            self.notice.show("No run of this machine is chosen.", "F6 lists them.", "note")
        return run

    @work(group="runs-do", exit_on_error=False)
    async def action_stop(self) -> None:
        """Stop with a checkpoint."""
        run = self._chosen()
        if run is not None and await self.do(lambda: run_control.stop(run)):
            told = "left the queue" if run.status == "queued" else "stops after a checkpoint"
            self.notice.show(f"{run_name(run)} {told}.", severity="note")

    @work(group="runs-do", exit_on_error=False)
    async def action_kill(self) -> None:
        """Kill, after a yes."""
        run = self._chosen()
        if run is None:
            return
        sure = Confirm(
            f"Kill {run_name(run)}?",
            ["Its processes end at once. It can be resumed from its last checkpoint.",
             "To save a checkpoint first: Esc, then s."],
        )  # fmt: skip
        if await self.app.push_screen_wait(sure):
            await self.do(lambda: run_control.kill(run))

    @work(group="runs-do", exit_on_error=False)
    async def action_resume(self) -> None:
        """Go on; after a failure that another value would mend, ask for it."""
        run = self._chosen()
        if run is None:
            return
        settings: list[str] = []
        suggested = _mending(run)
        if suggested:
            told = await self.app.push_screen_wait(
                Prompt(
                    "Resume with another value?",
                    "key=value, separated by spaces; a single - resumes with the recipe as it is.",
                    suggested,
                )
            )
            if not told:
                return
            settings = [] if told == "-" else told.split()
        if await self.do(lambda: run_control.resume(run, settings)):
            self.post_message(RunWanted(run.id))

    def action_clone(self) -> None:
        """Its recipe into the form."""
        run = self._chosen()
        if run is None:
            return
        if run.recipe is None:
            self.notice.show(f"The recipe of {run.id} is broken.", "Mend its recipe.toml.")
            return
        self.post_message(RecipeWanted(msgspec.structs.replace(run.recipe, fold=0, group="")))

    @work(group="runs-do", exit_on_error=False)
    async def action_delete(self) -> None:
        """Delete, after a yes."""
        await self.delete_chosen()

    async def delete_chosen(self) -> None:
        """Delete the run, after a yes that knows what it frees."""
        run = self._chosen()
        if run is None:
            return
        if run.active:
            self.notice.show(f"{run_name(run)} is {run.status}.", "Stop it first: s.", "warning")
            return
        size = await asyncio.to_thread(store.size_of, run.path)
        sure = Confirm(
            f"Delete {run_name(run)}?",
            [f"{run.id}: its checkpoints, its model and its metrics.",
             f"{size_text(size)} will be free."],
        )  # fmt: skip
        if await self.app.push_screen_wait(sure):
            await self.do(lambda: run_control.delete(run))

    @work(group="runs-do", exit_on_error=False)
    async def action_note(self) -> None:
        """Write a note."""
        run = self._chosen()
        if run is None:
            return
        told = await self.app.push_screen_wait(
            Prompt(f"Note on {run_name(run)}", "A lone - removes it.", run.notes.note)
        )
        if told:
            note = "" if told == "-" else told
            notes = msgspec.structs.replace(files.notes_of(run.path), note=note)
            await self.do(lambda: run_control.save_notes(run, notes))

    @work(group="runs-do", exit_on_error=False)
    async def action_tag(self) -> None:
        """Tag it."""
        run = self._chosen()
        if run is None:
            return
        tags = " ".join(run.notes.tags)
        told = await self.app.push_screen_wait(
            Prompt(f"Tags of {run_name(run)}", "Words; a lone - removes all.", tags)
        )
        if told:
            new = () if told == "-" else tuple(word.lstrip("#") for word in told.split())
            notes = msgspec.structs.replace(files.notes_of(run.path), tags=new)
            await self.do(lambda: run_control.save_notes(run, notes))


def _mending(run: Run) -> str:
    """A setting that would mend what a run failed of; empty when none is known."""
    if run.recipe is None or run.state.error is None:
        return ""
    training = run.recipe.training
    if run.state.error.kind == "nan-loss":
        return f"training.learning_rate={training.learning_rate / 10:g}"
    if run.state.error.kind == "out-of-memory":
        return (
            f"training.batch_size={max(1, training.batch_size // 2)} "
            f"training.accumulate={training.accumulate * 2}"
        )
    return ""
