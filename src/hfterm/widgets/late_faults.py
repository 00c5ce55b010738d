"""What goes wrong in a key's action, or in a widget that is being removed, does not end everything.

Textual takes the children of a widget away first, and itself after them; a message, a timer or a
worker of it that comes between looks for a child, finds none, and ends the application. Nothing
that it could have changed is in sight any more. And what was removed stands where it stood until
the screen is laid out again: a click on it looks for its parent, with the same end. A field that
holds the mouse keeps it when another screen comes in sight, where every click then loses the focus.

What an action says in words (a full disk, a conversation that another hfterm deleted) is shown.
"""

from __future__ import annotations

from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.errors import NoWidget

from hfterm.errors import HftermError
from hfterm.text import displayable


class LateFaults(App[None]):
    """An application that outlives faults of what is gone."""

    async def on_event(self, event: events.Event) -> None:
        """A click on what is gone is none, and what is not in sight holds no mouse."""
        held = self.mouse_captured
        if (
            isinstance(event, events.MouseEvent)
            and held is not None
            and (self.is_gone(held) or held.screen is not self.screen)
        ):
            self.capture_mouse(None)
        if isinstance(event, events.MouseDown) and not event.is_forwarded:
            try:
                under, _ = self.get_widget_at(event.x, event.y)
            except NoWidget:
                pass
            else:
                if not under.is_attached:
                    return
        await super().on_event(event)

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        try:
            return await super()._dispatch_action(namespace, action_name, params)
        except HftermError as error:
            self.notify(displayable(str(error)), severity="error", timeout=12, markup=False)
            return True

    def is_late(self, error: Exception, place: object) -> bool:
        """Whether a fault is nobody's concern any more; it is logged then."""
        if not isinstance(place, DOMNode) or place is self or not self.is_gone(place):
            return False
        self.log.error(f"in what is gone, {place}: {error!r}")
        return True

    @staticmethod
    def is_gone(place: DOMNode) -> bool:
        """Whether a widget is removed, or is about to be."""
        above = place.ancestors_with_self
        return not place.is_attached or any(
            node._pruning or node._closing  # pyright: ignore[reportPrivateUsage]
            for node in above if not isinstance(node, App)
        )  # fmt: skip
