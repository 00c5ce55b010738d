"""Keeps where the user is while hfterm runs, so that the next start goes on from there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from hfterm.screens.registry import SCREENS
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.session.file import read_session, storable, without_what_is_gone, write_session
from hfterm.session.types import LONGEST_TEXT, Place, Recent, Session

KEEP_EVERY = 1.0
"""Seconds between two looks; a crash loses what was typed in the last of them."""


class SessionKeeper:
    """The session and its file.

    Args:
        file: where it is kept; None keeps nothing.
        asked: the user asked for something on the command line, which the first screen shows
            instead of what it showed last.
    """

    def __init__(self, file: Path | None, *, asked: bool = False) -> None:
        self.file = file
        self.session = read_session(file) if file is not None else Session()
        self.gone: list[str] = []
        self.problem = ""
        self.first_time = file is not None and not file.exists()
        self._asked = asked
        self._writing = False
        self._kept = self.session

    @property
    def mode(self) -> str:
        """The screen that was left; the first when there is none, or none any more."""
        modes = [entry.mode for entry in SCREENS]
        return self.session.mode if self.session.mode in modes else modes[0]

    @property
    def recent(self) -> Sequence[Recent]:
        """What was open, the last first."""
        return self.session.recent

    def start_of(self, mode: str, first: str, start: StartOptions) -> tuple[StartOptions, Place]:
        """What a screen begins with, and where on it the user was."""
        place = self.session.places.get(mode)
        if place is None or (mode == first and self._asked):
            return start, Place()
        place, gone = without_what_is_gone(place)
        self.gone += gone
        options = replace(start, model=place.ref or start.model, text=place.text, file="")
        return options, place

    def note(self, screen: WorkbenchScreen) -> None:
        """Take down where the user is."""
        if not screen.settled:
            return
        place = screen.place()
        if place.text is not None and len(place.text) > LONGEST_TEXT:
            place = msgspec.structs.replace(place, text=None)
        self.session = self.session.at(screen.MODE, storable(place))

    async def keep(self) -> None:
        """Write the session, if there is anything new in it."""
        session = self.session
        if self.file is None or self._writing or session == self._kept:
            return
        self._writing = True
        try:
            await asyncio.to_thread(write_session, self.file, session)
        except OSError as error:
            self.problem = f"Where you are can't be kept: {error.strerror or error}."
            self.file = None  # said once, and not tried each second
            return
        finally:
            self._writing = False
        self._kept = session
