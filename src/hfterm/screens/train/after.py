"""After a run: open its model elsewhere, merge it, write its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from hfterm.engine.training_requests import MergeRun
from hfterm.errors import CHECK_SPACE, HftermError
from hfterm.screens.messages import ModelToOpen
from hfterm.text import foreign
from hfterm.training import run_files as files
from hfterm.training.model_card import model_card
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.modals import Modal
from hfterm.widgets.notice import Notice
from hfterm.widgets.training_tables import run_name

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient
    from hfterm.training.recipe import Task
    from hfterm.training.store import Run


PREDICTED: dict[Task, str] = {
    "text-classification": "text-classification",
    "token-classification": "token-classification",
    "question-answering": "question-answering",
    "masked-lm": "fill-mask",
    "causal-lm": "text-generation",
    "chat-sft": "text-generation",
    "seq2seq": "seq2seq",
}
"""What Predict calls the tasks of recipes."""


def model_of(run: Run) -> Path | None:
    """The folder of a run's model: the final one, else its best or last whole checkpoint."""
    final = run.path / files.MODEL
    if (final / "config.json").exists() or (final / "adapter_config.json").exists():
        return final
    folder = run.path / files.CHECKPOINTS
    whole = [path for path in folder.glob("checkpoint-*") if (path / files.WHOLE).exists()]
    best = folder / f"checkpoint-{run.progress.best_step}"
    if best in whole:
        return best
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class AfterModal(Modal[Message | None]):
    """A list of what can be done."""

    HELP = """\
## After a run
`Enter` chooses. A merge reads the base in full precision, also where the run kept it quantized,
and puts the adapter into its weights. The card holds the recipe and the results.
"""

    def __init__(self, run: Run, engine: EngineClient, modes: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._modes = modes
        self._run = run
        self._engine = engine
        self._model = model_of(run)

    def compose(self) -> ComposeResult:
        """The choices."""
        with Vertical() as box:
            box.border_title = foreign(  # pyright: ignore[reportAttributeAccessIssue]
                f"{run_name(self._run)}: {self._model.name if self._model else 'no model yet'}"
            )
            box.border_subtitle = "Enter choose · Esc close"
            options = [
                Option(f"Open in {title}", id=f"open-{mode}")
                for mode, title in self._modes
                if mode not in ("train", "library")
            ]
            options.append(Option("Compare with its base, in Models", id="base-models"))
            options.append(Option("Compare with its base, in Attention", id="base-attention"))
            if self._run.recipe is not None and self._run.recipe.method.name != "full":
                options.append(Option("Merge the adapter into its base", id="merge"))
            options.append(Option("Write a model card", id="card"))
            yield OptionList(*options)
            yield JobLine()
            yield Notice()

    def on_mount(self) -> None:
        """Without a model there is nothing to open."""
        if self._model is None:
            self.query_one(Notice).show(
                "The run has no model yet.", "It has one after its first checkpoint.", "note"
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Do it."""
        what, _, mode = (event.option.id or "").partition("-")
        if self._model is None:
            return
        if what == "open":
            task = PREDICTED[self._run.recipe.task] if self._run.recipe is not None else ""
            self.dismiss(ModelToOpen(mode, str(self._model), task=task))
        elif what == "base":
            base = self._run.recipe.model.ref if self._run.recipe is not None else ""
            self.dismiss(ModelToOpen(mode, str(self._model), against=base))
        elif what == "merge":
            self._merge()
        else:
            self._card()

    @work(group="after", exclusive=True, exit_on_error=False)
    async def _merge(self) -> None:
        assert self._model is not None
        line, notice = self.query_one(JobLine), self.query_one(Notice)
        out = self._run.path / "merged"
        notice.clear()
        try:
            done = await self._engine.call(MergeRun(run=str(self._model), out=str(out)), line.show)
        except HftermError as error:
            notice.show_error(error)
            return
        finally:
            line.clear()
        self._model = Path(done)
        notice.show(f"Merged into {done}", "Choose where to open it.", "note")

    def _card(self) -> None:
        notice = self.query_one(Notice)
        assert self._model is not None
        path = self._model / "README.md"
        try:
            path.write_text(model_card(self._run), "utf-8")
        except (OSError, HftermError) as error:
            notice.show(f"The card can't be written: {error}", CHECK_SPACE)
            return
        notice.show(f"Wrote {path}", severity="note")
