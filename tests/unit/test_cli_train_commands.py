"""``hfterm train`` in this process: what is started, what is told of it, and who goes on."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from hfterm import cli_train
from hfterm.cli import app
from hfterm.errors import HftermError
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.recipe_text import write_recipe
from hfterm.training.run_types import RunFailure
from run_fixtures import a_recipe, end_runs, make_run, over, tiny_recipe
from waiting import wait_until

_ = end_runs  # a fixture

SIGNALS = (signal.SIGHUP, signal.SIGTERM)
WAYS_ON = "The run goes on. Look at it: hfterm runs show"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A command that follows a run sets handlers, which pytest needs again."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What happens between two looks at a run, one after the other; then nobody looks again."""

    def happens(*steps: Callable[[], object]) -> None:
        left = iter(steps)
        # no other clock is touched: only what this command sleeps by
        clock = SimpleNamespace(sleep=lambda _: next(left)())
        monkeypatch.setattr(cli_train, "time", clock)

    return happens


def written(tmp_path: Path, **changes: object) -> str:
    path = tmp_path / "recipe.toml"
    path.write_text(write_recipe(tiny_recipe("short", **changes)))
    return str(path)


def put(folder: Path, status: str, error: RunFailure | None = None) -> None:
    """Write another state, as a supervisor does."""
    state = msgspec.structs.replace(
        files.state_of(folder), status=status, error=error, supervisor=None, worker=None
    )
    files.write_struct(folder / files.STATE, state)


# -- what is started ---------------------------------------------------------------------------


@pytest.mark.usefixtures("starter_kit", "end_runs")
def test_a_detached_run_is_named_and_goes_on(tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["train", written(tmp_path), "--detach", "--set", "training.max_steps=2"]
    )
    assert told.exit_code == 0, told.output
    (run,) = store.list_runs()
    assert told.stdout == f"{run.id}\n"
    assert run.recipe is not None
    assert run.recipe.training.max_steps == 2
    assert run.active


@pytest.mark.usefixtures("starter_kit", "end_runs")
def test_as_json_a_detached_run_is_one_line(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["train", written(tmp_path), "--detach", "--json"])
    assert told.exit_code == 0, told.output
    (line,) = told.stdout.splitlines()
    (run,) = store.list_runs()
    assert json.loads(line)["id"] == run.id


@pytest.mark.usefixtures("starter_kit", "end_runs")
def test_a_run_that_is_killed_is_two_json_lines_and_code_1(
    tmp_path: Path, meanwhile: Callable[..., None]
) -> None:
    def kill() -> None:
        wait_until(lambda: store.find_run("last").state.worker, "a process to kill")
        run_control.kill(store.find_run("last"))
        over()

    meanwhile(kill)
    told = CliRunner().invoke(app, ["train", written(tmp_path), "--json"])
    assert told.exit_code == 1, told.output
    first, last = [json.loads(line) for line in told.stdout.splitlines()]
    assert first["id"] == last["id"]
    assert first["status"] == "starting"
    assert last["status"] == "died"
    assert told.stderr == ""


@pytest.mark.usefixtures("starter_kit")
def test_a_process_that_does_not_start_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    told = CliRunner().invoke(app, ["train", written(tmp_path)])
    assert told.exit_code == 1
    assert "can't be started" in told.stderr
    assert "log.txt" in told.stderr
    (run,) = store.list_runs()
    assert run.status == "failed"


@pytest.mark.usefixtures("starter_kit")
def test_a_setting_that_is_wrong_starts_nothing(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["train", written(tmp_path), "--set", "training.pace=2"])
    assert told.exit_code == 1
    assert "training.pace" in told.stderr
    assert store.list_runs() == []


def test_a_run_that_another_process_started_meanwhile_is_no_error() -> None:
    folder = make_run("fast", "running")
    run_control.start_all([folder])
    assert store.read_run(folder).status == "running"
    with pytest.raises(HftermError, match="is running"):
        run_control.start(folder)


# -- following ---------------------------------------------------------------------------------


