"""The Library where things are broken, gone, not hfterm's, or nothing at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from hfterm import paths
from hfterm.app import HftermApp
from hfterm.hub import starter
from hfterm.hub.repo_download import PART
from hfterm.screens.library.data import DataRowsPage
from hfterm.screens.library.download import DownloadPage
from hfterm.screens.library.files import FilesPage
from hfterm.screens.library.open_in import OpenItemIn
from hfterm.screens.library.screen import LibraryScreen
from hfterm.screens.library.things import ThingsPage
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.exporting import ExportModal
from hub_server import Hub
from pilot_app import BackgroundEngine, settled, shown, toasts
from screen_fixtures import MakeApp

SIZE = (120, 40)
REF = "lab/small"
COMMIT = "c" * 40


@pytest.fixture
def cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, background_engine: BackgroundEngine
) -> Path:
    """An empty hub cache, and a starter kit that is empty too: these tests delete things."""
    assert background_engine.client.status.phase == "warm"  # by the kit that there is
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "starter"))
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def revision(cache: Path, ref: str, commit: str) -> Path:
    """A revision of a model in the cache."""
    repo = cache / f"models--{ref.replace('/', '--')}"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / "main").write_text(commit)
    (snapshot / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    return snapshot


def page(app: HftermApp) -> object:
    """The tab in sight."""
    assert isinstance(app.workbench, LibraryScreen)
    return app.workbench.page


async def things(pilot: Pilot[None], words: str = "thing") -> ThingsPage:
    """The Things tab, once it says so."""
    app = pilot.app
    assert isinstance(app, HftermApp)
    await settled(pilot, lambda: isinstance(page(app), ThingsPage))
    await settled(pilot, lambda: words in shown(app) and not app.screen.query_one(ThingsPage).busy)
    return app.screen.query_one(ThingsPage)


async def find(pilot: Pilot[None], name: str, count: int = 1) -> ThingsPage:
    """Search for a thing, and leave the cursor on it."""
    here = pilot.app.screen.query_one(ThingsPage)
    pilot.app.screen.query_one("#library-search", Input).value = name
    grid = here.query_one("#library-grid", DataGrid)
    await settled(pilot, lambda: len(grid.source) == count, f"{count} of {name}")
    grid.focus()
    await pilot.pause()
    return here


async def test_what_can_not_be_opened_or_deleted_is_said(
    make_app: MakeApp, cache: Path, tmp_path: Path
) -> None:
    mine = paths.tokenizers_dir() / "mine"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("hello")
    revision(cache, REF, COMMIT)
    revision(cache, REF, "d" * 40)
    bad = tmp_path / "models" / "bad"
    bad.mkdir(parents=True)
    for name in ("config.json", "generation_config.json"):
        (bad / name).write_text("{")
    app = make_app(mode="library")
    folders = (str(tmp_path / "models"), "/nowhere/one", "/nowhere/two")
    app._start = replace(app._start, folders=folders)
    async with app.run_test(size=SIZE) as pilot:
        await things(pilot, "There is no folder /nowhere/one.")
        assert "And 1 more." in shown(app)

        # nothing under the cursor
        here = await find(pilot, "zzz", 0)
        assert "Nothing here fits that." in shown(app)
        await pilot.press("enter", "f", "v", "d", "ctrl+e", "f9")
        await settled(pilot, lambda: len(toasts(app)) >= 2)
        assert "There is nothing here to export." in toasts(app)
        assert "There is nothing to copy here." in toasts(app)
        assert page(app) is here
        assert not here.busy
        await pilot.press("f4")
        await settled(pilot, lambda: isinstance(page(app), FilesPage))
        await settled(pilot, lambda: "Choose a thing on the Things tab" in shown(app))
        await pilot.press("f6")

        # damaged in two ways, and not brought by hfterm
        await settled(pilot, lambda: page(app) is here and not here.busy)
        await find(pilot, "models/bad")
        await pilot.press("v")
        await settled(pilot, lambda: "is damaged." in shown(app))
        assert "And 2 more." in shown(app)
        assert "Write it again." in shown(app)
        await pilot.press("d")
        await settled(pilot, lambda: "hfterm did not bring" in here.notice.message)
        assert not isinstance(app.screen, Confirm)

        # no screen opens it; a no keeps it, and what changed meanwhile is said
        await find(pilot, "mine")
        await pilot.press("enter")
        await settled(pilot, lambda: "No screen opens" in shown(app))
        assert "f lists its files." in shown(app)
        await pilot.press("o")
        await settled(pilot, lambda: bool(app.screen.is_modal) or len(toasts(app)) > 2)
        assert not isinstance(app.screen, OpenItemIn)
        if app.screen.is_modal:
            await pilot.press("escape")
        await settled(pilot, lambda: not app.screen.is_modal)
        await pilot.press("d")
        await settled(pilot, lambda: isinstance(app.screen, Confirm))
        assert "It can't be brought back." in shown(app)
        await pilot.press("escape")
        await settled(pilot, lambda: not app.screen.is_modal and not here.busy)
        assert mine.is_dir()
        await pilot.press("d")
        await settled(pilot, lambda: isinstance(app.screen, Confirm))
        shutil.rmtree(mine)
        mine.write_text("a file by now")
        await pilot.press("alt+y")
        await settled(pilot, lambda: "can't be deleted" in shown(app))
        assert mine.read_text() == "a file by now"

        # all revisions of a repository
        await find(pilot, REF)
        await pilot.press("d")
        await settled(pilot, lambda: isinstance(app.screen, Confirm))
        assert "All 2 revisions of it go." in shown(app)
        assert "It can be brought again from the hub." in shown(app)
        await pilot.press("alt+y")
        await settled(pilot, lambda: f"{REF} is deleted" in shown(app))
        assert not (cache / "models--lab--small").exists()


async def test_what_the_starter_kit_brought_can_come_again(make_app: MakeApp, cache: Path) -> None:
    kit = starter.find("minilm")
    assert kit is not None
    (kit.folder / kit.proof).parent.mkdir(parents=True)
    (kit.folder / kit.proof).write_text("{}")
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        here = await things(pilot, "1 thing ·")
        await pilot.press("d")
        await settled(pilot, lambda: isinstance(app.screen, Confirm))
        assert "hfterm starter minilm brings it again." in shown(app)
        await pilot.press("escape")
        await settled(pilot, lambda: not app.screen.is_modal and not here.busy)
        assert (kit.folder / kit.proof).is_file()


async def test_a_download_that_was_broken_off_is_asked_for_again(
    make_app: MakeApp, cache: Path
) -> None:
    blobs = cache / "datasets--lab--rows" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'a' * 64}{PART}").write_bytes(bytes(2_000_000))
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        await things(pilot, "2.0 MB broken off")
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(page(app), DownloadPage))
        field = app.screen.query_one("#download-ref", Input)
        await settled(pilot, lambda: field.value == "lab/rows")
        # the hub is switched off here, which is said and leaves the form as it is
        await settled(pilot, lambda: "HF_HUB_OFFLINE" in shown(app))
        assert "data set" in shown(app)


async def test_rows_of_nothing_of_a_folder_and_of_what_is_gone(
    make_app: MakeApp, cache: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    first = rows / f"a{'-long' * 6}.csv"
    first.write_text("text,label\nhello,1\nbye,0\n")
    (rows / "b.csv").write_text("text,label\nagain,1\n")
    (tmp_path / "empty.csv").write_text("text,label\n")
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: isinstance(page(app), ThingsPage))
        await pilot.press("f4")
        await settled(pilot, lambda: isinstance(page(app), FilesPage))
        await pilot.press("f4")
        await settled(pilot, lambda: isinstance(page(app), DataRowsPage))
        here = app.screen.query_one(DataRowsPage)
        field = app.screen.query_one("#rows-source", Input)

        # no data set is open
        await pilot.press("enter", "f5", "alt+n", "alt+c")
        await settled(pilot, lambda: "No data set is open." in shown(app))
        await pilot.press("f2", "ctrl+e")
        await settled(pilot, lambda: len(toasts(app)) == 2)
        assert toasts(app)[0].startswith("Nothing is shown yet")
        assert not here.busy

        # a folder: the first of its files
        field.value = str(rows)
        field.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: "rows 1 to 2" in shown(app))
        assert f"the first of 2 files: {first.name} " in shown(app)
        await pilot.resize_terminal(80, 24)
        await settled(pilot, lambda: "…" in shown(app).splitlines()[5])
        line = shown(app).splitlines()[5].rstrip("│ ")
        assert "the first of 2 files: a-" in line
        assert line.endswith("ng.csv")
        await pilot.resize_terminal(*SIZE)
        await pilot.press("alt+n")
        await settled(pilot, lambda: "There are no rows after these." in shown(app))
        first.write_text("text,label\nhello,1\nbye,0\nmore,1\n")
        await pilot.press("f5")
        await settled(pilot, lambda: "rows 1 to 3" in shown(app))
        await pilot.press("alt+c")
        columns = app.screen.query_one("#rows-columns", DataGrid)
        await settled(pilot, lambda: len(columns.source) == 2)

        # the table with the focus is exported
        for focused, count in (("#rows-columns", 2), ("#rows-grid", 3)):
            app.screen.query_one(focused).focus()
            await pilot.press("ctrl+e")
            await settled(pilot, lambda: isinstance(app.screen, ExportModal))
            assert f"{count} rows" in shown(app)
            written = app.screen.query_one(Input)
            written.value = " "
            await pilot.press("enter")
            assert isinstance(app.screen, ExportModal)  # no name: nothing is written
            await pilot.press("escape")
            await settled(pilot, lambda: not app.screen.is_modal)

        # another file has other columns; one without rows says so
        field.value = str(tmp_path / "empty.csv")
        field.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: "no rows" in shown(app))
        assert len(columns.source) == 0

        # what is gone meanwhile is said, and what was shown stays
        field.value = str(rows / "b.csv")
        field.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: "rows 1 to 1" in shown(app))
        (rows / "b.csv").unlink()
        await pilot.press("alt+c")
        await settled(pilot, lambda: "b.csv" in here.notice.message)
        assert len(columns.source) == 0
        await pilot.press("f5")
        await settled(pilot, lambda: not here.busy and "There is no file" in here.notice.message)
        assert "again" in shown(app)


async def test_a_data_set_that_was_named_at_the_start_is_shown(
    make_app: MakeApp, cache: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text\nhello there\n")
    app = make_app(mode="library")
    app._start = replace(app._start, file=str(file))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "hello there" in shown(app))
        assert isinstance(page(app), DataRowsPage)
        assert app.screen.query_one("#rows-source", Input).value == str(file)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    folder = tmp_path / "original"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}" + bytes(3_000_000))
    with Hub(folders={REF: folder}, large=1_000_000) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        yield server


async def test_a_second_press_while_it_downloads_and_another_id_after_it(
    make_app: MakeApp, hub: Hub, cache: Path
) -> None:
    content = (hub.folders[REF] / "model.safetensors").read_bytes()
    part = cache / "models--lab--small" / "blobs" / f"{hashlib.sha256(content).hexdigest()}{PART}"
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:1_000_000])
    seen = threading.Event()
    app = make_app(mode="library")
    try:
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot, lambda: isinstance(page(app), ThingsPage))
            await pilot.press("f3")
            await settled(pilot, lambda: isinstance(page(app), DownloadPage))
            here = app.screen.query_one(DownloadPage)
            await pilot.press(*REF, "f7")  # without a list it makes one
            await settled(pilot, lambda: "2 files" in shown(app) and not here.busy)
            assert "left out" not in shown(app)
            assert "1.0 MB of it are here · Enter goes on" in shown(app)
            hub.piece, hub.between = 200_000, lambda: seen.wait(60)
            await pilot.press("f7")
            await settled(pilot, lambda: any("model.safetensors" in path for _, path in hub.asked))
            field = app.screen.query_one("#download-ref", Input)
            await pilot.press("f7", "enter")
            assert here.busy
            field.focus()
            await pilot.press("enter")
            await settled(pilot, lambda: "still on its way" in shown(app))
            here.show("lab/other", dataset=False)
            assert (here.busy, field.value) == (True, REF)
            field.value = f"{REF}2"  # what is being brought stays in sight
            await pilot.pause()
            assert "2 files" in shown(app)
            seen.set()
            await settled(pilot, lambda: f"{REF} is here" in shown(app))
            asked = [path for way, path in hub.asked if way == "GET"]
            assert sum(path.endswith("model.safetensors") for path in asked) == 1
            assert "all of it is here" in shown(app)
            field.value = "lab/other"
            await settled(pilot, lambda: "all of it is here" not in shown(app))
            assert len(app.screen.query_one("#download-grid", DataGrid).source) == 0
            await pilot.press("ctrl+e")
            await settled(pilot, lambda: "There is nothing here to export." in toasts(app))
    finally:
        seen.set()
