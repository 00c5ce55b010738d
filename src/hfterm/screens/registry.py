"""The screens there are. Adding one is one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hfterm.engine.client import EngineClient
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import WorkbenchScreen


@dataclass(frozen=True)
class ScreenEntry:
    """A screen: its mode, the word for it, and how it is made (importing it only then)."""

    mode: str
    title: str
    make: Callable[[EngineClient, Sequence[tuple[str, str]], StartOptions], WorkbenchScreen]


def _tokenize(
    engine: EngineClient, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.tokenize.screen import TokenizeScreen

    return TokenizeScreen(engine, modes, start)


SCREENS: tuple[ScreenEntry, ...] = (ScreenEntry("tokenize", "Tokenize", _tokenize),)
