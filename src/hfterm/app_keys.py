"""The keys of the application: those that every screen has."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from hfterm.screens.registry import SCREENS

KEYS: list[BindingType] = [
    Binding("f1,question_mark", "help", "Help", key_display="F1", id="help",
            tooltip="What this screen and the focused thing do, with every key"),
    Binding("f2", "code", "Code", key_display="F2", id="code",
            tooltip="The Python that reproduces what is shown"),
    Binding("f9,y", "copy", "Copy", key_display="F9", id="copy",
            tooltip="Copy the row, the selection or the text to the clipboard (OSC 52)"),
    Binding("ctrl+e", "export", "Export", key_display="^e", priority=True, id="export",
            tooltip="Write the whole table to a CSV, JSON, JSONL or Parquet file"),
    Binding("f5,r", "restart", "Restart", show=False, id="restart",
            tooltip="Start the engine again, or ask it again"),
    Binding("f8,l", "logs", "Logs", show=False, id="logs",
            tooltip="What libraries printed in the engine process"),
    Binding("escape", "leave", "Leave or stop", show=False, id="leave",
            tooltip="Stop long work; else leave the text field"),
    Binding("alt+o", "open_in", "Open in", show=False, priority=True, id="open-in",
            tooltip="Open what is open here on another screen, or what was open lately"),
    Binding("o", "open_in", "Open in", show=False, id="open-in-letter",
            tooltip="Open what is open here on another screen, or what was open lately"),
    Binding("ctrl+t", "tour", "Tour", show=False, priority=True, id="tour",
            tooltip="The next line of the tour, or the first"),
    Binding("ctrl+g", "skip_tour", "Skip the tour", show=False, id="tour.skip", priority=True,
            tooltip="No more of the tour"),
    Binding("ctrl+p", "command_palette", "Palette", key_display="^p", priority=True,
            id="palette", tooltip="Every action by name"),
    Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="quit",
            tooltip="Quit: models are let go, runs in training go on"),
    *(
        Binding(f"alt+{number}", f"mode('{entry.mode}')", entry.title, show=False,
                priority=True, id=f"mode.{entry.mode}", tooltip=f"The {entry.title} screen")
        for number, entry in enumerate(SCREENS, 1)
    ),
    *(
        Binding(f"{number}", f"mode('{entry.mode}')", entry.title, show=False,
                id=f"mode.{entry.mode}-digit",
                tooltip=f"The {entry.title} screen (while no text is being typed)")
        for number, entry in enumerate(SCREENS, 1)
    ),
]  # fmt: skip
