from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.color import Color
from textual.theme import Theme
from textual.widgets import DataTable, Footer, Input, Label

from hfterm.themes import DARK, LIGHT, THEMES, load_user_themes


def luminance(color: Color) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(part) for part in color.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(Color.parse(c)) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", ["background", "surface", "panel"])
@pytest.mark.parametrize(
    ("ink", "least"),
    [("foreground", 11), ("text-muted", 4.5), ("text-disabled", 2.5)]
    + [(name, 4.5) for name in ("accent", "warning", "error", "success")],
)
def test_everything_can_be_read(theme: Theme, ground: str, ink: str, least: float) -> None:
    colors = theme.to_color_system().generate()
    assert contrast(colors[ink], colors[ground]) >= least


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_cursor_can_be_read(theme: Theme) -> None:
    colors = theme.to_color_system().generate()
    for cursor in ("block-cursor", "block-cursor-blurred"):
        assert contrast(colors[f"{cursor}-foreground"], colors[f"{cursor}-background"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", ["background", "surface", "panel"])
@pytest.mark.parametrize("ink", ["foreground", "text-muted", "accent", "warning", "error"])
def test_in_16_colours_ink_and_ground_stay_apart(theme: Theme, ground: str, ink: str) -> None:
    colors = theme.to_color_system().generate()

    def number(name: str) -> int | None:
        return Color.parse(colors[name]).rich_color.downgrade(ColorSystem.STANDARD).number

    assert number(ink) != number(ground)


def test_one_accent() -> None:
    for theme in (DARK, LIGHT):
        assert theme.primary == theme.accent


class Small(App[None]):
    def compose(self) -> ComposeResult:
        yield Label("label")
        yield Input("input")
        yield DataTable()
        yield Footer()


async def test_textual_draws_with_our_themes_and_a_users(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nprimary = "rebeccapurple"\nbackground = "ansi_black"\ndark = false\n'
        'text_alpha = 0.9\n[variables]\ntext-muted = "auto 50%"\nborder = "#fff 30%"\n'
        'link-style-hover = "bold not underline"\nlink-background = "initial"\n'
    )
    users, problems = load_user_themes(tmp_path)
    assert problems == []
    assert [theme.name for theme in users] == ["mine"]
    app = Small()
    async with app.run_test(size=(40, 10)) as pilot:
        for theme in (*THEMES, *users):
            app.register_theme(theme)
            app.theme = theme.name
            await pilot.pause()
            assert app.current_theme is theme
            wanted = theme.to_color_system().generate()
            assert app.get_css_variables()["border"] == wanted["border"]
            assert "input" in app.export_screenshot()


def test_the_name_is_the_files_by_default_and_files_are_taken_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.toml").write_text('primary = "#123456"')
    (tmp_path / "notes.txt").write_text("no theme")
    themes, problems = load_user_themes(tmp_path)
    assert ([theme.name for theme in themes], problems) == (["a", "b"], [])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('primary = "#12"', "primary = '#12': must be a colour"),
        ("primary = 3", "primary = '3': must be a colour"),
        ('primary = "ansi_purple"', "must be a colour"),
        ('primary = "rgb(1,2)"', "must be a colour"),
        ("", "primary is missing"),
        ('primary = "red"\nacent = "blue"', "unknown key 'acent'. Did you mean 'accent'?"),
        ('primary = "red"\nname = "hfterm-dark"', "the name 'hfterm-dark' is taken"),
        ('primary = "red"\nname = "nord"', "the name 'nord' is taken"),
        ('primary = "red"\nname = "a\\u001bb"', "must be up to 40 letters"),
        ('primary = "red"\ndark = 1', "dark must be true or false"),
        ('primary = "red"\ntext_alpha = 2', "text_alpha must be a number from 0 to 1"),
        ('primary = "red"\nvariables = 2', "variables must be a table"),
        ('primary = "red"\n[variables]\ntxt-muted = "red"', "Did you mean 'text-muted'?"),
        ('primary = "red"\n[variables]\nborder = "thick; }"', "border = 'thick; }': must be a"),
        ('primary = "red"\n[variables]\nlink-style = "loud"', "must be a style such as bold"),
        ('primary = "red', "line 1: not TOML"),
        (b"primary = \xff", "line 1: not UTF-8"),
    ],
)
def test_a_bad_file_is_one_message_and_the_others_load(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "good.toml").write_text('primary = "#123456"')
    themes, problems = load_user_themes(tmp_path)
    assert [theme.name for theme in themes] == ["good"]
    assert len(problems) == 1
    assert problems[0].startswith(str(bad))
    assert expected in problems[0]


def test_the_same_name_twice(tmp_path: Path) -> None:
    for file in ("1", "2"):
        (tmp_path / f"{file}.toml").write_text('name = "mine"\nprimary = "red"')
    themes, problems = load_user_themes(tmp_path)
    assert len(themes) == 1
    assert "2.toml: the name 'mine' is taken" in problems[0]


def test_no_folder_is_no_themes_and_a_file_in_its_place_is_a_message(tmp_path: Path) -> None:
    assert load_user_themes(tmp_path / "none") == ([], [])
    (tmp_path / "file").write_text("")
    themes, problems = load_user_themes(tmp_path / "file")
    assert themes == []
    assert len(problems) == 1


keys = st.sampled_from([*Theme.__dataclass_fields__, "variables.border", "variables.link-style"])
values = st.one_of(
    st.sampled_from(["true", "1", "nan", "[]", "{}", '"ansi_red"', '"auto 5%"', '"hsl(1,2%,3%)"']),
    st.from_regex(r'"(#|rgb\(|hsl\()?[0-9a-f,%.]{0,12}\)?"', fullmatch=True),
)


@given(st.dictionaries(keys, values, max_size=6), values)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_file_ever_raises_and_what_loads_can_be_drawn(
    tmp_path: Path, entries: dict[str, str], primary: str
) -> None:
    lines = [f"{key} = {value}" for key, value in {"primary": primary, **entries}.items()]
    (tmp_path / "any.toml").write_text("\n".join(lines))
    themes, problems = load_user_themes(tmp_path)
    assert len(themes) + min(len(problems), 1) == 1
    assert all(problem.isprintable() for problem in problems)
    for theme in themes:
        app: App[None] = App()
        app.register_theme(theme)
        app.theme = theme.name
        app.stylesheet.set_variables(app.get_css_variables())
        app.stylesheet.add_source(App.DEFAULT_CSS + Input.DEFAULT_CSS + Footer.DEFAULT_CSS)
        app.stylesheet.parse()
