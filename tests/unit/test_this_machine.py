"""What a machine, a terminal or a file of settings may lack, and what is said of it."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import msgspec
import pytest

from hfterm import doctor
from hfterm.job import Job
from hfterm.session.file import LARGEST, read_session, write_session
from hfterm.session.types import Place, Session
from hfterm.settings_fields import defect
from hfterm.system.cgroup import MemoryLimit, memory_limit
from hfterm.system.disk import free_bytes
from hfterm.system.samples import GpuSample, Sampler, SystemSample
from hfterm.system.terminal import ColorDepth, decide_color
from hfterm.system.tmux import tmux_option
from hfterm.tomlfile import read_toml


def gpus(monkeypatch: pytest.MonkeyPatch, *found: GpuSample) -> None:
    """The GPUs of a machine that has some."""
    sample = SystemSample(0.0, 1, 2, list(found))
    monkeypatch.setattr(Sampler, "sample", lambda _: sample)


def checks(name: str) -> list[doctor.Check]:
    """What the doctor says of the things whose names begin so."""
    report = doctor.examine(Job())
    return [check for check in report.checks if check.name.startswith(name)]


# -- the doctor ----------------------------------------------------------------------------------


def test_each_gpu_is_named_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(
        monkeypatch,
        GpuSample("NVIDIA A100", 3, 0, 80_000_000_000, 40),
        GpuSample("NVIDIA Odd", None, None, None, None),
    )
    first, second = checks("GPU")
    assert (first.name, second.name) == ("GPU 0", "GPU 1")
    assert first.value.startswith("NVIDIA A100, 80")
    assert second.value == "NVIDIA Odd, memory unknown"
    assert {first.status, second.status} <= {"ok", "warning"}


@pytest.mark.parametrize(("version", "status"), [("2.9.0+cpu", "warning"), ("2.9.0", "ok")])
def test_a_torch_that_can_not_use_the_gpu_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, version: str, status: str
) -> None:
    gpus(monkeypatch, GpuSample("NVIDIA A100", 3, 0, 80_000_000_000, 40))
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda _: version)
    (check,) = checks("GPU")
    assert check.status == status
    assert ("install one with CUDA" in check.detail) == (status == "warning")


def test_the_gpu_of_a_mac_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    (check,) = checks("GPU")
    assert (check.status, check.value) == ("ok", "Apple GPU")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    (check,) = checks("GPU")
    assert (check.status, check.value) == ("note", "none")


def test_a_folder_that_can_not_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "hub").mkdir()
    real = os.access

    def refused(path: str | Path, mode: int) -> bool:
        # the tests may run as root, who may write everywhere
        return Path(path) != tmp_path / "hub" and real(path, mode)

    monkeypatch.setattr(os, "access", refused)
    (check,) = checks("hub cache")
    assert check.status == "error"
    assert f"see the rights of {tmp_path / 'hub'}" in check.detail


# -- the terminal and the system -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "depth", "reason"),
    [
        ({"TERM": "xterm", "LC_TERMINAL": "iTerm2"}, ColorDepth.TRUECOLOR, "LC_TERMINAL is iTerm2"),
        ({"TERM": "xterm", "WT_SESSION": "1"}, ColorDepth.TRUECOLOR, "Windows Terminal"),
        ({"TERM": "xterm", "LC_TERMINAL": "other"}, ColorDepth.COLORS_16, "no more than 16"),
    ],
)
def test_what_a_terminal_says_of_itself_over_ssh(
    env: dict[str, str], depth: ColorDepth, reason: str
) -> None:
    decision = decide_color(env)
    assert (decision.depth, decision.terminal) == (depth, depth)
    assert reason in decision.reason


def test_outside_of_tmux_it_is_not_asked(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    tmux = tmp_path / "tmux"
    tmux.write_text(f"#!/bin/sh\ntouch {asked}\necho on\n")
    tmux.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    assert tmux_option("set-clipboard", {"PATH": path}) is None
    assert not asked.exists()


@pytest.mark.parametrize("stat", ["", "anon 5\n", "inactive_file many\n", "inactive_filed 9\n"])
def test_a_group_that_does_not_tell_its_cache_counts_with_it(tmp_path: Path, stat: str) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text(stat)
    (tmp_path / "self").write_text("0::/\n")
    assert memory_limit(tmp_path, tmp_path / "self") == MemoryLimit(1000, 700)


def test_the_room_of_a_folder_that_is_not_there_yet_is_its_disks(tmp_path: Path) -> None:
    there = free_bytes(tmp_path / "not" / "yet")
    assert there is not None
    assert there > 0
    assert free_bytes(Path("not/here/at/all")) is not None


def test_the_room_below_no_folder_at_all_is_unknown() -> None:
    class Nowhere(type(Path())):
        """On a drive that is not there."""

        def exists(self, **_: bool) -> bool:
            return False

    assert free_bytes(Nowhere("/media/gone/folder")) is None


# -- settings and the session --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("model", "half \ud800 a pair", "must be text that UTF-8 can hold"),
        ("model", "minilm", ""),
        ("mouse", 1, "must be"),
        ("max_editor_chars", True, "must be"),
    ],
)
def test_what_is_wrong_with_a_value(key: str, value: object, wrong: str) -> None:
    found = defect(key, value)
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


def test_a_broken_header_takes_its_table_and_not_the_next(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("one = 1\n[broken\ntwo = 2\n\n[whole]\nthree = 3\n")
    read = read_toml(file)
    assert read.data == {"one": 1, "whole": {"three": 3}}
    assert len(read.problems) == 1
    assert "line 2" in read.problems[0]


def test_a_value_that_is_not_closed_is_told_at_its_own_line(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("one = 1\ntwo = [1,\n\n\n")
    read = read_toml(file)
    assert read.data == {"one": 1}
    assert "line 2: not TOML: two = [1," in read.problems[0]


def test_a_file_of_nothing_but_broken_lines_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("good = 1\n" + "= broken\n" * 50)
    read = read_toml(file)
    assert read.data == {}
    assert not read.sound
    assert read.problems[-1].endswith("too many broken lines; nothing in it was used.")
    assert len(read.problems) < 50


def test_a_session_too_large_to_be_ours_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    write_session(file, Session(mode="chat", places={"chat": Place(text="hello")}))
    assert read_session(file).mode == "chat"
    # JSON may end in any number of blanks, so that only its size is wrong
    with file.open("ab") as out:
        out.write(b" " * LARGEST)
    assert msgspec.json.decode(file.read_bytes(), type=Session).mode == "chat"
    assert read_session(file) == Session()
