"""Train in a real pseudo-terminal, and its commands: runs that outlive whoever looks at them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hfterm.training import run_files as files
from hfterm.training import store
from hfterm.training.recipe_text import write_recipe
from pty_terminal import PtyTerminal
from run_fixtures import end_runs, make_run, over, tiny_recipe
from waiting import gone, wait_until

_ = end_runs  # a fixture

pytestmark = pytest.mark.usefixtures("end_runs", "starter_kit")

Start = Callable[..., PtyTerminal]
HFTERM = Path(sys.executable).with_name("hfterm")
CTRL_C, CTRL_Q, ESCAPE = "\x03", "\x11", "\x1b"
F6, F7 = "\x1b[17~", "\x1b[18~"
DOWN, TAB, BACK_TAB = "\x1b[B", "\t", "\x1b[Z"
FIELDS = ("id", "status", "step", "total_steps", "epoch", "metrics", "started", "ended", "error")


def hfterm(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HFTERM, *arguments], input=stdin, capture_output=True, text=True, check=False
    )


def told(*arguments: str | Path) -> str:
    """What a command that succeeds prints."""
    done = hfterm(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def two_lines(done: subprocess.CompletedProcess[str]) -> str:
    """What went wrong, in two lines on stderr, and exit code 1."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("hfterm: ")
    assert lines[1].startswith("  ")
    assert lines[1].strip(), "what to do"
    return lines[0]


def saved(folder: Path, name: str, *, steps: int = 3, **changes: object) -> Path:
    """A recipe in a file."""
    file = folder / f"{name}.toml"
    file.write_text(write_recipe(tiny_recipe(name, steps=steps, **changes)))
    return file


def only_run() -> store.Run:
    (run,) = store.list_runs()
    return run


def open_recipe(terminal: PtyTerminal, file: Path, name: str) -> None:
    """Ctrl+O, and a path."""
    terminal.wait_for("parameters are trained")
    terminal.send("\x0f")
    terminal.wait_for("Open a recipe")
    terminal.send(f"{file}\r")
    terminal.wait_for(f"name {name}")


# -- the workbench -----------------------------------------------------------------------------


def test_a_run_from_the_form_goes_on_when_the_line_is_cut(start: Start) -> None:
    terminal = start("--text", "x")
    terminal.wait_for(r"\[SEP\] .*special")
    terminal.send(f"{ESCAPE}5")
    terminal.wait_for("parameters are trained")
    for keys, text, seen in (
        (TAB, "by-hand", "name by-hand"),
        (DOWN + DOWN + TAB, "train[:16]", r"train train\[:16\]"),
        (TAB, "train[-8:]", r"eval train\[-8:\]"),
        (DOWN, "16", r"max length 16\b"),
        (DOWN * 4 + BACK_TAB, "3", r"max steps 3\b"),
    ):
        terminal.send(keys)
        terminal.settle()  # the cursor is in the field
        terminal.send(text)
        terminal.wait_for(seen)
    terminal.send(F7)
    terminal.wait_for(r"(starting|running) · .*|◔ starting")
    run = only_run()
    assert run.active
    assert run.recipe is not None
    assert (run.recipe.name, run.recipe.training.max_steps) == ("by-hand", 3)
    assert (run.recipe.data.train, run.recipe.data.eval) == ("train[:16]", "train[-8:]")
    pid, engines = terminal.process.pid, [engine.pid for engine in terminal.engines()]
    terminal.close()
    wait_until(lambda: terminal.process.poll() is not None, "hfterm to end with its terminal")
    wait_until(lambda: all(gone(engine) for engine in engines), "its engines to end")
    assert gone(pid)
    assert store.read_run(run.path).active, "the run goes on"
    done = over(run.id)
    assert (done.status, done.progress.step) == ("finished", 3)
    again = start("--screen", "train")
    again.wait_for("learning rate 0.002")
    again.send(F6)
    again.wait_for(r"✓ finished +by-hand +lora +3/3 +100 %")
    again.send("\r")
    again.wait_for("✓ finished · .*3/3")
    again.wait_for("step 3 of 3")
    again.send(CTRL_Q)
    assert again.ended() == 0


def test_a_run_goes_on_when_the_workbench_is_killed(start: Start, tmp_path: Path) -> None:
    terminal = start("--screen", "train")
    open_recipe(terminal, saved(tmp_path, "killed"), "killed")
    terminal.send(F7)
    terminal.wait(lambda: store.list_runs() and only_run().state.worker, "the run to begin")
    os.kill(terminal.process.pid, signal.SIGKILL)
    wait_until(lambda: terminal.process.poll() is not None, "hfterm to be gone")
    assert only_run().active
    again = start("--screen", "train")
    again.wait_for(r"(starting|running|finished)")
    done = over(only_run().id)
    assert (done.status, done.progress.step, done.state.attempts) == ("finished", 3, 1)
    again.wait_for("✓ finished · .*3/3")
    lines = (done.path / files.METRICS).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if '"loss"' in line] == [1, 2, 3]


