"""What every tab of the Train screen is, and what they tell the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message

from hfterm.widgets.tab_page import TabPage

if TYPE_CHECKING:
    from hfterm.training.preview_types import Preview
    from hfterm.training.recipe import Recipe
    from hfterm.training.store import Run


class RunsStarted(Message):
    """Runs were made and started, or queued: the first should be looked at."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self.ids = list(ids)


class RunWanted(Message):
    """A run should be looked at in the Monitor."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id


class ForeignWanted(Message):
    """A run of another program should be looked at in the Monitor."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


class RecipeWanted(Message):
    """A recipe should be put into the form."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe


class Marked(Message):
    """Other runs are chosen to be compared."""

    def __init__(self, ids: frozenset[str], *, show: bool = False) -> None:
        super().__init__()
        self.ids = ids
        self.show = show


class PreviewMade(Message):
    """The data of a recipe were looked at."""

    def __init__(self, preview: Preview) -> None:
        super().__init__()
        self.preview = preview


class RunsTouched(Message):
    """Something was done to runs: look at them at once."""


class TrainPage(TabPage):
    """A tab."""

    HELP = "## Train\n`F3` and `F4` go through the tabs."

    def show_runs(self, runs: Sequence[Run]) -> None:
        """The runs changed while the page was in sight, or it came in sight."""

    def again(self) -> None:
        """Ask again for what is shown."""