def test_a_run_is_followed_to_its_end(
    meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run("slow", "running", steps=40, total=120)

    def evaluated() -> None:
        files.add_event(folder, "evaluated", "\x1b[2Jbetter", 60)

    meanwhile(evaluated, lambda: put(folder, "finished"))
    assert cli_train.follow(folder) == 0
    out, err = capsys.readouterr()
    assert f"finished · {folder.name}" in out
    assert "  eval_loss " in out
    assert "  learning_rate" not in out
    assert out.endswith(f"  model: {folder / 'model'}\n")
    lines = err.splitlines()
    assert lines[0] == "started: 1,920 rows, 75,266 parameters are trained"
    assert sum("better" in line for line in lines) == 1
    assert "evaluated at step 60: " in lines[-1]
    assert "\x1b" not in err
    assert "queued" not in err


def test_a_run_that_fails_says_why_and_gives_1(
    meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run("bad", "running", steps=0, recipe=a_recipe("bad"))
    failure = RunFailure("no-space", "The disk is\x07 full.", "Free some room.")
    meanwhile(lambda: put(folder, "failed", failure))
    assert cli_train.follow(folder) == 1
    out, err = capsys.readouterr()
    assert f"failed · {folder.name}" in out
    assert "model:" not in out
    said = err.splitlines()[-2:]
    assert said[0].startswith("hfterm: The disk is")
    assert said[1] == "  Free some room."
    assert "\x07" not in err


def test_a_queued_run_that_leaves_the_queue_is_over(
    meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run("late", "queued")
    meanwhile(lambda: run_control.stop(store.read_run(folder)))
    assert cli_train.follow(folder) == 0
    out, err = capsys.readouterr()
    assert f"stopped · {folder.name}" in out
    assert "model:" not in out
    assert "taken from the queue" in err


def test_ctrl_c_leaves_the_run_and_says_how_to_stop_it(
    meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run("slow", "running")
    meanwhile(lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(typer.Exit) as left:
        cli_train.follow(folder)
    assert left.value.exit_code == 130
    assert f"{WAYS_ON} {folder.name}. Stop it: hfterm runs stop" in capsys.readouterr().err
    assert store.read_run(folder).status == "running"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_hang_up_leaves_the_run_too(
    number: signal.Signals, meanwhile: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run("slow", "running")
    meanwhile(lambda: signal.raise_signal(number))
    with pytest.raises(typer.Exit) as left:
        cli_train.follow(folder, quiet=True)
    assert left.value.exit_code == cli_train.LEFT
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(WAYS_ON)
    assert len(err.splitlines()) == 1


def test_a_terminal_that_is_gone_is_no_error(
    meanwhile: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run("slow", "running")
    reader, writer = os.pipe()
    os.close(reader)
    lost = os.fdopen(writer, "w")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", lost)
        meanwhile(lambda: signal.raise_signal(signal.SIGHUP))
        with pytest.raises(typer.Exit) as left:
            cli_train.follow(folder, quiet=True)
    assert left.value.exit_code == cli_train.LEFT
    with pytest.raises(BrokenPipeError):  # what it said went nowhere
        lost.close()


def until_it_ends(screen: BinaryIO, mark: str) -> str:
    """What a terminal got, up to a last line that begins or ends with what is looked for."""
    told = ""
    while mark not in told[1:].rpartition("\n")[2]:
        told += screen.read(65_536).decode()
    return told


def test_on_a_terminal_one_line_is_written_anew_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run("slow", "running", steps=40, total=120)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb", 0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        printer = cli_train.RunPrinter(quiet=False)
        printer.show(store.read_run(folder))
        first = until_it_ends(screen, "eval_loss 0.")
        assert first.count("started: ") == 1
        assert "40/120" in first.rpartition("\r")[2]
        files.add_event(folder, "evaluated", "better", 60)
        printer.show(store.read_run(folder))
        second = until_it_ends(screen, "eval_loss 0.")
        blank, _, rest = second.removeprefix("\r").partition("\r")
        assert blank
        assert not blank.strip()
        assert rest.startswith("evaluated at step 60: better\r\n\r")
        assert "started" not in second
        printer.close()
        last = until_it_ends(screen, "\r")
        assert not last.strip()
        assert last.startswith("\r  ")
