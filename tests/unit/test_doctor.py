from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from hfterm import doctor
from hfterm.doctor import PACKAGES, Check, DoctorReport, examine
from hfterm.errors import Cancelled
from hfterm.job import Job, Progress
from hfterm.system.reach import has_token, offline_variable, reach
from hfterm.system.terminal import ColorDecision, ColorDepth


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers a HEAD with the status its path asks for."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(int(self.path.strip("/") or 200))
        self.send_header("Location", "/500")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = ["HF_HOME", "HF_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"]
    names += ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "NO_COLOR", "COLORTERM"]
    names += ["TMUX", "STY", "SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT", "TERM_PROGRAM"]
    names += ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"]
    names += ["HFTERM_SETTINGS", "HFTERM_STARTER", "HFTERM_COLOR", "http_proxy", "HTTP_PROXY"]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def look() -> dict[str, Check]:
    return {check.name: check for check in examine(Job()).checks}


def test_everything_is_looked_at() -> None:
    stages: list[Progress] = []
    report = examine(Job(report=stages.append))
    checks = {check.name: check for check in report.checks}
    assert len(checks) == len(report.checks)
    assert {"Python", "colours", "between here and you", "copy", "hub"} <= set(checks)
    assert any(name.startswith("GPU") for name in checks)
    assert {"hub token", "starter kit", "runs folder", "hub cache", "settings"} <= set(checks)
    for package in PACKAGES:
        assert checks[package].value == version(package)
    assert checks["starter kit"].status == "note"
    assert "minilm" in checks["starter kit"].detail
    assert [stage.done for stage in stages] == list(range(len(stages)))
    assert stages[-1].done == stages[-1].total
    assert sum(report.count(s) for s in ("ok", "note", "warning", "error")) == len(checks)
    assert msgspec.json.decode(msgspec.json.encode(report), type=DoctorReport) == report


def test_it_can_be_cancelled() -> None:
    with pytest.raises(Cancelled):
        examine(Job(cancelled=lambda: True))


def test_a_missing_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("textual", "no-such-package-of-ours"))
    check = look()["no-such-package-of-ours"]
    assert (check.status, check.value) == ("error", "missing")


def test_colour_is_what_was_decided_or_what_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look()["colours"].value == "256"
    monkeypatch.setenv("HFTERM_COLOR", "16")
    assert look()["colours"] == Check("colours", "ok", "16", "The color setting is 16.")
    decided = ColorDecision(ColorDepth.TRUECOLOR, "Because.", ColorDepth.TRUECOLOR)
    checks = {check.name: check for check in examine(Job(), decided).checks}
    assert checks["colours"] == Check("colours", "ok", "truecolor", "Because.")
    monkeypatch.delenv("HFTERM_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert look()["colours"].status == "warning"


def fake_tmux(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin" / "tmux"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("TMUX", "/tmp/tmux-1/default,1,0")
    monkeypatch.setenv("TERM", "tmux-256color")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("case $3 in set-clipboard) echo on;; *) echo off;; esac", "ok", "set-clipboard on"),
        ("case $3 in set-clipboard) echo external;; *) echo off;; esac", "warning", "set -g set-"),
        ("case $3 in set-clipboard) echo external;; *) echo on;; esac", "ok", "passthrough on"),
        ("case $3 in set-clipboard) echo external;; *) exit 1;; esac", "ok", "always"),
        ("exit 1", "note", "did not say"),
    ],
)
def test_whether_tmux_lets_copies_through(
    home: Path, monkeypatch: pytest.MonkeyPatch, body: str, status: str, said: str
) -> None:
    fake_tmux(home, body, monkeypatch)
    checks = look()
    assert checks["between here and you"].value == "tmux"
    assert checks["copy"].status == status
    assert said in checks["copy"].detail


def test_ssh_and_screen_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STY", "1.pts-0")
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    checks = look()
    assert checks["between here and you"].value == "screen, ssh"
    assert checks["copy"].value == "OSC 52 through GNU screen"


