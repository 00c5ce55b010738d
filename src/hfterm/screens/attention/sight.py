"""What the tabs of the Attention screen are given, and what they are."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from textual.message import Message

from hfterm.attention.types import AttentionSummary, Looked, Metric, Side, Token, Which
from hfterm.engine.protocol import Request
from hfterm.models.types import LoadedInfo
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.link_lines import LinkLines
from hfterm.widgets.scatter import Scatter
from hfterm.widgets.tab_page import TabPage

if TYPE_CHECKING:
    import numpy as np
    from textual.worker import Worker

R = TypeVar("R")

Kept = tuple[bool, ...] | None
"""Which tokens of an axis are shown; None for all."""


@dataclass(frozen=True, eq=False)
class Sight:
    """A forward pass, and where in it one looks.

    Attributes:
        info: the model.
        looked: the model and the text, as the engine knows the pass.
        summary: of the pass.
        which: the map.
        layer, head: what the grid's cursor is on, also when the map is a mean.
        metric: of the grid.
        query, key: the crosshair.
        queries, keys: which tokens are shown.
        hidden: what is not shown, in words.
    """

    info: LoadedInfo
    looked: Looked
    summary: AttentionSummary
    which: Which
    layer: int
    head: int
    metric: Metric
    query: int
    key: int
    queries: Kept
    keys: Kept
    hidden: str

    @property
    def side(self) -> Side:
        """Which attention."""
        return self.which.side

    @property
    def rows(self) -> Sequence[Token]:
        """Tokens of the queries."""
        return self.summary.queries(self.side)

    @property
    def columns(self) -> Sequence[Token]:
        """Tokens of the keys."""
        return self.summary.keys(self.side)

    @property
    def shown(self) -> tuple[Looked, Which, Kept, Kept]:
        """What a map depends on."""
        return self.looked, self.which, self.queries, self.keys

    @property
    def window(self) -> int:
        """How far the map's queries see back; 0 without a bound."""
        axis = self.summary.axis(self.side)
        layer = self.which.layer
        return axis.windows[layer] if layer is not None and not self.which.rollout else 0


class HeadPicked(Message):
    """Another head is looked at."""

    def __init__(self, layer: int, head: int) -> None:
        super().__init__()
        self.layer, self.head = layer, head


class PlacePicked(Message):
    """Another query, or another query and key, is looked at."""

    def __init__(self, query: int, key: int | None = None) -> None:
        super().__init__()
        self.query, self.key = query, key


class LinkPicked(Message):
    """A link should be seen in its head's map."""

    def __init__(self, layer: int, head: int, query: int, key: int) -> None:
        super().__init__()
        self.layer, self.head, self.query, self.key = layer, head, query, key


class AttentionPage(TabPage):
    """A tab."""

    sight: Sight | None = None

    asked: tuple[object, ...] | None = None
    """What the page has asked for and shows; None when the next pass is to ask."""

    def show(self, sight: Sight) -> None:
        """The page is in sight, or what it is about changed while it was."""
        before, self.sight = self.sight, sight
        self.refresh_page(sight, before)

    def refresh_page(self, sight: Sight, before: Sight | None) -> None:
        """Bring the page up to date."""

    def enter(self) -> bool:
        """Give the focus to what the page is about. False when nothing of it can have it."""
        for kind in (HeadGrid, DataGrid, LinkLines, Heatmap, Scatter):
            for widget in self.query(kind):
                if widget.focusable and widget.display:
                    widget.focus()
                    return True
        return False

    def clear_page(self, why: str) -> None:
        """There is no pass any more; `why` stands in its place."""
        self.sight = self.asked = None

    async def answer_to(self, request: Request[R], final: str = "") -> R | None:
        """Ask; the next pass asks again, but after an answer or a failure of kind `final`."""
        asked, answered = self.asked, False
        try:
            found = await self.ask(request)
            answered = found is not None or (
                self.failure is not None and self.failure.kind == final
            )
        finally:
            if not answered and self.asked is asked:
                self.asked = None
        return found

    def stop(self) -> bool:
        """Cancel what takes so long that it is said; Esc means something else for the rest."""
        return self.job_line.display and super().stop()

    def start(self, work: Coroutine[None, None, object]) -> Worker[object]:
        """Run `work`; what was said before is about something older."""
        self.notice.clear()
        return super().start(work)


def mask_of(kept: Kept) -> np.ndarray | None:
    """bool[tokens] as widgets take it."""
    if kept is None:
        return None
    import numpy as np

    return np.array(kept, bool)
