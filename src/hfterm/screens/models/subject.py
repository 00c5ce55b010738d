"""What every tab of the Models screen is given, and what it is."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass

from textual.message import Message
from textual.widgets import Static
from textual.worker import Worker

from hfterm.models.types import ModelOverview, ModelSpec
from hfterm.widgets.data_grid import NO_ROWS, DataGrid
from hfterm.widgets.tab_page import TabPage


@dataclass(frozen=True)
class ModelSubject:
    """What the screen is about: a model, and the class of it that was chosen."""

    spec: ModelSpec
    overview: ModelOverview

    @property
    def cls(self) -> str:
        """The concrete class that was chosen."""
        if not self.spec.auto:
            return self.overview.main
        found = self.overview.of(self.spec.auto)
        return found.concrete if found is not None else self.spec.auto


class ClassChosen(Message):
    """Another class of the model should be looked at."""

    def __init__(self, auto: str) -> None:
        super().__init__()
        self.auto = auto


class LabelsWanted(Message):
    """The model should be looked at with another number of labels; None for its own."""

    def __init__(self, labels: int | None) -> None:
        super().__init__()
        self.labels = labels


class ModelPage(TabPage):
    """A tab."""

    subject: ModelSubject | None = None

    def show(self, subject: ModelSubject) -> None:
        """The page is in sight, or its subject changed while it was."""
        if subject == self.subject:
            return
        another = self.subject is not None
        self.subject = subject
        if another:
            self.clear_page()
        self.refresh_page(subject)

    def clear_page(self) -> None:
        """What is shown is about another model."""
        for grid in self.query(DataGrid):
            grid.set_source(NO_ROWS)
        for words in self.query(".about").results(Static):
            words.update("")

    def start(self, work: Coroutine[None, None, object]) -> Worker[object]:
        """Run `work`; what was said before is about something older."""
        self.notice.clear()
        return super().start(work)

    def refresh_page(self, subject: ModelSubject) -> None:
        """Bring the page up to date with `subject`."""

    def again(self) -> None:
        """Ask again for what is shown."""
        if self.subject is not None:
            self.refresh_page(self.subject)
