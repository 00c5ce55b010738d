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

    `resized` is called whenever the size is not the one that was last asked for by `room`:

    - Textual sends no `Resize` to a widget that was mounted between a scroll and the next layout
      (its compositor then takes the widget for an old one: Textual's issue 5024), so on a busy
      machine a text would stay unwrapped until the terminal is resized;
    - a hidden widget has no size, and its old one when it is shown again: what was put into it
      meanwhile would stay worked out for nothing.
    """

    _worked_for: Size | None = None

    def room(self) -> Size:
        """The size there is, remembered as the one that the picture is worked out for."""
        self._worked_for = self.size
        return self._worked_for

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        send = super()._size_updated(size, virtual_size, container_size, layout)
        if self.size != self._worked_for:
            self.call_later(self.resized)
        return send

    def resized(self) -> None:
        """The widget has another size: work its picture out again."""
        raise NotImplementedError
