"""What a screen is opened with: the command line's and the settings' wishes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StartOptions:
    """Attributes are empty when nobody asked for anything.

    Attributes:
        model: a model reference.
        text: a text to begin with; None for the sample.
        live_delay: seconds between a key and the request it causes, in a long text.
        max_editor_chars: longer texts open read-only.
        pixels: how maps are drawn as real pixels: ``off``, ``auto``, ``kitty`` or ``sixel``.
        watch: a run of any program that the Monitor shows.
        file: a text file for Tokenize, or a data set for the Library.
        folders: more folders that the library looks through.
    """

    model: str = ""
    text: str | None = None
    live_delay: float = 0.06
    max_editor_chars: int = 200_000
    pixels: str = "off"
    watch: str = ""
    file: str = ""
    folders: tuple[str, ...] = ()
