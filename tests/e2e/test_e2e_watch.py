"""``hfterm watch`` without a screen: another program's run, line by line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HFTERM = str(Path(sys.executable).with_name("hfterm"))


def write(folder: Path, losses: list[float]) -> Path:
    """A run of Trainer, as far as it is; the file is there whole or not at all."""
    checkpoint = folder / "checkpoint-10"
    checkpoint.mkdir(exist_ok=True, parents=True)
    history = [{"step": 10 * row, "loss": loss} for row, loss in enumerate(losses, 1)]
    told = {"global_step": 10 * len(losses), "max_steps": 100, "log_history": history}
    file = checkpoint / "trainer_state.json"
    file.with_suffix(".new").write_text(json.dumps(told))
    file.with_suffix(".new").replace(file)
    return folder


def watched(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [HFTERM, "watch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_what_there_is_is_a_line_or_json(tmp_path: Path) -> None:
    folder = write(tmp_path / "theirs", [2.5, 1.25])
    line = watched(folder, "--once")
    assert line.returncode == 0, line.stderr
    assert line.stdout.splitlines() == ["theirs (trainer) step 20 · loss 1.2500"]
    (told,) = json.loads(watched(folder, "--json").stdout)
    assert (told["kind"], told["rows"], told["total_steps"]) == ("trainer", 2, 100)
    assert told["metrics"] == {"loss": 1.25}
    assert told["path"].startswith(str(folder))
    assert not told["finished"]


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no run")
    for path in (tmp_path / "notes.txt", tmp_path / "nowhere"):
        done = watched(path, "--once")
        assert done.returncode == 1
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr


@pytest.fixture
def following(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    folder = write(tmp_path / "theirs", [2.5])
    command = [HFTERM, "watch", str(folder), "--plain"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as viewer:
        yield viewer
        viewer.kill()


def test_a_run_that_goes_on_is_followed_until_ctrl_c(
    following: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert following.stdout is not None
    assert following.stdout.readline() == "theirs (trainer) step 10 · loss 2.5000\n"
    write(tmp_path / "theirs", [2.5, 1.25, 0.5])
    assert following.stdout.readline() == "theirs (trainer) step 30 · loss 0.5000\n"
    following.send_signal(signal.SIGINT)
    assert following.wait(60) == 130
