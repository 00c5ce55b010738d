"""Pictures of the Train screen. `--snapshot-update` takes them anew."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from hfterm.engine.training_requests import ProbeRecipe
from hfterm.screens.train import monitor
from hfterm.screens.train.after import AfterModal
from hfterm.training import run_files as files
from hfterm.training.preview_types import ProbeResult
from hfterm.widgets import training_words
from hfterm.widgets.chart import Chart
from hfterm.widgets.data_grid import DataGrid
from pilot_app import BorrowedEngine, notice, quiet, settled, shown, tab
from run_fixtures import NOON, a_recipe, folds, make_run

Compare = Callable[..., bool]
Steps = Callable[[Pilot[None]], Awaitable[None]]
Studio = Callable[..., object]

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 50)
BOTH = pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=lambda size: f"{size[0]}x{size[1]}")


class Afternoon:
    """The clock of the machine: the day of the runs, wherever the machine is."""

    strftime = staticmethod(time.strftime)

    @staticmethod
    def localtime(when: float = NOON + 7200) -> time.struct_time:
        """In a zone that is the same everywhere."""
        return time.gmtime(when)


@pytest.fixture(autouse=True)
def same_everywhere(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in a folder of the test's, at a fixed time, and a probe that measures the same."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(training_words, "time", Afternoon)
    monkeypatch.setattr(monitor, "STALL", 1e12)  # the runs are silent since 2020
    real = BorrowedEngine.call

    async def call(self: BorrowedEngine, request: object, *more: object) -> object:
        if isinstance(request, ProbeRecipe):
            return ProbeResult(
                step_seconds=0.21, eval_seconds=1.5, peak_memory=640_000_000, total_seconds=95.0,
                losses=(0.7, 0.69),
            )  # fmt: skip
        return await real(self, request, *more)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(BorrowedEngine, "call", call)


def rows(pilot: Pilot[None], name: str) -> int:
    return len(pilot.app.screen.query_one(f"#{name}", DataGrid).source)


def words(pilot: Pilot[None], name: str) -> str:
    return str(pilot.app.screen.query_one(f"#{name}", Static).content)


async def whole(pilot: Pilot[None]) -> None:
    """Nothing is under way, and the lines below are there."""
    await settled(pilot, lambda: "· ram" in shown(pilot.app) and "engine warm" in shown(pilot.app))
    await settled(pilot, lambda: "Esc stops" not in shown(pilot.app))
    await quiet(pilot)


async def counted(pilot: Pilot[None]) -> None:
    """The form, and its cost."""
    await settled(pilot, lambda: "parameters are trained" in words(pilot, "new-cost"), "the cost")


async def checked(pilot: Pilot[None]) -> None:
    """After F5."""
    await counted(pilot)
    await pilot.press("f5")
    await settled(pilot, lambda: "s/step measured" in words(pilot, "new-cost"), "the probe")


async def watching(pilot: Pilot[None], name: str) -> None:
    """A run in the Monitor."""
    await settled(pilot, lambda: pilot.app.screen.query_one("#train-pages Tabs").active_tab)
    await pilot.press("f6")
    await settled(pilot, lambda: rows(pilot, "runs-grid") > 0, "the runs")
    pilot.app.screen.query_one("#runs-filter", Input).value = name
    await settled(pilot, lambda: rows(pilot, "runs-grid") == 1, name)
    await settled(pilot, lambda: pilot.app.screen.query_one("#runs-grid").has_focus)
    await pilot.press("enter")
    await settled(pilot, lambda: pilot.app.screen.query_one("#page-Monitor").display)
    await settled(
        pilot,
        lambda: any(c._chart_lines for c in pilot.app.screen.query("#page-Monitor Chart")
                    .results(Chart)),
        "the charts",
    )  # fmt: skip
    await settled(pilot, lambda: rows(pilot, "monitor-below") > 0, "the events")
    await whole(pilot)


def every_kind() -> None:
    make_run("reviews-lora-r8", note="warmer", tags=["best"], skill=0.93)
    make_run("reviews-full", at=200, recipe=a_recipe("reviews-full", method={"name": "full"}))
    make_run("reviews-hot", "failed", at=400, steps=96, nan_from=90)
    make_run("reviews-long", "died", at=600, steps=70)
    make_run("reviews-half", "stopped", at=800, steps=50)
    make_run("reviews-next", "queued", at=1000)
    make_run("reviews-lora-r16", "running", at=1200, steps=45)


# -- pictures ----------------------------------------------------------------------------------


@BOTH
def test_new(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await counted(pilot)
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)


def test_new_checked(snap_compare: Compare, studio: Studio) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await checked(pilot)
        pilot.app.screen.query_one("#recipe-training-learning_rate").focus()
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=MIDDLE, run_before=steps)


def test_new_with_a_wrong_value(snap_compare: Compare, studio: Studio) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await counted(pilot)
        pilot.app.screen.query_one("#recipe-training-learning_rate", Input).value = "fast"
        await settled(pilot, lambda: '"fast"' in notice(pilot.app))
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=SMALL, run_before=steps)


@BOTH
def test_preview(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await checked(pilot)
        await tab(pilot, "Preview")
        await settled(pilot, lambda: rows(pilot, "preview-rows") == 10)
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)


@BOTH
def test_runs(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    every_kind()

    async def steps(pilot: Pilot[None]) -> None:
        await settled(pilot, lambda: "Train" in shown(pilot.app))
        await settled(pilot, lambda: pilot.app.screen.query_one("#page-Monitor").display)
        await pilot.press("f6")
        await settled(pilot, lambda: rows(pilot, "runs-grid") == 7)
        await settled(pilot, lambda: pilot.app.screen.query_one("#runs-grid").has_focus)
        await pilot.press("home", "down", "space", "space", "down")
        await settled(pilot, lambda: "no number any more" in words(pilot, "runs-about"))
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)


def test_runs_before_there_is_any(snap_compare: Compare, studio: Studio) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await counted(pilot)
        await pilot.press("f6")
        await settled(pilot, lambda: "No run yet" in shown(pilot.app))
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=SMALL, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE], ids=lambda size: f"{size[0]}x{size[1]}")
def test_monitor_of_a_run_that_goes_on(
    snap_compare: Compare, studio: Studio, size: tuple[int, int]
) -> None:
    make_run("reviews-lora", "running", steps=85)

    async def steps(pilot: Pilot[None]) -> None:
        await watching(pilot, "reviews")
        await pilot.press("left", "left", "left")
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)


@BOTH
def test_monitor_of_a_resumed_run(
    snap_compare: Compare, studio: Studio, size: tuple[int, int]
) -> None:
    make_run("reviews-lora", resumed=(90, 60))

    async def steps(pilot: Pilot[None]) -> None:
        await watching(pilot, "reviews")

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)


@BOTH
def test_monitor_of_a_failed_run(
    snap_compare: Compare, studio: Studio, size: tuple[int, int]
) -> None:
    make_run("reviews-hot", "failed", steps=96, nan_from=80, alert="the loss jumped to 9")

    async def steps(pilot: Pilot[None]) -> None:
        await watching(pilot, "reviews")

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)


def test_monitor_without_a_run(snap_compare: Compare, studio: Studio) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await counted(pilot)
        await tab(pilot, "Monitor")
        await settled(pilot, lambda: "No run is watched" in shown(pilot.app))
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=SMALL, run_before=steps)


@BOTH
def test_compare_of_folds(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    folds()

    async def steps(pilot: Pilot[None]) -> None:
        await settled(pilot, lambda: pilot.app.screen.query_one("#train-pages Tabs").active_tab)
        await pilot.press("f6")
        await settled(pilot, lambda: rows(pilot, "runs-grid") == 6)
        await settled(pilot, lambda: pilot.app.screen.query_one("#runs-grid").has_focus)
        await pilot.press("m")
        await settled(pilot, lambda: rows(pilot, "runs-compare-methods") == 2)
        chart = pilot.app.screen.query_one("#runs-compare-chart", Chart)
        await settled(pilot, lambda: len(chart._chart_lines) == 6)
        await whole(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)


@BOTH
def test_after_a_run(snap_compare: Compare, studio: Studio, size: tuple[int, int]) -> None:
    path = make_run("reviews-lora")
    assert (path / files.MODEL).is_dir()

    async def steps(pilot: Pilot[None]) -> None:
        await watching(pilot, "reviews")
        await pilot.press("o")
        await settled(pilot, lambda: isinstance(pilot.app.screen, AfterModal))
        await quiet(pilot)

    assert snap_compare(studio(mode="train"), terminal_size=size, run_before=steps)
