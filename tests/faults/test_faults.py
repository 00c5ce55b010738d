"""What breaks around hfterm: its engine, the disk, the settings, the starter folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hfterm import paths
from pty_terminal import PtyTerminal

Start = Callable[..., PtyTerminal]
LAST_ROW = r"\[SEP\] .*special"
F5, F7, ALT_S = "\x1b[15~", "\x1b[18~", "\x1bs"
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


# -- the engine ------------------------------------------------------------------------------


def test_an_engine_killed_at_work_is_said_and_f5_brings_the_table(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text("Enough text that the engine is caught while it works on it.\n" * 60_000)
    terminal = start("--text", "short")
    terminal.wait_for(LAST_ROW)
    terminal.send(F7)
    terminal.wait_for("Open a file")
    terminal.send(f"{file}\r")
    count = terminal.wait_for(r"([\d,]{7,}) tokens")[1]
    terminal.send("\x1b")  # from the text to the tokens, where letters are keys
    terminal.send(ALT_S)
    terminal.wait_for("tokenizing")
    (engine,) = terminal.engines()
    engine.send_signal(signal.SIGKILL)
    terminal.wait_for(r"engine process ended \(SIGKILL")
    terminal.wait_for("F5")
    assert "Enough text that the engine" in terminal.text
    terminal.send(F5)
    terminal.wait(lambda: "engine process ended" not in terminal.text, "the notice gone")
    terminal.wait_for(f"{count} tokens")
    assert "Enough text that the engine" in terminal.text
    terminal.send(ALT_S)
    terminal.wait_for(r"tokens .*no specials")
    assert [process.pid for process in terminal.engines()] != [engine.pid]


def test_an_engine_killed_while_it_opens_a_file_keeps_the_text(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text("Enough text that the engine is caught while it works on it.\n" * 200_000)
    terminal = start("--text", "the text that is kept")
    terminal.wait_for(LAST_ROW)
    terminal.send(F7)
    terminal.wait_for("Open a file")
    terminal.send(f"{file}\r")
    terminal.wait_for("tokenizing")
    (engine,) = terminal.engines()
    engine.send_signal(signal.SIGKILL)
    terminal.wait_for(r"engine process ended \(SIGKILL")
    assert "the text that is kept" in terminal.text
    terminal.send(F5)
    terminal.wait(lambda: "engine process ended" not in terminal.text, "the notice gone")
    terminal.wait_for(r"2921\s+kept")


def test_an_engine_killed_while_idle_restarts_with_the_text(start: Start) -> None:
    terminal = start("--text", "kept as it was")
    terminal.wait_for(LAST_ROW)
    (engine,) = terminal.engines()
    engine.send_signal(signal.SIGKILL)
    terminal.wait_for(r"engine process ended \(SIGKILL")
    assert "kept as it was" in terminal.text
    terminal.send(F5)
    terminal.wait(lambda: "engine process ended" not in terminal.text, "the notice gone")
    terminal.wait_for(LAST_ROW)
    assert "kept as it was" in terminal.text


def test_typing_after_a_death_is_enough(start: Start) -> None:
    terminal = start("--text", "")
    terminal.wait_for(r"\[SEP\]")
    (engine,) = terminal.engines()
    engine.send_signal(signal.SIGKILL)
    terminal.wait_for(r"engine process ended")
    terminal.send("hello")
    terminal.wait_for(r"7592\s+hello")
    terminal.wait(lambda: "engine process ended" not in terminal.text, "the notice gone")


# -- the disk --------------------------------------------------------------------------------

EXPORT = """
import resource, sys
from pathlib import Path
from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import load_quick
from hfterm.widgets.exporting import write_table
from hfterm.widgets.token_source import TokenSource

text = "word " * 20_000
source = TokenSource(encode(load_quick(sys.argv[1]), text), (text,))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_table(source, Path(sys.argv[2]), Job())
except HftermError as error:
    print(error.kind, error.message, error.remedy, sep="\\n")
"""


@pytest.mark.parametrize("name", ["tokens.csv", "tokens.json", "tokens.jsonl"])
def test_an_export_that_does_not_fit_leaves_nothing(
    name: str, zoo: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, str(zoo["wordpiece-uncased"]), str(out / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    kind, message, remedy = done.stdout.splitlines()
    assert kind in {"disk-full", "unwritable"}
    assert name in message
    assert remedy
    assert list(out.iterdir()) == []


TRAIN = """
import asyncio, resource, sys
from hfterm.engine.client import EngineClient
from hfterm.engine.requests import ListModels, TrainTokenizer
from hfterm.errors import HftermError
from hfterm.tokenization.views import TrainOptions

