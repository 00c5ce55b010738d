"""``hfterm runs`` and ``hfterm watch`` in this process: what they show, ask, refuse and write."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import typer

from cli_here import hfterm_here as hfterm
from hfterm import cli_train, cli_watch
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.run_types import ProcessMark
from run_fixtures import a_recipe, end_runs, foreign_runs, listing, make_run, write_lines
from waiting import wait_until

_ = end_runs  # a fixture


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """A terminal to be asked on; gives what types into it."""
    master, slave = pty.openpty()
    with os.fdopen(slave) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)

        def type_in(typed: bytes) -> None:
            os.write(master, typed)

        yield type_in
    os.close(master)


@pytest.fixture
def group() -> Iterator[ProcessMark]:
    """A process with a session of its own, as one that trains."""
    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True
    ) as process:
        mark = files.mark_of(process.pid)
        assert mark is not None
        yield mark
        process.kill()


# -- hfterm runs -------------------------------------------------------------------------------


def test_runs_are_a_table_or_json_the_newest_first() -> None:
    nothing = hfterm("runs")
    assert nothing.exit_code == 0
    assert nothing.stdout == ""
    assert "There is no run yet" in nothing.stderr
    assert json.loads(hfterm("runs", "--json").stdout) == []
    old, new = make_run("old"), make_run("new", "failed", at=60.0)
    table = hfterm("runs").stdout.splitlines()
    assert table[0].split()[0] == "id"
    assert [line.split()[0] for line in table if "2020" in line] == [new.name, old.name]
    told = json.loads(hfterm("runs", "--json").stdout)
    assert [(run["id"], run["status"]) for run in told] == [
        (new.name, "failed"), (old.name, "finished"),
    ]  # fmt: skip


def test_a_run_is_shown_with_its_error_its_figures_and_events() -> None:
    folder = make_run("bad", "failed", alert="\x1b[31mno gradient")
    told = hfterm("runs", "show", "last").stdout
    lines = told.splitlines()
    assert lines[0] == folder.name
    assert "120/120" in lines[1]
    assert lines[2].startswith("The loss is no number any more, at step 120. Resume it")
    assert f"  {folder}" in lines
    assert any(line.startswith("  eval_accuracy 0.") for line in lines)
    assert "no gradient" in told
    assert "\x1b" not in told
    assert json.loads(hfterm("runs", "show", "bad", "--json").stdout)["id"] == folder.name


def test_a_run_that_only_waits_has_neither_figures_nor_error() -> None:
    folder = make_run("late", "queued")
    lines = hfterm("runs", "show", "late").stdout.splitlines()
    assert lines[0] == folder.name
    assert "queued" in lines[1]
    assert lines[2:] == [f"  {folder}"]


@pytest.mark.parametrize("command", ["show", "stop", "kill", "resume", "delete"])
def test_a_run_that_is_not_there_is_said(command: str) -> None:
    make_run("one")
    told = hfterm("runs", command, "other")
    assert told.exit_code == 1
    assert told.stderr.splitlines() == [
        "hfterm: There is no run 'other'.", "  hfterm runs lists them.",
    ]  # fmt: skip


def test_what_is_over_is_neither_stopped_nor_killed() -> None:
    folder = make_run("one")
    for command in ("stop", "kill"):
        told = hfterm("runs", command, "one")
        assert told.exit_code == 1
        assert f"is finished: there is nothing to {command}" in told.stderr
    assert "is finished" in hfterm("runs", "resume", "one").stderr
    assert store.read_run(folder).status == "finished"


def test_a_run_is_stopped_and_killed(group: ProcessMark) -> None:
    folder = make_run("one", "running")
    state = files.state_of(folder)
    # the fixture's processes are this one
    files.write_struct(
        folder / files.STATE, msgspec.structs.replace(state, supervisor=None, worker=group)
    )
    told = hfterm("runs", "stop", "one")
    assert told.stdout == f"{folder.name} stops after a checkpoint.\n"
    assert (folder / files.STOP).exists()
    told = hfterm("runs", "kill", "one")
    assert told.stdout == f"{folder.name} was killed.\n"
    wait_until(lambda: not files.is_alive(group), "killed")
    assert store.read_run(folder).status == "died"


@pytest.mark.usefixtures("starter_kit", "end_runs")
def test_a_resumed_run_goes_on_and_is_followed_to_its_failure() -> None:
    recipe = a_recipe("one", training={"accelerate_config": "/no/such/config.yaml"})
    folder = make_run(status="stopped", recipe=recipe)
    told = hfterm("runs", "resume", "one")
    assert told.exit_code == 0, told.output
    assert told.stdout == f"{folder.name} goes on.\n"
    cli_train.follow(folder, quiet=True)
    told = hfterm("runs", "resume", "one", "--follow", "--set", "training.seed=7")
    assert told.exit_code == 1
    assert "goes on." in told.stdout
    assert f"failed · {folder.name}" in told.stdout
    assert "There is no file /no/such/config.yaml." in told.stderr
    run = store.read_run(folder)
    assert run.recipe is not None
    assert run.recipe.training.seed == 7


def test_nothing_is_deleted_where_nobody_can_be_asked() -> None:
    folder = make_run("one")
    told = hfterm("runs", "delete", "one")
    assert told.exit_code == 2
    assert "Say --yes" in told.stderr
    assert folder.exists()
    told = hfterm("runs", "delete", "one", "--yes")
    assert told.exit_code == 0
    assert "was deleted: " in told.stdout
    assert not folder.exists()


def test_a_no_keeps_the_run_and_a_yes_deletes_it(
    terminal: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    from hfterm.cli_runs import delete

    folder = make_run("one")
    terminal(b"n\n")
    with pytest.raises(typer.Exit) as left:
        delete("one")
    assert left.value.exit_code == 1
    assert f"Delete {folder.name}?" in capsys.readouterr().err
    assert folder.exists()
    terminal(b"y\n")
    delete("one")
    assert "are free." in capsys.readouterr().out
    assert not folder.exists()


def test_metrics_go_into_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    make_run("one", steps=20)
    out = tmp_path / "metrics.csv"
    told = hfterm("runs", "export", "one", "--out", str(out))
    assert told.exit_code == 0, told.output
    rows = list(csv.DictReader(out.open()))
    assert f"Wrote {len(rows)} rows" in told.stderr
    assert {"step", "loss"} <= set(rows[0])
    before = out.read_bytes()
    again = hfterm("runs", "export", "one", "--out", str(out))
    assert again.exit_code == 1
    assert out.read_bytes() == before
    wrong = hfterm("runs", "export", "one", "--out", str(tmp_path / "metrics.xls"))
    assert wrong.exit_code == 1
    assert ".parquet" in wrong.stderr


# -- hfterm watch ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["trainer", "tensorboard", "wandb", "llama-factory"])
def test_what_another_program_logged_is_said_and_only_read(kind: str, tmp_path: Path) -> None:
    folder = foreign_runs(tmp_path)[kind]
    before = listing(folder)
    told = hfterm("watch", str(folder), "--once")
    assert told.exit_code == 0, told.output
    (line,) = told.stdout.splitlines()
    assert f"({kind}) step " in line
    assert "loss " in line
    (one,) = json.loads(hfterm("watch", str(folder), "--json").stdout)
    assert one["kind"] == kind
    assert one["rows"] > 0
    assert "loss" in " ".join(one["metrics"])
    assert listing(folder) == before


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    told = hfterm("watch", str(tmp_path), "--plain")
    assert told.exit_code == 1
    assert str(tmp_path) in told.stderr
    assert told.stdout == ""


def test_on_half_a_terminal_nothing_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = foreign_runs(tmp_path)["wandb"]
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as shown, Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        monkeypatch.setattr(sys, "stdout", shown)
        with pytest.raises(typer.Exit) as left:
            cli_watch.watch(str(folder))
    os.close(master)
    assert left.value.exit_code == 2
    assert "draws on a terminal, and this is none" in capsys.readouterr().err


def test_a_run_without_a_step_yet_says_nothing(tmp_path: Path) -> None:
    folder = make_run("late", "queued")
    write_lines(folder / files.METRICS, [])
    told = hfterm("watch", str(folder), "--once")
    assert (told.exit_code, told.stdout) == (0, "")


def test_a_run_that_grows_is_told_line_by_line_until_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "trainer_log.jsonl"
    steps: Iterator[int] = iter((4, 0, 6))

    def row(step: int) -> bytes:
        return json.dumps({"current_steps": step, "total_steps": 9, "loss": 1 / step}).encode()

    def grow(_: float) -> None:
        step = next(steps, -1)
        if step < 0:
            raise KeyboardInterrupt
        if step:
            with log.open("ab") as file:
                file.write(row(step) + b"\n")

    log.write_bytes(row(2) + b"\n")
    # no other clock is touched: only what this command sleeps by
    monkeypatch.setattr(cli_watch, "time", SimpleNamespace(sleep=grow))
    told = hfterm("watch", str(log))
    assert told.exit_code == 130
    lines = told.stdout.splitlines()
    assert [line.partition(" step ")[2].split()[0] for line in lines] == ["2", "4", "6"]
    assert "loss 0.1667" in lines[-1]


def test_a_queue_that_another_process_looks_after_is_left_to_it() -> None:
    active, late = make_run("one", "running"), make_run("late", "queued", at=60.0)
    run_control.start_all([late], queue=True)
    assert [store.read_run(folder).status for folder in (active, late)] == ["running", "queued"]
