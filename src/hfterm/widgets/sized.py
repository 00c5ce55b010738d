"""A widget that is always told its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size

if TYPE_CHECKING:
    from textual.widget import Widget as Base
else:
    # Textual takes styles and component classes from the first base that is a widget
    Base = object


class Sized(Base):
    """Stands before a widget's class when its picture is worked out for a size.

    Textual sends no `Resize` to a widget that was mounted between a scroll and the next layout
    (its compositor then takes the widget for an old one: Textual's issue 5024), so on a busy
    machine a text would stay unwrapped until the terminal is resized.
    """

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        before = self._size
        send = super()._size_updated(size, virtual_size, container_size, layout)
        if self._size != before:
            self.call_later(self.resized)
        return send

    def resized(self) -> None:
        """The widget has another size."""
        raise NotImplementedError