async def main(source, out):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    engine = EngineClient("full", warm=False)
    options = TrainOptions(algorithm="WordPiece", vocab_size=4000, min_frequency=1)
    try:
        await engine.call(TrainTokenizer(source=source, options=options, out=out))
    except HftermError as error:
        print(error.kind, error.message, error.remedy, sep="\\n")
    await engine.call(ListModels())
    await engine.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_training_that_does_not_fit_leaves_nothing(starter_kit: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokenizers" / "mine"
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, "sms-spam", str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    kind, message, remedy = done.stdout.splitlines()
    assert kind in {"disk-full", "unwritable"}
    assert str(out.parent) in message
    assert remedy
    assert list(out.parent.iterdir()) == []


LOG = """
import asyncio, os, sys
from hfterm.engine.client import EngineClient
from hfterm.engine.requests import EncodeText

async def main(model):
    engine = EngineClient("full", warm=False)
    engine.log_file.parent.mkdir(parents=True)
    engine.log_file.symlink_to("/dev/full")
    encoding = await engine.call(EncodeText(ref=model, text="hello", provisional=True))
    await engine.close()
    print(encoding.characters)

asyncio.run(main(sys.argv[1]))
"""
NOISE = "import sys; print('noise'); print('noise', file=sys.stderr)\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_on_a_full_disk_stops_nothing(zoo: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "usercustomize.py").write_text(NOISE)
    done = subprocess.run(
        [sys.executable, "-c", LOG, str(zoo["wordpiece-uncased"])],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "5"
    assert "Traceback" not in done.stderr


# -- settings --------------------------------------------------------------------------------


def spoil(file: Path, how: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if how == "folder":
        file.mkdir()
    elif how == "binary":
        file.write_bytes(b"\xff\xfe\x00\x00" * 20)
    elif how == "loop":
        file.symlink_to(file)
    else:
        file.write_text('theme = "nord"')
        file.chmod(0)


@pytest.mark.parametrize("how", ["folder", "binary", "loop", pytest.param("locked", marks=as_user)])
def test_a_settings_file_that_cannot_be_read_is_said_and_the_app_opens(
    start: Start, how: str
) -> None:
    spoil(paths.settings_file(), how)
    terminal = start()
    terminal.wait_for("settings.toml")
    terminal.wait_for(r"\[CLS\].*special")


def test_a_typo_in_the_settings_is_said_with_what_was_meant(start: Start) -> None:
    file = paths.settings_file()
    file.parent.mkdir(parents=True)
    file.write_text('# mine\ntheem = "nord"\n')
    terminal = start()
    terminal.wait(lambda: "theem" in terminal.text and "'theme'" in terminal.text,
                  "the wrong key and the right one")  # fmt: skip
    terminal.wait_for(r"\[CLS\].*special")


# -- the starter folder ------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["blocked", pytest.param("read-only", marks=as_user)])
def test_a_starter_folder_that_cannot_be_written_is_said(tmp_path: Path, how: str) -> None:
    if how == "blocked":
        (tmp_path / "file").write_text("a file where a folder should be")
        folder = tmp_path / "file" / "starter"
    else:
        folder = tmp_path / "starter"
        folder.mkdir()
        folder.chmod(0o555)
    done = subprocess.run(
        [Path(sys.executable).with_name("hfterm"), "starter", "minilm"],
        env={**os.environ, "HFTERM_STARTER": str(folder),
             "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    what, remedy = done.stderr.splitlines()[-2:]
    assert what.startswith("hfterm: ")
    assert str(folder) in what
    assert remedy.strip()


def test_no_folder_can_be_written_at_all_and_the_app_opens(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = str(tmp_path / "file" / "below")
    terminal = start(
        env={
            "XDG_CONFIG_HOME": blocked,
            "XDG_DATA_HOME": blocked,
            "XDG_STATE_HOME": blocked,
            "XDG_CACHE_HOME": blocked,
            "HF_HOME": blocked,
        }
    )
    terminal.wait_for(LAST_ROW)
    terminal.send("\x11")
    assert terminal.ended() == 0
    assert b"Traceback" not in terminal.raw
