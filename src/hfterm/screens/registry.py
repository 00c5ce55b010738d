"""The screens there are. Adding one is one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hfterm.screens.engines import Engines
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import WorkbenchScreen


@dataclass(frozen=True)
class ScreenEntry:
    """A screen: its mode, the word for it, and how it is made (importing it only then)."""

    mode: str
    title: str
    make: Callable[[Engines, Sequence[tuple[str, str]], StartOptions], WorkbenchScreen]


def _tokenize(
    engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.tokenize.screen import TokenizeScreen

    return TokenizeScreen(engines, modes, start)


def _models(
    engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.models.screen import ModelsScreen

    return ModelsScreen(engines, modes, start)


def _predict(
    engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.predict.screen import PredictScreen

    return PredictScreen(engines, modes, start)


def _attention(
    engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.attention.screen import AttentionScreen

    return AttentionScreen(engines, modes, start)


def _train(
    engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.train.screen import TrainScreen

    return TrainScreen(engines, modes, start)


def _chat(
    engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.chat.screen import ChatScreen

    return ChatScreen(engines, modes, start)


def _library(
    engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
) -> WorkbenchScreen:
    from hfterm.screens.library.screen import LibraryScreen

    return LibraryScreen(engines, modes, start)


SCREENS: tuple[ScreenEntry, ...] = (
    ScreenEntry("tokenize", "Tokenize", _tokenize),
    ScreenEntry("models", "Models", _models),
    ScreenEntry("predict", "Predict", _predict),
    ScreenEntry("attention", "Attention", _attention),
    ScreenEntry("train", "Train", _train),
    ScreenEntry("chat", "Chat", _chat),
    ScreenEntry("library", "Library", _library),
)