def test_the_hub_offline_reachable_and_not(monkeypatch: pytest.MonkeyPatch, hub: str) -> None:
    assert look()["hub"].value == "offline"
    assert "HF_HUB_OFFLINE" in look()["hub"].detail
    assert Hub.asked == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", hub)
    assert look()["hub"] == Check("hub", "ok", "reachable", f"{hub}: it answered 200.")
    monkeypatch.setenv("HF_ENDPOINT", f"{hub}/503")
    assert look()["hub"].value == "unreachable"
    assert "it answered 503" in look()["hub"].detail


def test_the_hub_of_the_settings_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, hub: str
) -> None:
    file = home / ".config/hfterm/settings.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'hub_endpoint = "{hub}"\n')
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert look()["hub"].value == "reachable"
    assert Hub.asked == ["/"]


def test_any_answer_but_a_broken_one_is_reachable(hub: str) -> None:
    answers = {200: True, 302: True, 401: True, 404: True, 429: True, 407: False, 500: False}
    for status, reachable in answers.items():
        assert reach(f"{hub}/{status}") == (reachable, f"it answered {status}")
    assert Hub.asked == [f"/{status}" for status in answers]  # no redirect was followed


def test_nobody_there_no_answer_and_no_address() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert reach(f"http://127.0.0.1:{bound.getsockname()[1]}") == (False, "Connection refused")
        bound.listen()
        silent = reach(f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=0.2)
        assert not silent.reachable
    assert not reach("gopher://x").reachable
    assert not reach("nonsense").reachable


def test_the_token_is_never_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_token({"HOME": str(home)})
    assert look()["hub token"].value == "none"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    report = examine(Job())
    assert b"hf_secret" not in msgspec.json.encode(report)
    assert Check("hub token", "ok", "present") in report.checks
    monkeypatch.delenv("HF_TOKEN")
    file = home / ".cache/huggingface/token"
    file.parent.mkdir(parents=True)
    file.write_text("hf_secret")
    assert look()["hub token"].value == "present"


def test_offline_switches() -> None:
    assert offline_variable({"HF_HUB_OFFLINE": "yes"}) == "HF_HUB_OFFLINE"
    assert offline_variable({"TRANSFORMERS_OFFLINE": "1"}) == "TRANSFORMERS_OFFLINE"
    assert offline_variable({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}) == ""
    assert offline_variable({}) == ""


def test_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = home / ".cache/huggingface/hub/models--x/blobs/y"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x" * 5000)
    (home / ".local").write_text("in the way")
    checks = look()
    assert checks["hub cache"].detail.startswith("5.0 kB in it, ")
    assert checks["hub cache"].value == "~/.cache/huggingface/hub"
    assert (checks["runs folder"].status, checks["settings folder"].status) == ("error", "ok")
    assert "~/.local is not a folder" in checks["runs folder"].detail
    monkeypatch.setattr(doctor, "LOW_DISK", 1 << 62)
    assert look()["settings folder"].status == "warning"


def test_the_settings_problems_are_listed(home: Path) -> None:
    assert look()["settings"].status == "ok"
    file = home / ".config/hfterm/settings.toml"
    file.parent.mkdir(parents=True)
    file.write_text("colr = 1\nmouse = 2\n")
    check = look()["settings"]
    assert check.status == "warning"
    assert check.value == "~/.config/hfterm/settings.toml: 2 problems"
    assert [line.split(":")[0] for line in check.detail.splitlines()] == [
        "~/.config/hfterm/settings.toml line 1",
        "~/.config/hfterm/settings.toml line 2",
    ]


def test_it_needs_neither_torch_nor_transformers() -> None:
    program = (
        "import sys; from hfterm.job import Job; from hfterm.doctor import examine;"
        "examine(Job()); print({'torch', 'transformers', 'textual', 'rich'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
