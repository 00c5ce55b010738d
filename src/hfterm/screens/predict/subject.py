"""What the tabs of the Predict screen are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hfterm.errors import HftermError
from hfterm.inference.options import TaskOptions
from hfterm.models.types import ModelSource, ModelSpec
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

    def asked(self) -> Question | None:
        """What the screen asks; None when a field is wrong, and the notice then says so."""
        try:
            return self.question()
        except HftermError as error:
            self.notice.show_error(error)
            return None

    def run(self) -> None:
        """Predict."""

    def outdated(self) -> None:
        """The task or the model changed: what is shown is about another."""
