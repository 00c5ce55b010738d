"""The Library screen: real folders, a real engine, and a hub on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from hfterm.app import HftermApp
from hfterm.engine.client import EngineClient
from hfterm.hub.repo_download import PART
from hfterm.screens.library.data import DataRowsPage
from hfterm.screens.library.download import DownloadPage
from hfterm.screens.library.files import FilesPage
from hfterm.screens.library.open_in import OpenItemIn
from hfterm.screens.library.screen import LibraryScreen
from hfterm.screens.library.things import ThingsPage
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.data_grid import DataGrid
from hub_server import Hub
from pilot_app import settled, shown
from screen_fixtures import MakeApp

pytestmark = pytest.mark.usefixtures("starter_kit")

SIZE = (120, 40)
REF = "lab/small"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    folder = tmp_path / "original"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}" + bytes(3_000_000))
    (folder / "rows.csv").write_text("text,label\nhello,1\nbye,0\n")
    with Hub(folders={REF: folder}, large=1_000_000) as server:
        # the library's engine is started with this environment
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        yield server


def screen(app: HftermApp) -> LibraryScreen:
    assert isinstance(app.workbench, LibraryScreen)
    return app.workbench


async def things(pilot: Pilot[None]) -> ThingsPage:
    """The Things tab, once it lists something."""
    app = pilot.app
    assert isinstance(app, HftermApp)
    await settled(pilot, lambda: "things ·" in shown(app) and "smollm2" in shown(app))
    page = screen(app).page
    assert isinstance(page, ThingsPage)
    return page


async def test_a_thing_is_found_and_opened_on_a_screen(make_app: MakeApp, cache: Path) -> None:
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        page = await things(pilot)
        await pilot.press("slash", *"bertmodel")
        await settled(pilot, lambda: len(page.query_one(DataGrid).source) == 1)
        await pilot.press("enter")
        assert "22.7" in shown(app)
        await pilot.press("o")
        await settled(pilot, lambda: isinstance(app.screen, OpenItemIn))
        options = app.screen.query_one(OptionList)
        titles = [str(options.get_option_at_index(at).prompt) for at in range(5)]
        assert titles == ["Models", "Tokenize", "Predict", "Attention", "Train"]
        await pilot.press("down", "enter")
        await settled(pilot, lambda: app.current_mode == "tokenize")
        await settled(pilot, lambda: "minilm" in shown(app).splitlines()[0])


async def test_rows_of_a_data_set_and_its_columns(make_app: MakeApp, cache: Path) -> None:
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        await things(pilot)
        await pilot.press("slash", *"reviews", "enter", "enter")
        await settled(pilot, lambda: "rows 1 to 500" in shown(app))
        assert isinstance(screen(app).page, DataRowsPage)
        await pilot.press("p")
        await settled(pilot, lambda: "There are no rows before these." in shown(app))
        await pilot.press("n")
        await settled(pilot, lambda: "rows 501 to 1,000" in shown(app))
        await pilot.press("c")
        await settled(pilot, lambda: "10,605" in shown(app))
        await pilot.press("f2")
        await settled(pilot, lambda: "range(500, min(1000" in shown(app))
        await pilot.press("escape")
        field = app.screen.query_one("#rows-source", Input)
        field.focus()
        field.value = "/nowhere/rows.csv"
        await pilot.press("enter")
        await settled(pilot, lambda: "There is no file '/nowhere/rows.csv'" in shown(app))
        assert "rows 501 to 1,000" in shown(app)


async def test_a_download_is_stopped_gone_on_with_checked_and_deleted(
    make_app: MakeApp, hub: Hub, cache: Path
) -> None:
    content = (hub.folders[REF] / "model.safetensors").read_bytes()
    blob = cache / "models--lab--small" / "blobs" / hashlib.sha256(content).hexdigest()
    part = blob.with_name(blob.name + PART)
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        await things(pilot)
        await pilot.press("f3")
        await settled(pilot, lambda: isinstance(screen(app).page, DownloadPage))
        await pilot.press(*REF, "enter")
        await settled(pilot, lambda: "2 files" in shown(app))
        assert "1 left out" in shown(app)
        seen, pieces = threading.Event(), count(1)

        def hold() -> None:
            if next(pieces) >= 4:
                seen.wait(60)

        hub.piece, hub.between = 200_000, hold
        await pilot.press("f7")
        await settled(pilot, lambda: part.exists() and part.stat().st_size >= 400_000)
        await pilot.press("escape")
        await settled(pilot, lambda: "What arrived is kept" in shown(app))
        assert "Enter goes on" in shown(app)
        hub.between = None
        seen.set()
        before = part.stat().st_size
        await pilot.press("f7")
        await settled(pilot, lambda: f"{REF} is here" in shown(app))
        assert blob.read_bytes() == content
        assert before < len(content)
        await pilot.press("f2")
        await settled(pilot, lambda: "snapshot_download" in shown(app))
        await pilot.press("escape", "f6")
        page = await things(pilot)
        await pilot.press("slash", *"lab", "enter", "v")
        await settled(pilot, lambda: "is whole: 2 files" in shown(app))
        blob.write_bytes(content[:-1] + b"\x01")
        await pilot.press("v")
        await settled(pilot, lambda: "lab/small is damaged." in shown(app))
        await pilot.press("f")
        await settled(pilot, lambda: isinstance(screen(app).page, FilesPage))
        await settled(pilot, lambda: "lab/small · 2 files" in shown(app))
        await pilot.press("f6")
        await settled(pilot, lambda: screen(app).page is page and not page.busy)
        await pilot.press("d")
        await settled(pilot, lambda: isinstance(app.screen, Confirm))
        assert "It frees 3.0 MB." in shown(app)
        await pilot.press("alt+y")
        await settled(pilot, lambda: "lab/small is deleted" in shown(app))
        assert not (cache / "models--lab--small").exists()


async def test_what_the_hub_refuses_is_said_on_the_tab(
    make_app: MakeApp, hub: Hub, cache: Path
) -> None:
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        await things(pilot)
        await pilot.press("f3")
        await settled(pilot, lambda: isinstance(screen(app).page, DownloadPage))
        field = app.screen.query_one("#download-ref", Input)
        for ref, words in (
            ("", "No hub id is typed."),
            ("no id", "is no hub id"),
            ("lab/missing", "has no model named"),
            ("lab/gated", "is gated"),
            ("lab/private", "(401)"),
            ("lab/busy", "Try again in 1 second"),
        ):
            field.focus()
            field.value = ref
            await pilot.press("enter")
            await settled(pilot, lambda words=words: words in shown(app), words)
        hub.tampered.add("model.safetensors")
        field.focus()
        field.value = REF
        await pilot.press("enter")
        await settled(pilot, lambda: "2 files" in shown(app))
        await pilot.press("enter")
        await settled(pilot, lambda: "is not what it lists" in shown(app))
        assert "2 files" in shown(app)
        hub.tampered.clear()
        await pilot.press("f7")
        await settled(pilot, lambda: f"{REF} is here" in shown(app))


async def test_an_engine_that_is_killed_is_said_and_started_again(
    make_app: MakeApp, hub: Hub, cache: Path
) -> None:
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        page = await things(pilot)
        engine: EngineClient = page.engine
        pid = engine.status.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await settled(pilot, lambda: engine.status.phase == "dead")
        await pilot.press("f5")
        await settled(pilot, lambda: engine.status.pid not in (pid, None) and not page.busy)
        assert "smollm2" in shown(app)
