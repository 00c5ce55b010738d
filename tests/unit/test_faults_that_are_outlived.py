"""Faults of hfterm's own: which are said, which are nobody's concern, and which end it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual import events, work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import WorkerFailed, WorkerState

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.widgets import own_faults
from hfterm.widgets.own_faults import OFTEN, Abandoned, OwnFaults
from waiting import until


class Box(Static, can_focus=True):
    """Does what it is told to."""

    def fail(self) -> None:
        raise KeyError("a fault")

    def leave(self) -> None:
        raise BrokenPipeError("nobody reads")

    @work(exit_on_error=False)
    async def work_on(self) -> None:
        raise KeyError("of a worker")

    @work(exit_on_error=False)
    async def wait_for_work(self) -> None:
        worker = self.work_on()
        await worker.wait()


class Bench(OwnFaults):
    """A box, and keys that fail in words and otherwise."""

    BINDINGS = [("f11", "refuse", "Refuse"), ("f12", "fail", "Fail")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield Box("a box")

    def action_refuse(self) -> None:
        raise HftermError("disk-full", "The \x1b disk is full.", "Free some space.")

    def action_fail(self) -> None:
        raise KeyError("of a key")

    def said_so_far(self) -> list[str]:
        return [note.message for note in self._notifications]


def written() -> str:
    """What was written down of faults; it is no news to the test any more."""
    file = paths.logs_dir() / "faults.log"
    if not file.exists():
        return ""
    told = file.read_text("utf-8")
    file.unlink()
    return told


async def test_what_an_action_says_in_words_is_shown_and_is_no_fault() -> None:
    app = Bench()
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("f11")
        await until(app.said_so_far, "a notice")
        (said,) = app.said_so_far()
        assert "disk is full" in said
        assert "\x1b" not in said
    assert written() == ""


@pytest.mark.parametrize("how", ["key", "message", "refresh", "next", "worker"])
async def test_a_fault_is_said_and_written_down_and_the_rest_goes_on(how: str) -> None:
    app = Bench()
    async with app.run_test(notifications=True) as pilot:
        box = app.query_one(Box)
        if how == "key":
            await pilot.press("f12")
        elif how == "worker":
            box.work_on()
        else:
            ways = {
                "message": box.call_later,
                "refresh": box.call_after_refresh,
                "next": box.call_next,
            }
            ways[how](box.fail)
        await until(app.said_so_far, "a notice")
        assert app.said_so_far()[0].startswith("KeyError: ")
        heard: list[str] = []
        box.call_later(heard.append, "still there")
        await until(lambda: heard, "the box to go on")
        assert app.return_code is None
    assert "KeyError" in written()


async def test_what_waits_for_a_worker_that_failed_says_its_fault() -> None:
    app = Bench()
    async with app.run_test(notifications=True):
        waiting = app.query_one(Box).wait_for_work()
        await until(lambda: waiting.state is WorkerState.ERROR, "the worker to fail")
        assert isinstance(waiting.error, WorkerFailed)
        await until(lambda: len(app.said_so_far()) >= 2, "both faults")
        assert app.return_code is None
    assert "of a worker" in written()


@pytest.mark.parametrize("how", ["message", "refresh", "next"])
async def test_what_is_awaited_and_cancelled_cancels_no_widget(how: str) -> None:
    async def wait() -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    app = Bench()
    async with app.run_test(notifications=True):
        box = app.query_one(Box)
        ways = {
            "message": box.call_later,
            "refresh": box.call_after_refresh,
            "next": box.call_next,
        }
        ways[how](wait)
        await until(app.said_so_far, "a notice")
        assert app.said_so_far() == [f"{Abandoned.__name__}: what it waited for was cancelled"]
        assert box.is_running
    assert "Abandoned" in written()


async def test_faults_one_after_the_other_end_it_in_words(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("a-long-name-" * 9)))
    monkeypatch.setattr(own_faults, "SHORTLY", 1000.0)  # however slow the machine is
    app = Bench()
    with pytest.raises(KeyError):
        async with app.run_test():
            for _ in range(OFTEN):
                app.query_one(Box).call_later(app.query_one(Box).fail)
            await until(lambda: not app.is_running, "the end")
    app._print_error_renderables()
    said = capfd.readouterr().err
    assert "hfterm ended by a fault of its own: KeyError: 'a fault'" in said
    assert str(paths.logs_dir() / "faults.log") in said
    assert written().count("Traceback") == OFTEN


async def test_where_nobody_reads_it_ends_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    app = Bench()
    with pytest.raises(BrokenPipeError):
        async with app.run_test():
            box = app.query_one(Box)
            box.call_later(box.leave)
            await until(lambda: not app.is_running, "the end")
    app._print_error_renderables()
    assert capfd.readouterr().err == ""
    assert written() == ""


async def test_a_fault_of_what_is_removed_is_not_said() -> None:
    app = Bench()
    async with app.run_test(notifications=True) as pilot:
        box = app.query_one(Box)
        await box.remove()
        assert app.said(KeyError("late"), box)
        assert not app.is_late(KeyError("mine"), app)
        await pilot.pause()
        assert app.said_so_far() == []
    app.say_fault(KeyError("after the end"))
    assert written() == ""


async def test_a_press_on_what_was_just_removed_is_none() -> None:
    app = Bench()
    async with app.run_test(notifications=True) as pilot:
        box = app.query_one(Box)
        x, y = box.region.x, box.region.y
        app.set_focus(None)
        parent = box.parent
        assert isinstance(parent, Screen)
        box._detach()  # it stands on the screen until the next layout
        app.post_message(events.MouseDown(None, x, y, 0, 0, 1, False, False, False))
        await pilot.pause()
        assert app.focused is None
        assert app.said_so_far() == []
        box._attach(parent)
        app.post_message(events.MouseDown(None, x, y, 0, 0, 1, False, False, False))
        await until(lambda: app.focused is box, "a press on what is there")
