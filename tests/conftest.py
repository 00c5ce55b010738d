"""What every test directory shares: isolation from the user, the zoo, the starter kit, an engine.

Makes `zoo`, `model_zoo`, `corpus`, `pty_terminal`, `hub_server` and `chat_server` importable.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

# Two tests at once share the cores; threads that wait by spinning would take them from each other.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many workers as cores: one each

import pytest
from hypothesis import settings

from zoo import build_zoo

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient
    from hfterm.tokenization.loading import LoadedTokenizer
    from pilot_app import BackgroundEngine
    from pty_terminal import PtyTerminal

# huggingface_hub reads these when it is imported, which a session fixture may already do.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# What was started in the background hands on that it ignores these.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

COVERED = "COVERAGE_PROCESS_CONFIG" in os.environ

SELDOM = (50_000, 20, 10)
"""Of how many new objects, and how many collections of a younger generation, Python looks for
circles. Left alone it took three tenths of the time of the screens' tests."""

# How long an example takes is no property of it.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")

KIT = ("minilm", "smollm2", "reviews", "sms-spam")
HOMES = (
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "HF_HOME",
)
CLEARED = (
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_HUB_CACHE",
    "HFTERM_API_KEY",
    "HFTERM_SETTINGS",
    "OPENAI_API_KEY",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_CONFIG_FILE",
)


def pytest_collection_finish() -> None:
    """What was imported stays: nobody looks for circles in it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A file of tests leaves no models and no apps to the next."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()


@pytest.fixture(autouse=True)
def isolated(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No test reads or writes a folder of the user's. HFTERM_STARTER stays as it came.

    A test fails of any fault that hfterm outlived and only wrote down.
    """
    home = tmp_path_factory.mktemp("home")  # not in tmp_path, which tests expect to be empty
    monkeypatch.setenv("HOME", str(home))
    for name in HOMES:
        monkeypatch.setenv(name, str(home / name.lower()))
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
    for file in home.rglob("faults.log"):
        pytest.fail(file.read_text("utf-8"))


class SteppingTask(asyncio.tasks._PyTask):  # pyright: ignore[reportAttributeAccessIssue, reportUntypedBaseClass]
    """A task whose failures are raised where they are awaited.

    A tracer of Python 3.11 loses the coroutines into which a failure is thrown from outside: what
    they do next runs, but is counted as not run.
    """

    def _Task__wakeup(self, future: asyncio.Future[object]) -> None:
        self._Task__step()


if COVERED:
    asyncio.Task = asyncio.tasks.Task = SteppingTask  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="session", autouse=COVERED)
def engines_that_are_counted() -> Iterator[None]:
    """While coverage is measured an engine ends by itself, and so says what it ran.

    hfterm kills it, since it holds nothing that needs saving.
    """
    from hfterm.engine.client import EngineClient

    kill = EngineClient.close

    async def close(self: EngineClient) -> None:
        if self._writer is not None and self._process is not None:
            self._writer.close()
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, 10)
        await kill(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EngineClient, "close", close)
        yield


def is_outside(address: object) -> bool:
    """Whether a socket address is another machine's. Unix sockets and names of this one are not."""
    if not isinstance(address, tuple):
        return False
    host = str(address[0])
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in ("localhost", "")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that connects to another machine, also when it swallows the refusal."""
    outside: list[object] = []

    def guard(name: str) -> None:
        real = getattr(socket.socket, name)

        def connect(self: socket.socket, address: object) -> object:
            if is_outside(address):
                outside.append(address)
                raise ConnectionRefusedError(f"a test connects to {address!r}")
            return real(self, address)

        monkeypatch.setattr(socket.socket, name, connect)

    guard("connect")
    guard("connect_ex")
    yield
    assert not outside, f"connected to other machines: {outside}"


@pytest.fixture(scope="session")
def starter_kit() -> Path:
    """The folder of the starter kit, complete. Read only."""
    named = os.environ.get("HFTERM_STARTER")
    if not named:
        pytest.fail(
            "These tests need the starter kit: run `make test`, or set HFTERM_STARTER to a folder "
            "and fill it with `hfterm starter`."
        )
    folder = Path(named).expanduser().absolute()
    missing = [name for name in KIT if not (folder / name).is_dir()]
    if missing:
        pytest.fail(
            f"The starter kit in {folder} lacks {', '.join(missing)}: run `make test`, or "
            "`hfterm starter` with HFTERM_STARTER set to it."
        )
    return folder


@pytest.fixture
async def engine() -> AsyncIterator[EngineClient]:
    """A client with a process of its own, started by its first call and ended with the test."""
    from hfterm.engine.client import EngineClient

    client = EngineClient("test", warm=False)
    yield client
    await client.close()


@pytest.fixture(scope="session")
def background_engine(
    starter_kit: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackgroundEngine]:
    """One warm engine process for all tests of the screens."""
    from pilot_app import BackgroundEngine

    home = tmp_path_factory.mktemp("engine-home")
    with pytest.MonkeyPatch.context() as patch:  # a session fixture comes before `isolated`
        patch.setenv("HOME", str(home))
        for name in HOMES:
            patch.setenv(name, str(home / name.lower()))
        for name in CLEARED:
            patch.delenv(name, raising=False)
        background = BackgroundEngine()
        background.warm()
    yield background
    background.close()


@pytest.fixture
def start(starter_kit: Path) -> Iterator[Callable[..., PtyTerminal]]:
    """Start the installed hfterm in a pseudo-terminal: arguments, and `env`, `columns`, `rows`.

    What still runs is ended with the test.
    """
    from pty_terminal import PtyTerminal

    opened: list[PtyTerminal] = []

    def begin(
        *arguments: str | bytes,
        env: dict[str, str] | None = None,
        columns: int = 120,
        rows: int = 40,
    ) -> PtyTerminal:
        hfterm = str(Path(sys.executable).with_name("hfterm"))
        terminal = PtyTerminal([hfterm, *arguments], env=env, columns=columns, rows=rows)
        opened.append(terminal)
        return terminal

    yield begin
    for terminal in opened:
        terminal.kill()


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → folder of every zoo member, built once a session. Read only."""
    return build_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def model_zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → folder of every model of the zoo, built once a session. Read only."""
    from model_zoo import build_model_zoo

    return build_model_zoo(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def opened(zoo: dict[str, Path]) -> Callable[[str], LoadedTokenizer]:
    """Open a zoo member through AutoTokenizer, each once a session. Imports transformers."""
    from hfterm.tokenization.loading import load

    @cache
    def open_member(name: str) -> LoadedTokenizer:
        return load(str(zoo[name]))

    return open_member
