"""What comes before a widget has its size, after a list has changed, or names what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.widgets import Input, OptionList

from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.screens.bindings import all_bindings
from hfterm.system.reach import reach
from hfterm.tomlfile import read_toml
from hfterm.widgets.chart import Chart
from hfterm.widgets.copying import copyable_text
from hfterm.widgets.palettes import Palettes


class Lists(Palettes):
    """A list."""

    def compose(self) -> ComposeResult:
        yield OptionList("one", "two", "three")


async def test_a_resize_that_is_over_by_now_gives_the_size_of_now() -> None:
    app = Lists()
    async with app.run_test(size=(60, 20)) as pilot:
        stale = events.Resize(Size(30, 10), Size(30, 10), Size(30, 10))
        app.screen.post_message(stale)
        await pilot.pause()
        assert app.screen.size == app.size
        assert app.screen.size.width == 60


async def test_a_field_gives_its_text_to_copy() -> None:
    app = Lists()
    async with app.run_test():
        assert copyable_text(Input("what was typed")) == "what was typed"
        assert copyable_text(app.query_one(OptionList)) == ""


async def test_a_click_on_a_chart_without_a_size_puts_no_cursor() -> None:
    chart = Chart()
    chart._point(3.0)
    assert chart.view.cursor is None


def test_only_keys_that_have_a_name_are_listed() -> None:
    class Keys(App[None]):
        BINDINGS: ClassVar[list[BindingType]] = [
            ("f11", "one", "A pair has no id"),
            Binding("f12", "two", "Named", id="the.name"),
            Binding("f10", "three", "Not named"),
            Binding("f9", "four", "Named again", id="the.name"),
        ]

    found = all_bindings(Keys)
    assert [binding.action for binding in found if binding.id == "the.name"] == ["two"]
    assert all(binding.id for binding in found)
    assert not {"one", "three"} & {binding.action for binding in found}


def test_a_hub_that_does_not_answer_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    found = reach("https://127.0.0.1:9", 20)
    assert not found.reachable
    assert "refused" in found.reason.lower()


def test_a_bracket_that_is_not_closed_is_told_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('one = "open\n\n\ntwo = 2\n')
    read = read_toml(file)
    assert read.data == {"two": 2}
    assert "line 1" in read.problems[0]


def test_a_folder_of_one_gguf_is_that_gguf_and_of_two_is_none(tmp_path: Path) -> None:
    (tmp_path / "b.gguf").write_bytes(b"GGUF" * 10)
    source = resolve_model(str(tmp_path), ())
    assert (source.weights, source.gguf, source.size) == ("gguf", "b.gguf", 40)
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(HftermError, match="2 GGUF files: name one"):
        resolve_model(str(tmp_path), ())
