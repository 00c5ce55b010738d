"""Walks a section of the tutorial: presses its keys in the running application, runs its commands.

Only keys are used, as a reader would: what has a name is looked for with `Tab`, `F4` or `↓`.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

from keys import Command, Fill, GoTo, Press, Row, Type
from textual import events
from textual.css.query import NoMatches
from textual.keys import _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Button, Input, Label, OptionList, Tab, Tabs, TextArea

from hfterm.app import HftermApp
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice, Field
from pilot_app import shown, toasts
from waiting import Patience

SIZE = (120, 40)
LONGEST = 240.0
"""Seconds of looking until a row counts as untrue: some rows train a model."""
MOST_ROWS = 400
MOST_TRIES = 5
"""Tab is pressed as often as it takes; what appears or goes meanwhile changes how often that is."""
TYPED = 12
"""A longer text is pasted, as a reader would."""


def flat(text: str) -> str:
    """Text as one line with single spaces and no borders, so that columns may be as wide as they
    like and a sentence may be wrapped.
    """
    return re.sub(r"[\s│┃╭╮╰╯─▁▔]+", " ", text)


class Walk:
    """One reader in one session."""

    def __init__(self, pilot: Pilot[None], folder: Path) -> None:
        self.pilot = pilot
        assert isinstance(pilot.app, HftermApp)
        self.app = pilot.app
        self.folder = folder

    @property
    def screen(self) -> str:
        """What is on the screen now."""
        # a toast is wrapped, with what it covers on both sides of each of its lines
        return flat("\n".join([shown(self.app), *toasts(self.app)]))

    async def row(self, row: Row) -> str:
        """Do what a row says, and wait for what it promises; gives what was seen."""
        before = self.screen
        output = ""
        for action in row.actions:
            match action:
                case Command():
                    output = flat(await self.command(action))
                case _:
                    await self.press(action)
        where = f"line {row.line}: {row.keys}"
        if output:
            missing = [one for one in row.expected if flat(one) not in output]
            assert not missing, f"{where}: {missing} not in the output:\n{output}"
            return output
        there = [one for one in row.expected if flat(one) in before]
        assert not there, f"{where}: {there} on screen before the keys:\n{before}"
        if row.expected:
            await self.until(
                lambda: all(flat(one) in self.screen for one in row.expected),
                lambda: f"{where}: {[o for o in row.expected if flat(o) not in self.screen]}",
                every=0.1,  # reading a whole screen takes as long as drawing it
            )
        return shown(self.app)

    async def until(
        self, condition: Callable[[], object], what: Callable[[], str], every: float = 0.02
    ) -> None:
        """Wait until something is so."""
        patience = Patience(LONGEST)
        while True:
            await self.pilot.pause(every)
            try:
                if condition():
                    return
            except NoMatches:
                pass
            if patience.over:
                raise AssertionError(f"never: {what()}\nOn screen:\n{shown(self.app)}")

    async def keys(self, *names: str) -> None:
        """Send keys as fast as a terminal would, and wait until each has acted.

        `Pilot.press` sends the same events, but waits for an idle process after each: with engines
        at work beside it that is a second a key.
        """
        app = self.app
        driver = app._driver
        assert driver is not None
        through = app._keys + len(names)
        for name in names:
            key = name if len(name) > 1 or name.isalnum() else _character_to_key(name)
            try:
                character = unicodedata.lookup(_get_unicode_name_from_key(key))
            except KeyError:
                character = name if len(name) == 1 else None
            event = events.Key(key, character)
            event.set_sender(app)
            driver.send_message(event)
        await self.until(
            lambda: app._keys >= through and not app._climbing, lambda: f"{names} to act"
        )

    async def press(self, action: Press | GoTo | Fill | Type) -> None:
        """Press the keys of an action."""
        match action:
            case Press(key, times):
                await self.keys(*[key] * times)
            case Type(text):
                await self.write(text)
            case Fill(label, value):
                await self.fill(label, value)
            case GoTo("tab", name):
                await self.tab(name)
            case GoTo("row", name):
                await self.to_row(name)
            case GoTo(_, name):
                await self.focus(lambda widget: name in names(widget), name)
        await self.pilot.pause()  # what a key asked for has begun

    async def write(self, text: str) -> None:
        """Type a text where the focus is; paste it if it is long."""
        if len(text) <= TYPED:
            await self.keys(*text)
        else:
            self.app.post_message(events.Paste(text))
            await self.pilot.pause()

    async def focus(self, wanted: Callable[[Widget], bool], name: str) -> Widget:
        """Press Tab until something has the focus. What is not there yet is waited for."""
        await self.until(
            lambda: any(wanted(widget) for widget in self.app.screen.focus_chain),
            lambda: f"{name!r} among {self.all_names()}",
        )
        for _ in range(MOST_TRIES):
            focused = self.app.focused
            if focused is not None and wanted(focused):
                return focused
            chain = list(self.app.screen.focus_chain)
            here = chain.index(focused) if focused in chain else -1
            after = [n for n in range(1, len(chain) + 1) if wanted(chain[(here + n) % len(chain)])]
            if after:
                there, back = after[0], len(chain) - after[-1]
                await self.keys(*["tab"] * there if there <= back else ["shift+tab"] * back)
            await self.pilot.pause()
        raise AssertionError(f"Tab never comes to {name!r}: {self.all_names()}")

    def all_names(self) -> list[str]:
        """The names of everything that Tab reaches."""
        return [" / ".join(sorted(names(widget))) for widget in self.app.screen.focus_chain]

    async def fill(self, label: str, value: str) -> None:
        """Go to a field and have it hold a value."""
        widget = await self.focus(lambda one: label in labels(one), label)
        if isinstance(widget, Choice):
            assert value in widget.values, f"{label} has {widget.values}, not {value}"
            here, there = widget.values.index(widget.value), widget.values.index(value)
            await self.keys(*["right"] * ((there - here) % len(widget.values)))
            await self.until(lambda: widget.value == value, lambda: f"{label} = {value}")
            return
        await self.keys("ctrl+u")
        assert isinstance(widget, Input | TextArea)
        held = widget.value if isinstance(widget, Input) else widget.text
        assert not held, f"{label} still holds {held!r}"
        await self.write(value)

    async def tab(self, name: str) -> None:
        """Press F4, or F3, until a tab is open."""
        await self.until(lambda: self.app.screen.query_one(Tabs).active_tab, lambda: "the tabs")
        tabs = self.app.screen.query_one(Tabs)
        titles = [str(tab.label) for tab in tabs.query(Tab).results(Tab)]
        assert name in titles, f"no tab {name} among {titles}"
        for _ in titles:
            now = titles.index(str(tabs.active_tab.label)) if tabs.active_tab is not None else 0
            if titles[now] == name:
                return
            away = titles.index(name) - now
            await self.keys(*["f4" if away > 0 else "f3"] * abs(away))
            await self.pilot.pause()
        raise AssertionError(f"F3 and F4 never come to the tab {name}")

    async def to_row(self, text: str) -> None:
        """Press Tab until a table with the row has the focus, then ↓ until the cursor is on it."""
        wanted = flat(text)

        def has_it(widget: Widget) -> bool:
            return isinstance(widget, DataGrid | OptionList) and any(
                wanted in one for one in rows(widget)
            )

        focused = await self.focus(has_it, f"a table with {text}")
        assert isinstance(focused, DataGrid | OptionList)
        for _ in range(MOST_TRIES):  # a table that is filled anew has its cursor elsewhere
            place = next((n for n, one in enumerate(rows(focused)) if wanted in one), 0)
            await self.keys("home", *["down"] * place)
            await self.pilot.pause()
            if wanted in rows(focused)[cursor(focused)]:
                return
        raise AssertionError(f"↓ never comes to {text!r}")

    async def command(self, command: Command) -> str:
        """Run the installed command as a shell would, and give what it printed."""
        program, *arguments = command.words
        assert program == "hfterm"
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("hfterm")), *arguments, cwd=self.folder,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "120"},
        )  # fmt: skip
        output, _ = await process.communicate()
        text = output.decode()
        assert process.returncode == 0, f"{command.words} ended with {process.returncode}:\n{text}"
        return text


def cursor(widget: DataGrid | OptionList) -> int:
    """The row under the cursor."""
    if isinstance(widget, DataGrid):
        return widget.cursor_row
    return widget.highlighted or 0


def rows(widget: DataGrid | OptionList) -> list[str]:
    """The rows of a table or a list as text."""
    if isinstance(widget, OptionList):
        return [flat(str(option.prompt)) for option in widget.options]
    source = widget.source
    return [
        flat("  ".join("" if v is None else str(v) for v in source.values(number)))
        for number in range(min(len(source), MOST_ROWS))
    ]


def labels(widget: Widget) -> set[str]:
    """What a field is called on the screen."""
    if isinstance(widget, Choice):
        return {widget.label}
    if isinstance(widget, Button):
        return {str(widget.label)}
    found: set[str] = set()
    if isinstance(widget, Input):
        if isinstance(widget.parent, Field):
            found.add(str(widget.parent.query_one(Label).content).strip())
        if widget.placeholder:
            found.add(widget.placeholder)
    if isinstance(widget, Input | TextArea):
        found |= titles(widget)
    return found


def titles(widget: Widget) -> set[str]:
    """The title of the panel that a widget is in."""
    for node in widget.ancestors_with_self:
        if isinstance(node, Widget) and node.border_title:
            title = str(node.border_title).strip()
            return {title, title.partition(" · ")[0]}
    return set()


def names(widget: Widget) -> set[str]:
    """What `Tab` to it may be called."""
    return labels(widget) | titles(widget)
