"""What watches a value is forgotten when it is gone.

Textual keeps who watches a value until the value changes. Each of the footer's keys watches whether
the footer is compact, which it is for ever, and with every field that is focused there are new
ones: in a minute of work 20 MB of them, and each new one is compared with all that were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.widget import Widget
from textual.widgets import Footer

if TYPE_CHECKING:
    from textual._types import WatchCallbackType

_watch = DOMNode.watch


def _watch_with_the_living(
    self: DOMNode, obj: DOMNode, attribute_name: str, callback: WatchCallbackType,
    init: bool = True,
) -> None:  # fmt: skip
    every = getattr(obj, "__watchers", {})  # by this very name: it is set as a string
    watchers = cast("list[tuple[MessagePump, object]]", every.get(attribute_name, []))
    watchers[:] = [one for one in watchers if not one[0]._closing]  # pyright: ignore[reportPrivateUsage]
    _watch(self, obj, attribute_name, callback, init)


async def _recompose_and_forget(self: Footer) -> None:
    await Widget.recompose(self)
    every = cast("dict[str, list[tuple[MessagePump, object]]]", getattr(self, "__watchers", {}))
    for watchers in every.values():
        watchers[:] = [one for one in watchers if one[0].is_attached]


def forget_gone_watchers() -> None:
    """Put these in the place of Textual's. A test fails when the list is elsewhere."""
    DOMNode.watch = _watch_with_the_living
    Footer.recompose = _recompose_and_forget
