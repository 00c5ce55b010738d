"""What is kept of each screen."""

from __future__ import annotations

import msgspec

LONGEST_TEXT = 1_000_000
"""Characters of a text that is kept; a longer one is the sample again."""

MOST_RECENT = 12
"""Things that are remembered as recent."""


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the user was on a screen. Empty fields leave the screen as it starts.

    Attributes:
        ref: the model.
        tab: the title of the tab.
        text: what was typed; None for the screen's sample.
        pair: the second sequence; None without one.
        file: the file that was open in place of a text.
        cursor: of the text, in characters.
        task: of Predict.
        layer, head, query, key: where one looked in the attention.
        recipe: the form of Train, as TOML.
        run: the run in the Monitor.
        item: the thing under the cursor in the Library.
        conversation: its number in the store; 0 for none.
        search: what was looked for in the Library.
    """

    ref: str = ""
    tab: str = ""
    text: str | None = None
    pair: str | None = None
    file: str = ""
    cursor: int = 0
    task: str = ""
    layer: int = 0
    head: int = 0
    query: int = 0
    key: int = 0
    recipe: str = ""
    run: str = ""
    item: str = ""
    conversation: int = 0
    search: str = ""


class Recent(msgspec.Struct, frozen=True):
    """A thing that was open, and the screen it was open on."""

    ref: str
    mode: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        mode: the screen in sight.
        places: mode → place.
        recent: what was open, the last first.
    """

    mode: str = ""
    places: dict[str, Place] = {}  # msgspec copies an empty default
    recent: tuple[Recent, ...] = ()

    def at(self, mode: str, place: Place) -> Session:
        """With the user on a screen, at a place of it."""
        recent = self.recent
        if place.ref and (not recent or recent[0] != Recent(place.ref, mode)):
            rest = tuple(each for each in recent if each.ref != place.ref)
            recent = (Recent(place.ref, mode), *rest)[:MOST_RECENT]
        places = {**self.places, mode: place}
        return msgspec.structs.replace(self, mode=mode, places=places, recent=recent)
