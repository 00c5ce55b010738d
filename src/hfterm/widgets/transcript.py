"""A conversation as it went: its turns one under the other, the newest in sight."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from hfterm.widgets.late_faults import LateFaults
from hfterm.widgets.turn_view import Turn, TurnView

LAST = 30
"""Turns that are drawn at first; earlier ones are drawn when they are asked for."""


class Transcript(VerticalScroll, can_focus=False):
    """The turns of a branch."""

    DEFAULT_CSS = """
    Transcript { height: 1fr; scrollbar-size-vertical: 1; }
    Transcript > .earlier { height: 1; color: $text-muted; padding: 0 2; margin-bottom: 1; }
    Transcript > .empty { height: auto; color: $text-muted; padding: 1 2; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(-1)", "Turn before", show=False, id="transcript.up",
                tooltip="The turn before this one"),
        Binding("down,j", "go(1)", "Next turn", show=False, id="transcript.down",
                tooltip="The next turn; after the last one, the message to write"),
        Binding("home", "go(-100000)", "First turn", show=False, id="transcript.first",
                tooltip="The first turn"),
        Binding("end", "go(100000)", "Last turn", show=False, id="transcript.last",
                tooltip="The last turn"),
    ]  # fmt: skip

    class Left(Message):
        """The cursor went below the last turn."""

    def __init__(self, empty: Content, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._turns: list[Turn] = []
        self._from = 0
        self._drawing = asyncio.Lock()

    async def show(self, turns: Sequence[Turn], chosen: int | None = None) -> None:
        """Show a branch from its end.

        Args:
            turns: all of it.
            chosen: the turn that gets the focus; None leaves it where it is.
        """
        if chosen is None and self.chosen is not None:
            chosen = self.chosen.turn.id
        self._turns = list(turns)
        self._from = max(0, len(turns) - LAST)
        await self._draw()
        self.follow()
        if chosen is not None:
            same = [view for view in self.views if view.turn.id == chosen]
            if same:
                same[0].focus()
            else:
                self.post_message(self.Left())

    async def _draw(self) -> None:
        """Draw what is not there yet: 30 turns with their Markdown take a second or two."""
        async with self._drawing:
            with self.app.batch_update():
                wanted = self._turns[self._from :]
                begin, kept = self._kept(wanted)
                await self.remove_children([each for each in self.children if each not in kept])
                if not wanted:
                    await self.mount(Static(self._empty, classes="empty"))
                    return
                for view, turn in zip(kept, wanted[begin:], strict=False):
                    view.keep(turn)
                if begin:
                    await self.mount_all(map(TurnView, wanted[:begin]), before=0)
                await self.mount_all(map(TurnView, wanted[begin + len(kept) :]))
                if self._from:
                    told = f"{self._from:,} earlier turns · ↑ on the first shows them"
                    await self.mount(Static(told, classes="earlier", markup=False), before=0)

    def _kept(self, wanted: Sequence[Turn]) -> tuple[int, list[TurnView]]:
        """(from which of `wanted` on, the views that show these and those after it already)."""
        views = self.views
        places = {view.turn.id: place for place, view in enumerate(views)}
        begin = next((n for n, turn in enumerate(wanted) if turn.id in places), None)
        if begin is None:
            return 0, []
        kept: list[TurnView] = []
        for view, turn in zip(views[places[wanted[begin].id] :], wanted[begin:], strict=False):
            if not view.shows(turn):
                break
            kept.append(view)
        return (begin, kept) if kept else (0, [])

    async def add(self, turn: Turn) -> TurnView:
        """One more turn at the end."""
        async with self._drawing:
            if not self._turns:
                await self.remove_children()
            self._turns.append(turn)
            view = TurnView(turn)
            await self.mount(view)
        self.follow()
        return view

    async def settle(self, view: TurnView, turn: Turn) -> None:
        """The answer that `view` shows is over: this is all of it."""
        self._turns = [turn if each.id == turn.id else each for each in self._turns]
        await view.settle(turn)

    def follow(self) -> None:
        """Keep the end in sight, until somebody scrolls up."""
        self.anchor()

    @property
    def views(self) -> list[TurnView]:
        """Those that are drawn, and are to stay."""
        return [view for view in self.query(TurnView) if not LateFaults.is_gone(view)]

    @property
    def chosen(self) -> TurnView | None:
        """The turn that has the focus."""
        focused = self.screen.focused
        return focused if isinstance(focused, TurnView) and focused.parent is self else None

    async def action_go(self, by: int) -> None:
        """Go to another turn."""
        views, chosen = self.views, self.chosen
        if not views:
            return
        at = views.index(chosen) + by if chosen in views else len(views) - 1
        if at < 0 and self._from and by == -1:
            self._from = max(0, self._from - LAST)
            first = views[0].turn.id
            await self._draw()
            views = self.views
            at = next((i for i, view in enumerate(views) if view.turn.id == first), 0) - 1
        if at >= len(views) and by == 1:
            self.post_message(self.Left())
            return
        views[max(0, min(at, len(views) - 1))].focus()