def test_train_fits_the_window(start: Start) -> None:
    make_run("film")
    terminal = start("--screen", "train", columns=80, rows=24)

    def fits(*patterns: str) -> None:
        for size in ((120, 40), (200, 50), (80, 24)):
            terminal.resize(*size)
            terminal.wait(lambda size=size: terminal.fills(*size), f"a screen of {size}")
            for pattern in patterns:
                terminal.wait_for(pattern)

    fits("learning rate 0.002")
    terminal.send(F6)
    fits("✓ finished +film")
    terminal.send("\r")
    fits("✓ finished · .*120/120", "step 120", "loss")
    assert "is drawn here" not in terminal.text
    terminal.send("bbb")
    fits("checkpoint-100")
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0


# -- hfterm train ------------------------------------------------------------------------------


def test_a_run_as_lines_of_json_and_all_that_can_be_asked_of_it(tmp_path: Path) -> None:
    recipe = saved(tmp_path, "film")
    lines = [json.loads(line) for line in told("train", recipe, "--json").splitlines()]
    assert len(lines) == 2
    for line in lines:
        assert tuple(line) == FIELDS
    begun, ended = lines
    assert begun["id"] == ended["id"] == only_run().id
    assert begun["status"] in ("starting", "running")
    assert (ended["status"], ended["step"], ended["total_steps"]) == ("finished", 3, 3)
    assert {"loss", "eval_loss", "eval_accuracy"} <= set(ended["metrics"])
    assert ended["ended"] > ended["started"]
    assert ended["error"] is None
    # the same run by the other commands
    assert json.loads(told("runs", "--json")) == [ended]
    assert json.loads(told("runs", "show", "last", "--json")) == ended
    assert json.loads(told("runs", "show", "film", "--json")) == ended
    shown = told("runs", "show", "last")
    assert ended["id"] in shown
    assert "✓ finished · 3/3" in shown
    assert "evaluated" in shown
    table = told("runs").splitlines()
    assert table[0].split()[:3] == ["id", "status", "method"]
    assert table[1].startswith(ended["id"])
    # its metrics in a file
    target = tmp_path / "metrics.csv"
    done = hfterm("runs", "export", "last", "--out", target)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Wrote 4 rows to {target}" in done.stderr
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows if row["loss"]][-1] == ended["metrics"]["loss"]
    assert "target" not in two_lines(hfterm("runs", "export", "last", "--out", target))
    assert hfterm("runs", "export", "last", "--out", tmp_path / "x.xlsx").returncode == 1
    # what is over cannot be stopped, killed or resumed
    for command in ("stop", "kill", "resume"):
        assert "finished" in two_lines(hfterm("runs", command, "last"))
    # deleted only with a yes
    folder = only_run().path
    done = hfterm("runs", "delete", "last")
    assert done.returncode == 2
    assert folder.is_dir()
    assert "was deleted" in told("runs", "delete", "last", "--yes")
    assert not folder.exists()
    assert json.loads(told("runs", "--json")) == []


def test_detached_stopped_and_resumed(tmp_path: Path) -> None:
    recipe = saved(tmp_path, "long", steps=100_000)
    run_id = told("train", recipe, "--detach", "--set", "training.save_every=5").strip()
    run = only_run()
    assert run.id == run_id
    assert run.recipe is not None
    assert run.recipe.training.save_every == 5
    assert run.active, "it returned at once"
    wait_until(lambda: store.read_run(run.path).progress.step > 6, "some steps")
    two_lines(hfterm("runs", "delete", "last", "--yes"))
    assert run.path.is_dir(), "what runs is not deleted"
    two_lines(hfterm("runs", "resume", "last"))
    assert f"{run_id} stops after a checkpoint" in told("runs", "stop", "last")
    stopped = over(run_id)
    assert stopped.status == "stopped"
    step = stopped.progress.step
    assert step < 100_000
    last = files.whole_checkpoints(run.path / files.CHECKPOINTS)[-1]
    assert last.name == f"checkpoint-{step}"
    done = hfterm("runs", "resume", "last", "--set", "method.r=2")
    assert "method" in two_lines(done)
    more = f"training.max_steps={step + 2}"
    done = hfterm("runs", "resume", "last", "--set", more, "--follow")
    assert done.returncode == 0, done.stderr
    assert "✓ finished" in done.stdout
    assert f"resumed at step {step}" in done.stderr
    ended = store.read_run(run.path)
    assert (ended.status, ended.progress.step, ended.state.attempts) == ("finished", step + 2, 2)


