"""A widget that lives remembers nothing of one that is gone.

A scroll bar is made when it is first needed: in the middle of drawing, also of what lies under a
window. Its task inherits what that window's knew of itself, and what it hears last was sent by the
window; as it lives as long as the screen does, the window is kept with all that it held, long after
it was closed. Each resize or long list under another window adds one, a help of some 5 MB.
"""

from __future__ import annotations

from contextvars import copy_context

from textual._context import active_message_pump, visible_screen_stack
from textual.message import Message
from textual.message_pump import MessagePump

_start = MessagePump._start_messages  # pyright: ignore[reportPrivateUsage]


def _start_alone(self: MessagePump) -> None:
    context = copy_context()
    context.run(active_message_pump.set, self)
    context.run(visible_screen_stack.set, [])
    context.run(_start, self)


def forget_sender(message: Message) -> None:
    """Who sent it is of use while it bubbles; the loop keeps a message until the next one comes."""
    if not message.bubble or message.no_dispatch:
        message._sender = None  # pyright: ignore[reportPrivateUsage]


def let_the_living_forget_the_gone() -> None:
    """Put it in the place of Textual's. A test fails when a window is kept all the same."""
    MessagePump._start_messages = _start_alone  # pyright: ignore[reportPrivateUsage]
