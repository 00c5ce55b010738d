"""What the tabs of the Predict screen are given."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from textual.worker import Worker

from hfterm.engine.model_requests import LoadModel
from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.inference.options import TaskOptions
from hfterm.models.types import LoadedInfo, ModelSpec
from hfterm.screens.asking_code import REMOTE_CODE, CodeNeeded
from hfterm.screens.messages import ModelLoaded
from hfterm.widgets.tab_page import TabPage


@dataclass(frozen=True)
class Question:
    """A model, a text, and what is asked of them.

    Attributes:
        source: what a script opens; None until the model is loaded.
        text: the text whole.
    """

    spec: ModelSpec
    source: ModelSource | None
    text: str
    options: TaskOptions


class PredictPage(TabPage):
    """A tab. `question` gives what the screen asks now, or raises what is wrong with it."""

    question: Callable[[], Question]

    about: Question | None = None
    """What is shown, or being predicted, answers this; None when there is nothing."""

    def asked(self) -> Question | None:
        """What the screen asks; None when a field is wrong, and the notice then says so."""
        try:
            return self.question()
        except HftermError as error:
            self.notice.show_error(error)
            return None

    def start(self, work: Coroutine[None, None, object]) -> Worker[object]:
        """Run `work`; what was said before is about something older."""
        self.notice.clear()
        return super().start(work)

    async def loaded(self, spec: ModelSpec) -> LoadedInfo | None:
        """Load the model, unless it is; None when that failed."""
        if not await self.bring(spec.ref):
            return None
        info = await self.ask(LoadModel(spec=spec))
        if info is not None:
            self.post_message(ModelLoaded(info))
        elif self.failure is not None and self.failure.kind == REMOTE_CODE:
            self.post_message(CodeNeeded(self.failure))
        return info

    def run(self) -> None:
        """Predict."""

    def outdated(self) -> None:
        """The task or the model changed: what is shown is about another."""