def test_ctrl_c_leaves_the_run_and_says_how_to_stop_it(start: Start, tmp_path: Path) -> None:
    terminal = start("train", str(saved(tmp_path, "watched")), columns=200)
    terminal.wait_for("◔ starting|▶ running")
    run = only_run()
    terminal.send(CTRL_C)
    assert terminal.ended() == 130
    assert f"hfterm runs stop {run.id}" in terminal.text
    assert f"hfterm runs show {run.id}" in terminal.text
    assert "Traceback" not in terminal.text
    assert store.read_run(run.path).active
    done = over(run.id)
    assert (done.status, done.progress.step) == ("finished", 3)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_command_the_run_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    recipe = saved(tmp_path, "left", steps=100_000)
    viewer = subprocess.Popen(
        [HFTERM, "train", recipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: store.list_runs() and only_run().state.worker, "the run to begin")
    run = only_run()
    # it says something of the run only once it follows it, and has its signals by then
    assert viewer.stderr is not None
    if number is not signal.SIGKILL:
        wait_until(lambda: "SigCgt" in status_of(viewer.pid, number), "its signals")
    viewer.send_signal(number)
    _, said = viewer.communicate()
    if number is signal.SIGKILL:
        assert viewer.returncode == -number
    else:
        assert viewer.returncode == 129
        assert f"hfterm runs stop {run.id}" in said
    assert store.read_run(run.path).active
    told("runs", "kill", run.id)
    assert over(run.id).status == "died"
    assert "killed from hfterm" in told("runs", "show", run.id)


def status_of(pid: int, number: signal.Signals) -> str:
    """``SigCgt`` when a process has a handler for a signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, mask = line.partition(":")
        if name == "SigCgt" and int(mask, 16) >> (number - 1) & 1:
            return name
    return ""


# -- what is wrong -----------------------------------------------------------------------------


BAD: list[tuple[dict[str, Any], str]] = [
    ({"training": {"learning_rate": -1}}, "training.learning_rate"),
    ({"method": {"r": 0}}, "method.r"),
    ({"task": "translate"}, "translate"),
    ({"data": {"ref": "/no/rows.csv"}}, "/no/rows.csv"),
    ({"data": {"columns": {"text": "txt"}}}, "txt"),
    ({"model": {"ref": "/no/model"}}, "/no/model"),
]


@pytest.mark.parametrize(("changes", "said"), BAD, ids=[said for _, said in BAD])
def test_a_bad_recipe_is_two_lines_and_nothing_starts(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    import tomli_w

    from hfterm.training.recipe_text import as_table

    table: dict[str, Any] = as_table(tiny_recipe("bad"))
    for name, value in changes.items():
        table[name] = table[name] | value if isinstance(value, dict) else value
    file = tmp_path / "bad.toml"
    file.write_text(tomli_w.dumps(table))
    for more in ((), ("--detach",), ("--json",)):
        assert said in two_lines(hfterm("train", file, *more))
        if said not in ("txt", "/no/model"):  # each of these opens the data or the model
            continue
        break
    assert store.list_runs() == []


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("name = [")
    assert "not TOML" in two_lines(hfterm("train", broken))
    assert "none.toml" in two_lines(hfterm("train", tmp_path / "none.toml"))
    assert "nope" in two_lines(hfterm("train", saved(tmp_path, "x"), "--set", "nope=1"))
    assert store.list_runs() == []


@pytest.mark.parametrize(
    "arguments",
    [("train",), ("train", "a", "b"), ("train", "a", "--nope"), ("runs", "show"), ("runs", "nope"),
     ("runs", "export", "last"), ("watch",)],
)  # fmt: skip
def test_bad_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    done = hfterm(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_runs_that_are_not_there_or_could_be_several() -> None:
    done = hfterm("runs")
    assert (done.returncode, done.stdout) == (0, "")
    assert "hfterm train" in done.stderr
    for command in ("show", "stop", "kill", "resume", "delete"):
        assert "'nothing'" in two_lines(hfterm("runs", command, "nothing"))
    make_run("film-a")
    make_run("film-b", at=60)
    assert "film-a" in two_lines(hfterm("runs", "show", "film"))
    assert "film-b" in told("runs", "show", "last")


def test_hostile_names_are_harmless_in_the_commands() -> None:
    import msgspec

    from corpus import HOSTILE
    from run_fixtures import a_recipe

    attack = " ".join(HOSTILE.values())[:80]
    path = make_run(
        recipe=msgspec.structs.replace(a_recipe("x"), name=attack), note=attack, status="failed",
        error=store.RunFailure("bad", attack, attack),
    )  # fmt: skip
    files.add_event(path, "note", attack, 3)
    for arguments in (("runs",), ("runs", "show", "last")):
        out = told(*arguments)
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2066"} & set(out)
