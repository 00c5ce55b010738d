"""Which theme the application has: the one of its settings, and what a chosen one does to them."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import App
from textual.theme import Theme

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.settings import Settings
from hfterm.settings_fields import did_you_mean
from hfterm.text import displayable
from hfterm.themes import DARK, LIGHT, load_user_themes


class Themed(App[None]):
    """An application with hfterm's own themes and the user's.

    Attributes:
        shallow: the terminal has few colours, or none: its own are used, and none is computed.
    """

    settings: Settings
    shallow = False

    def set_theme(self) -> list[str]:
        """Take the theme of the settings, and say what is wrong with it or with a theme's file."""
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        themes, problems = load_user_themes(paths.themes_dir())
        for theme in themes:
            self.register_theme(theme)
        wanted, wrong = self._wanted_theme(themes)
        # before the first style is computed: setting it later computes all of them twice
        self.set_reactive(App.theme, wanted)
        return [*problems, wrong] if wrong else problems

    def _wanted_theme(self, themes: Iterable[Theme]) -> tuple[str, str]:
        name, wrong = self.settings.theme, ""
        if name not in self.available_themes:
            known = ", ".join(sorted({theme.name for theme in themes} | {DARK.name, LIGHT.name}))
            hint = did_you_mean(name, self.available_themes) or f"; try {known}."
            wrong = f"theme = {name!r} is not a theme here{hint}"
            name = DARK.name
        if self.shallow and name in (DARK.name, LIGHT.name):
            name = "ansi-dark" if name == DARK.name else "ansi-light"
        return name, wrong

    def watch_theme(self, theme: str) -> None:
        """A theme that was chosen is kept for the next time."""
        if not self.is_running or self.shallow or theme == self.settings.theme:
            return
        from hfterm.settings_edit import save_value

        try:
            save_value(paths.settings_file(), "theme", theme)
        except HftermError as error:
            self.notify(displayable(str(error)), severity="warning", markup=False)
