"""The first start without a starter kit, and what the settings say on the first screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Tabs

from hfterm import paths, settings
from hfterm.widgets.starter_offer import StarterOffer
from pilot_app import notice, ready, settled, shown, toasts, tokenize_screen, tokens
from screen_fixtures import MakeApp


def no_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty starter folder, and a package registry that nobody answers at."""
    empty = tmp_path / "starter"
    empty.mkdir()
    monkeypatch.setenv("HFTERM_STARTER", str(empty))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return empty


@pytest.mark.parametrize("key", ["enter", "1"])
async def test_offer_and_no_registry(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    empty = no_kit(tmp_path, monkeypatch)
    app = make_app(own_engine=True)
    async with app.run_test() as pilot:
        await settled(pilot, lambda: app.screen.query_one(StarterOffer).has_focus)
        screen = shown(app)
        for said in ("No tokenizer is open yet", "Enter", "MiniLM", "SmolLM2", "F6", "only MiniLM"):
            assert said in screen
        await pilot.press(key)
        await settled(
            pilot, lambda: "registry" in notice(app) and "can't be reached" in notice(app)
        )
        assert "a folder" in notice(app) or "the folder" in notice(app)
        assert "Try again" in shown(app) or "can't be reached" in shown(app)
        assert not [path for path in empty.iterdir() if not path.name.startswith(".")]
        assert tokenize_screen(app).subject.text
        await app.action_quit()


async def test_offer_gives_way_to_a_model_by_path(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: dict[str, Path]
) -> None:
    no_kit(tmp_path, monkeypatch)
    app = make_app(text="fox", own_engine=True)
    async with app.run_test() as pilot:
        await settled(pilot, lambda: app.screen.query_one(StarterOffer).has_focus)
        await pilot.press("f6")
        await settled(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press(*str(zoo["characters"]), "enter")
        await settled(pilot, lambda: tokens(app) == ["f", "o", "x"])
        assert "No tokenizer is open yet" not in shown(app)
        await app.action_quit()


def written(text: str) -> tuple[settings.Settings, list[str]]:
    """Load a settings file with this content."""
    file = paths.settings_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return settings.load(file)


async def test_unknown_setting_is_a_toast(make_app: MakeApp) -> None:
    wanted, problems = written('thema = "hfterm-light"\n')
    app = make_app(settings=wanted, problems=problems)
    async with app.run_test(notifications=True) as pilot:
        await ready(pilot)
        said = "\n".join(toasts(app))
        assert "unknown key 'thema'. Did you mean 'theme'?" in said
        assert "Did you mean" in shown(app)
        assert app.theme == "hfterm-dark"


async def test_keys_can_be_remapped(make_app: MakeApp) -> None:
    wanted, problems = written('keymap = { "tokenize.next-tab" = "f12", "code" = "f11" }\n')
    assert not problems
    app = make_app(settings=wanted, problems=problems)
    async with app.run_test(notifications=True) as pilot:
        await ready(pilot)
        tabs = tokenize_screen(app).query_one(Tabs)
        await pilot.press("f4")
        assert tabs.active == "tab-Table"
        await pilot.press("f12")
        await settled(pilot, lambda: tabs.active == "tab-Steps")
        await pilot.press("f2")
        assert len(app.screen_stack) == 1
        await pilot.press("f11")
        await settled(pilot, lambda: len(app.screen_stack) == 2)
        assert not toasts(app)


async def test_remapped_key_that_does_not_exist_is_a_toast(make_app: MakeApp) -> None:
    wanted, problems = written('keymap = { "tokenize.nexttab" = "f12" }\n')
    app = make_app(settings=wanted, problems=problems)
    async with app.run_test(notifications=True) as pilot:
        await ready(pilot)
        said = "\n".join(toasts(app))
        assert "tokenize.nexttab" in said
        assert "Did you mean 'tokenize.next-tab'?" in said
        tabs = tokenize_screen(app).query_one(Tabs)
        await pilot.press("f4")
        await settled(pilot, lambda: tabs.active == "tab-Steps")


async def test_broken_theme_is_a_toast_and_the_default_is_used(make_app: MakeApp) -> None:
    paths.themes_dir().mkdir(parents=True)
    (paths.themes_dir() / "mine.toml").write_text('primary = "not a colour"\n')
    wanted, problems = written('theme = "mine"\n')
    app = make_app(settings=wanted, problems=problems)
    async with app.run_test(notifications=True, size=(100, 40)) as pilot:
        await ready(pilot)
        said = "\n".join(toasts(app))
        assert "mine.toml" in said
        assert "must be a colour" in said
        assert "theme = 'mine' is not a theme here" in said
        assert app.theme == "hfterm-dark"


async def test_own_theme_is_used(make_app: MakeApp) -> None:
    paths.themes_dir().mkdir(parents=True)
    (paths.themes_dir() / "mine.toml").write_text('primary = "#0044CC"\ndark = false\n')
    wanted, problems = written('theme = "mine"\n')
    app = make_app(settings=wanted, problems=problems)
    async with app.run_test(notifications=True) as pilot:
        await ready(pilot)
        assert not toasts(app)
        assert app.theme == "mine"


async def test_model_and_text_of_the_command_line(make_app: MakeApp) -> None:
    app = make_app("smollm2", "Hi there")
    async with app.run_test() as pilot:
        await ready(pilot)
        assert tokens(app) == ["Hi", "Ġthere"]
        assert "smollm2" in shown(app).split("\n")[0]
