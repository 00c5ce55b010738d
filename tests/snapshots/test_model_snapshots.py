"""Pictures of the Models and Predict screens. `--snapshot-update` takes them anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from hfterm.widgets.data_grid import DataGrid
from pilot_app import notice, quiet, settled, shown, tab

Compare = Callable[..., bool]
Steps = Callable[[Pilot[None]], Awaitable[None]]

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 50)


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def rows(pilot: Pilot[None], name: str) -> int:
    return len(pilot.app.screen.query_one(f"#{name}", DataGrid).source)


async def described(pilot: Pilot[None]) -> None:
    """The classes, and the machine's load."""
    await settled(pilot, lambda: rows(pilot, "classes-grid") > 0, "the classes")
    await settled(pilot, lambda: rows(pilot, "models-grid") > 500, "the list")
    await settled(pilot, lambda: "· ram" in shown(pilot.app) and "engine warm" in shown(pilot.app))


async def predicting(pilot: Pilot[None]) -> None:
    await settled(pilot, lambda: "· ram" in shown(pilot.app) and "engine warm" in shown(pilot.app))
    await settled(pilot, lambda: "F5 runs the model" in shown(pilot.app))


GRIDS = {
    "Classes": "classes-grid",
    "Config": "config-grid",
    "Parameters": "parameters-grid",
    "Memory": "memory-grid",
    "LoRA": "lora-ranks",
}


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
@pytest.mark.parametrize("title", [*GRIDS, "Compare", "Load"])
def test_models_tab(
    snap_compare: Compare, studio: Callable[..., object], title: str, size: tuple[int, int]
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await described(pilot)
        await tab(pilot, title)
        if title in GRIDS:
            await settled(pilot, lambda: rows(pilot, GRIDS[title]) > 0)
        elif title == "Compare":
            await settled(pilot, lambda: "the same class" in shown(pilot.app))
        else:
            await settled(pilot, lambda: "Nothing is loaded" in shown(pilot.app))
        await settled(pilot, lambda: "Esc stops" not in shown(pilot.app))
        await quiet(pilot)

    assert snap_compare(studio(mode="models"), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("colors", ["truecolor", "16", "none"])
def test_models_large(snap_compare: Compare, studio: Callable[..., object], colors: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await described(pilot)
        pilot.app.screen.query_one("#classes-grid", DataGrid).focus()
        await pilot.press("home", "down", "down")
        await settled(pilot, lambda: "head is new" in shown(pilot.app))

    app = studio(mode="models", colors=colors)
    assert snap_compare(app, terminal_size=LARGE, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_models_list(
    snap_compare: Compare, studio: Callable[..., object], size: tuple[int, int]
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await described(pilot)
        await pilot.press("f6", *"bert")
        await settled(pilot, lambda: "albert" in shown(pilot.app))

    assert snap_compare(studio(mode="models"), terminal_size=size, run_before=steps)


def test_models_error(snap_compare: Compare, studio: Callable[..., object]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await described(pilot)
        await pilot.press("f6", *"./nothing", "enter")
        await settled(pilot, lambda: "no file or folder" in notice(pilot.app))

    assert snap_compare(studio(mode="models"), terminal_size=SMALL, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_predict_before_it_ran(
    snap_compare: Compare, studio: Callable[..., object], size: tuple[int, int]
) -> None:
    assert snap_compare(studio(mode="predict"), terminal_size=size, run_before=predicting)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
@pytest.mark.parametrize(
    "task", ["text-classification", "token-classification", "question-answering",
             "feature-extraction", "zero-shot"]
)  # fmt: skip
def test_predict_task(
    snap_compare: Compare, studio: Callable[..., object], task: str, size: tuple[int, int]
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await predicting(pilot)
        pilot.app.workbench.action_choose_task(task)
        await pilot.press("f5")
        await settled(pilot, lambda: rows(pilot, "result-grid") > 0, "a result")
        await settled(pilot, lambda: "Esc stops" not in shown(pilot.app))
        await quiet(pilot)
        await settled(pilot, lambda: "●" in shown(pilot.app), "the model in the status line")

    assert snap_compare(studio(mode="predict"), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_predict_batch(
    snap_compare: Compare, studio: Callable[..., object], size: tuple[int, int]
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await predicting(pilot)
        await tab(pilot, "Batch")
        pilot.app.screen.query_one("#batch-most", Input).value = "24"
        await pilot.press("f5")
        await settled(pilot, lambda: rows(pilot, "batch-rows") == 24, "the rows")
        await settled(pilot, lambda: "Esc stops" not in shown(pilot.app))
        await quiet(pilot)

    assert snap_compare(studio(mode="predict"), terminal_size=size, run_before=steps)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=named)
def test_load_window(
    snap_compare: Compare, studio: Callable[..., object], size: tuple[int, int]
) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await predicting(pilot)
        await pilot.press("f7")
        await settled(pilot, lambda: "quantization" in shown(pilot.app))

    assert snap_compare(studio(mode="predict"), terminal_size=size, run_before=steps)
