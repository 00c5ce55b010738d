"""What a widget gives to the clipboard."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textual.widget import Widget
from textual.widgets import Input


@runtime_checkable
class Copyable(Protocol):
    """A widget that has something to copy."""

    def copy_text(self) -> str:
        """The text to copy."""
        ...


def copyable_text(widget: Widget | None) -> str:
    """What `widget`, or the nearest around it that has something, gives; else nothing."""
    if isinstance(widget, Input):
        return widget.value
    for node in widget.ancestors_with_self if widget is not None else ():
        if isinstance(node, Widget) and isinstance(node, Copyable) and (text := node.copy_text()):
            return text
    return ""
