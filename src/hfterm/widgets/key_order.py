"""Keys that come in one piece act one after the other.

Textual hands a key to the focused widget and takes the next one at once. A character is in the
field by then; a key with a binding climbs back up to the application first, and acts when the
characters typed after it are long there: `abc⌫⌫de` in one packet becomes `abc`, and what follows a
`Tab` goes into the field that was left. Over a slow connection keys do come in one packet.

Nor does a key act before what it is for is there: a window's list, the field of a screen.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial

from textual import events
from textual.message_pump import MessagePump

from hfterm.widgets.any_byte import let_any_byte_through
from hfterm.widgets.gone_watchers import forget_gone_watchers
from hfterm.widgets.own_closing import let_windows_close_only_themselves
from hfterm.widgets.own_context import let_the_living_forget_the_gone
from hfterm.widgets.own_faults import OwnFaults
from hfterm.widgets.own_waiting import let_who_waits_be_cancelled_alone
from hfterm.widgets.size_of_now import let_only_the_size_of_now_count

PATIENCE = 0.25
"""Seconds until it is asked whether a key's way up ends at a widget that was closed by it, which
tells nobody that it is through."""

SLOWEST = 2.0
"""Seconds a key may take through living widgets before the next one acts all the same: where others
have the cores, a screen that is laid out anew takes longer than `PATIENCE`."""

LOOK = 0.02
"""Seconds between two looks whether what a key is for is there."""

LONGEST = 3.0
"""Seconds after which a key acts although that never came."""


class KeysInOrder(OwnFaults):
    """An application that takes the next key when the last one has been all the way up."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        let_any_byte_through()
        let_windows_close_only_themselves()
        forget_gone_watchers()
        let_only_the_size_of_now_count()
        let_who_waits_be_cancelled_alone()
        let_the_living_forget_the_gone()
        super().__init__(ansi_color=ansi_color)
        self._held: deque[events.Key | events.Paste] = deque()
        self._climbing = 0
        """Number of the key that is under way; 0 for none."""
        self._taken_at = self._held_at = 0.0
        self._at: MessagePump = self
        """Whose queue the key that is under way stands in."""
        self._keys = 0
        self.last_key = 0.0
        """When a key came last, by `time.monotonic`."""

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes wait for the one before them."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._held or self._climbing or not self.takes(event):
            self._hold(event)
        else:
            await self._take(event)

    def _hold(self, event: events.Key | events.Paste) -> None:
        self._held.append(event)
        if len(self._held) == 1:
            self._held_at = time.monotonic()
            if self._climbing:
                self._be_patient()
            else:
                self.set_timer(LOOK, self._next)

    def takes(self, event: events.Key | events.Paste) -> bool:
        """Whether what it is for is there; else it waits, and all that come after it."""
        return self.screen.is_mounted

    async def _take(self, event: events.Key | events.Paste) -> None:
        self.last_key = self._taken_at = time.monotonic()
        if isinstance(event, events.Key) and event.key.startswith("alt+"):
            # terminals send it as Esc and the letter, and Textual's fields would take the letter
            event.character = None
        focused = self.focused
        path = list(focused.ancestors_with_self) if focused is not None else [self.screen]
        self._keys += 1
        self._climbing = self._keys
        try:
            await super().on_event(event)
        finally:  # a fault of one key's, which is outlived, holds up no other
            self._climb([node for node in path if node is not self], self._climbing)

    def _climb(self, path: list[MessagePump], number: int) -> None:
        """Go up as the key does: through the queue of each widget, and then the application's."""
        for index, node in enumerate(path):
            if node.call_later(self._climb, path[index + 1 :], number):
                self._at = node
                return
        self._at = self
        self.call_later(self._through, number)

    async def _through(self, number: int) -> None:
        """A key has been handled: take the next."""
        if number == self._climbing:
            self._climbing = 0
            await self._next()

    async def _next(self) -> None:
        """Take the first of those that wait, once what it is for is there."""
        if self._climbing or not self._held:
            return
        if not self.takes(self._held[0]) and time.monotonic() - self._held_at < LONGEST:
            self.set_timer(LOOK, self._next)
            return
        try:
            await self._take(self._held.popleft())
        finally:
            if self._held:
                self._be_patient()

    def _be_patient(self) -> None:
        self.set_timer(PATIENCE, partial(self._ask, self._climbing))

    async def _ask(self, number: int) -> None:
        """Whether a key is still on its way up; one whose way has ended holds up no other."""
        late = time.monotonic() - self._taken_at > SLOWEST
        if number == self._climbing and self._at.is_running and not late:
            self._be_patient()
        else:
            await self._through(number)
