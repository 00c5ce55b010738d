"""A map as real pixels, by the kitty or sixel protocol.

`textual_image` asks the terminal what it can when it is imported, so `launch` has imported it
before Textual reads what the terminal says.
"""

from __future__ import annotations

import tempfile

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from hfterm.engine.attention_requests import WriteAttention
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.screens.attention.sight import Sight
from hfterm.text import foreign
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.modals import Modal
from hfterm.widgets.notice import Notice


class PixelsModal(Modal[None]):
    """Has the engine draw the map, and shows it."""

    HELP = """\
## Pixels
The map as matplotlib draws it, by the terminal's own graphics: kitty's or sixel. `Esc` closes.
"""

    DEFAULT_CSS = """
    PixelsModal > Vertical { height: 90%; }
    PixelsModal #pixels { width: auto; height: 1fr; }
    """

    def __init__(self, engine: EngineClient, sight: Sight, protocol: str) -> None:
        super().__init__()
        self._engine = engine
        self._sight = sight
        self._protocol = protocol
        self._folder = tempfile.TemporaryDirectory(prefix="hfterm-")

    def compose(self) -> ComposeResult:
        """The place for the image, progress, and what went wrong."""
        with Vertical() as box:
            title = foreign(self._sight.which.name)
            box.border_title = title  # pyright: ignore[reportAttributeAccessIssue]
            box.border_subtitle = "Esc closes"
            yield JobLine()
            yield Notice()

    def on_mount(self) -> None:
        """Draw."""
        self._draw()

    def on_unmount(self) -> None:
        """The drawing goes."""
        self._folder.cleanup()

    @work(exit_on_error=False)
    async def _draw(self) -> None:
        line, notice = self.query_one(JobLine), self.query_one(Notice)
        if not can_show(self._protocol):
            notice.show(
                "This terminal has neither kitty's graphics nor sixel.",
                "Esc closes this; Ctrl+E on Heads writes the map as PNG or SVG.",
            )
            return
        path = f"{self._folder.name}/map.png"
        request = WriteAttention(
            looked=self._sight.looked, side=self._sight.side, which=self._sight.which, out=path
        )
        try:
            await self._engine.call(request, line.show)
        except HftermError as error:
            notice.show_error(error)
        else:
            await self.query_one(Vertical).mount(image(self._protocol, path), before=line)
        finally:
            line.clear()


def can_show(protocol: str) -> bool:
    """Whether the terminal has pixels; with ``auto`` by what it said."""
    from textual_image.renderable import HalfcellImage, Image, UnicodeImage

    return protocol != "auto" or Image not in (HalfcellImage, UnicodeImage)


def image(protocol: str, path: str) -> Widget:
    """The widget that shows a file by a protocol."""
    from textual_image import widget

    kinds = {"kitty": widget.TGPImage, "sixel": widget.SixelImage}
    return kinds.get(protocol, widget.Image)(path, id="pixels")
