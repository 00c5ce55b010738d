"""An hour of hfterm in some minutes: all of it, in a real terminal, by a hand that never rests.

A seeded wanderer (`wander.Wanderer`) presses every key there is, types, pastes, clicks and resizes
on all seven screens, opens models, chats, kills engines and takes files away, while a run trains
and answers stream. Looked at on the way: that hfterm lives and answers, that no fault is ever on
screen, that memory and descriptors stay flat; at the end, that nothing is left running, that no run
and nothing that was said is lost, and that the terminal is as it was.

Set by the environment:

* ``HFTERM_SOAK_MINUTES``: of wandering; without it only a few short walks are taken, each with a
  seed of its own, which say nothing of memory (`make soak`: 60).
* ``HFTERM_SOAK_SEED``: 1 when it is not set. A failure names it, and the last 200 actions.
* ``HFTERM_SOAK_REPORT``: a file that the figures are added to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psutil
import pytest
from soak_vitals import Record, Vitals, slope, vitals_of
from wander import ESCAPE, Action, Wanderer, keys_of

from chat_models import llama3
from chat_server import DONE, ChatServer, Reply, chunk
from hfterm import paths
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.types import LlmSpec, Sampling
from hfterm.errors import HftermError
from hfterm.training import run_control, store
from hfterm.training.recipe_text import write_recipe
from pty_terminal import PtyTerminal
from run_fixtures import a_recipe, end_runs, make_run
from waiting import Patience, wait_until

_ = end_runs  # a fixture

MINUTES = float(os.environ.get("HFTERM_SOAK_MINUTES", "0"))
SEED = int(os.environ.get("HFTERM_SOAK_SEED", "1"))
REPORT = os.environ.get("HFTERM_SOAK_REPORT", "")
HFTERM = str(Path(sys.executable).with_name("hfterm"))

ANSWERS_WITHIN = 90.0
"""Seconds that Alt+1 may take. On a free machine it takes a tenth; this one is shared with a
training, with models that load and answer, and with whatever else runs on it."""

AGAIN = b"\x1b[?1049h"
"""What hfterm writes when it takes the terminal, at the start and after an editor."""

REST = 0.5
"""Seconds that the hand waits at most for what it did: nobody types on for long into a screen that
does not follow, and a queue of keys would only be measured."""

EVERY = 40
"""Bursts between two looks at memory, descriptors and what is kept."""

GROWTH = 24e6
"""Bytes by which the interface may be larger in the last quarter of the settled looks than in their
first: text that is kept on purpose (the wanderer pastes and says more and more), lines that were
drawn at another width, the allocator's holes. The footer's keys, which Textual once kept for ever,
were 40 kB an action: they pass it within 600 actions."""

MORE_DESCRIPTORS = 6
"""Descriptors by which it may have more: an engine's socket and log, a file being read."""

WALKS = (11, 12)
"""Seeds of the short walks."""

SHORT = 0.5
"""Minutes of each."""

FAULTS = (b"Traceback (most recent call last)", b"A fault in hfterm")
EDITOR = "#!/bin/sh\nprintf ' edited' >> \"$1\"\n"
ESCAPES = re.compile(rb"\x1b\[[0-9;?<=>]*[A-Za-z]")
ASKED = b"alt+y yes"
"""On every window that asks before something is deleted."""

pytestmark = [pytest.mark.usefixtures("end_runs"), pytest.mark.timeout(MINUTES * 60 + 900)]


# -- a home to spoil ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Home:
    """Everything that hfterm may see, none of it anybody's.

    Attributes:
        work: the folder it is started in.
        movable: what may be taken away and brought back while it is looked at.
        losable: runs that may be deleted under it.
        refs: what may be opened.
    """

    root: Path
    work: Path
    movable: list[Path]
    losable: list[Path]
    refs: list[str]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A chat server that takes its time."""
    never = Event()
    pieces: list[bytes | Callable[[], object]] = []
    for word in ("Some", " films", " are", " **good**", ",", " others", " `not`", ".\n") * 12:
        pieces += [chunk(word), lambda: never.wait(0.03)]
    with ChatServer(script=[Reply([*pieces, chunk(finish="stop"), DONE])]) as chat:
        yield chat


@pytest.fixture
def home(
    starter_kit: Path, tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    """A copy of the kit, models, texts, runs and conversations."""
    kit, models, work = tmp_path / "kit", tmp_path / "models", tmp_path / "work"
    work.mkdir()
    shutil.copytree(starter_kit, kit, ignore=shutil.ignore_patterns(".*"), copy_function=linked)
    tiny = llama3(models / "tiny-llama")
    shutil.copytree(tiny, models / "tiny-llama-two")
    texts = [work / "film.txt", work / "long.txt"]
    texts[0].write_text("a wonderful film\nand a dull one\n")
    texts[1].write_text("".join(f"line {n}: ¡hola! 👩🏽\u200d💻\n" for n in range(5000)))
    (work / "recipe.toml").write_text(write_recipe(a_recipe("from-a-file")))
    (work / "editor").write_text(EDITOR)
    (work / "editor").chmod(0o755)
    monkeypatch.chdir(work)
    for name, value in {
        "HFTERM_STARTER": kit, "EDITOR": work / "editor", "OMP_NUM_THREADS": 1,
        # nowhere: nothing may be brought
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "HF_ENDPOINT": "http://127.0.0.1:9",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    paths.settings_file().parent.mkdir(parents=True)
    paths.settings_file().write_text(f'library_folders = "{models}"\n')
    make_run("keep-this", at=10)
    make_run("this-one-too", "died", at=20, resumed=(80, 60))
    losable = [make_run(f"lose-{status}", status, at=30) for status in ("finished", "failed")]
    with closing(ConversationStore.open(paths.data_dir() / "conversations.sqlite")) as kept:
        for ref, url in ((str(tiny), ""), ("tiny", server.url), ("tiny", server.url)):
            spec = LlmSpec(ref=ref, url=url, engine="server" if url else "transformers")
            number = kept.create(f"with {ref}", spec, Sampling(), "")
            asked = kept.add(number, None, "user", "which films are good?")
            kept.add(number, asked, "assistant", "Some are.")
    yield Home(
        tmp_path, work,
        movable=[kit / "minilm", kit / "reviews", models / "tiny-llama-two", *texts,
                 work / "recipe.toml"],
        losable=losable,
        refs=["minilm", "smollm2", "bert", "t5", "", "no-such-model", "nobody/nothing",
              str(tiny), str(tiny), str(models / "tiny-llama-two"), str(work), str(texts[0]),
              "\x7f" * 40 + "minilm", "reviews", str(kit / "smollm2-gguf")],
    )  # fmt: skip
    shutil.rmtree(kit)  # 700 MB where it could not be linked


def linked(source: str, target: str) -> None:
    """Weights are the same file elsewhere, unless that is another disk; the rest is copied."""
    if source.endswith((".safetensors", ".gguf")):
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copy2(source, target)


def bindings() -> list[dict[str, str]]:
    """Every binding there is, as hfterm says."""
    told = subprocess.run([HFTERM, "keys", "--json"], capture_output=True, text=True, check=True)
    return json.loads(told.stdout)


def of_this_home() -> list[psutil.Process]:
    """Living processes that were started with this test's HOME, whoever their parent is by now."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            mine = process.environ().get("HOME") == os.environ["HOME"]
            if mine and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
    return found


def trains(process: psutil.Process) -> bool:
    """Whether it is a run's, or was started by one."""
    with suppress(psutil.Error):
        lines = [one.cmdline() for one in (process, *process.parents())]
        return any("hfterm.training." in word for line in lines for word in line)
    return True  # it ended just now


# -- what is kept ------------------------------------------------------------------------------


Said = dict[int, tuple[int, str, str | None]]


def said() -> Said:
    """Every message → its conversation, its role, and its text when it is whole."""
    with closing(sqlite3.connect(paths.data_dir() / "conversations.sqlite", timeout=30)) as base:
        rows = base.execute("SELECT id, conversation, role, content, writer FROM message")
        return {id_: (talk, role, None if writer else text)
                for id_, talk, role, text, writer in rows}  # fmt: skip


def whole_store() -> None:
    """The file of conversations is whole: itself, its index, its tree."""
    with closing(sqlite3.connect(paths.data_dir() / "conversations.sqlite", timeout=30)) as base:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        base.execute("INSERT INTO said (said, rank) VALUES ('integrity-check', 1)")
        for what, sql in {
            "messages of no conversation":
                "SELECT id FROM message WHERE conversation NOT IN (SELECT id FROM conversation)",
            "messages after none":
                "SELECT id FROM message WHERE parent NOT IN (SELECT id FROM message)",
            "conversations that end in no message":
                "SELECT id FROM conversation WHERE leaf NOT IN (SELECT id FROM message)",
            "pieces of nothing": "SELECT rowid FROM piece WHERE message NOT IN"
                " (SELECT id FROM message WHERE writer IS NOT NULL)",
            "wrong counts": "SELECT id FROM conversation WHERE messages !="
                " (SELECT count(*) FROM message WHERE conversation = conversation.id)",
        }.items():  # fmt: skip
            assert base.execute(sql).fetchall() == [], what


# -- the wandering -----------------------------------------------------------------------------


class Soak:
    """hfterm, the hand on it, and what was seen."""

    def __init__(self, terminal: PtyTerminal, home: Home, recipe: Path, seed: int) -> None:
        self.terminal = terminal
        self.home = home
        self.recipe = recipe
        self.seed = seed
        self.done: deque[str] = deque(maxlen=200)
        self.actions = 0
        self.interface = Record()
        self.engines: dict[int, Record] = {}
        self.deleted_here: set[str] = set()
        self._away: list[tuple[Path, Path]] = []
        self._scanned = 0
        self._asked = False
        self._runs = {run.id for run in store.list_runs()}
        self._said = said()
        self._began = time.monotonic()

    @property
    def minute(self) -> float:
        """Since it began."""
        return (time.monotonic() - self._began) / 60

    def do(self, action: Action) -> None:
        """Do one thing."""
        self.done.append(f"{self.minute:6.2f} {action}")
        self.actions += 1
        if action.kind == "keys":
            self.terminal.send(action.data)
        elif action.kind == "resize":
            self.terminal.resize(*action.size)
        elif action.kind == "kill":
            engines = self.terminal.engines()
            if engines:
                with suppress(psutil.Error):
                    engines[int(action.pick * len(engines))].kill()
        elif action.kind == "away":
            self._take_away(action.pick)
        elif action.kind == "back":
            self._bring_back(action.pick)
        elif self.home.losable and action.pick < 0.3:
            lost = self.home.losable.pop()
            shutil.rmtree(lost, ignore_errors=True)
            self.deleted_here.add(lost.name)

    def _take_away(self, pick: float) -> None:
        place = self.home.movable[int(pick * len(self.home.movable))]
        hidden = self.home.root / f"away-{place.name}"
        if place.exists() and not hidden.exists():
            place.rename(hidden)
            self._away.append((place, hidden))

    def _bring_back(self, pick: float) -> None:
        if not self._away:
            return
        place, hidden = self._away.pop(int(pick * len(self._away)))
        if place.exists():  # something was written there meanwhile
            shutil.rmtree(place) if place.is_dir() else place.unlink()
        if hidden.exists() and place.parent.exists():
            hidden.rename(place)

    def look(self) -> None:
        """hfterm lives, and no fault of it is on screen or among what it wrote."""
        self._rest()
        assert self.terminal.process.poll() is None, "hfterm ended"
        new = bytes(self.terminal.raw[max(0, self._scanned - 100) :])
        self._scanned = len(self.terminal.raw)
        self._asked |= ASKED in new
        text = self.terminal.text.encode()
        for fault in FAULTS:
            assert fault not in text, "a fault is on screen"
            assert fault not in new, "a fault was on screen"

    def _rest(self) -> None:
        """Let it follow: until it sleeps, twice in a row, and writes nothing."""
        until, slept = time.monotonic() + REST, 0
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.terminal.process.pid)
            while slept < 2 and time.monotonic() < until:
                wrote = self.terminal.read(0.02)
                slept = 0 if wrote or process.status() == psutil.STATUS_RUNNING else slept + 1

    def answers(self) -> None:
        """Alt+1 shows Tokenize, whatever is in sight."""
        self.terminal.resize(110, 32)
        for _ in range(4):  # a window over another, work that is stopped, a field that is left
            self.terminal.send(ESCAPE)
            self.look()
        patience, tabs = Patience(ANSWERS_WITHIN), re.compile(r"Table +Steps +Batch")
        pressed = len(self.terminal.raw)
        self.terminal.send("\x1b1")
        while not tabs.search(self.terminal.text):
            assert not patience.over, f"Alt+1 shows no Tokenize within {ANSWERS_WITHIN:.0f} s"
            if AGAIN in self.terminal.raw[pressed:]:
                # an editor had the terminal meanwhile, and with it what was typed
                pressed = len(self.terminal.raw)
                self.terminal.send("\x1b1")
            self.look()
            # it need not be quiet: where a run trains, the line below is drawn each second
            self.terminal.quiet(1)
            if not tabs.search(self.terminal.text):
                self.terminal.send(ESCAPE)  # a window that was left open on Tokenize

    def check(self) -> None:
        """Whether it answers, what it takes, and whether what was kept is kept."""
        self.answers()
        self.terminal.quiet(0.5)
        process = psutil.Process(self.terminal.process.pid)
        seen = vitals_of(process, self.minute, self.actions)
        assert seen is not None, "hfterm ended"
        self.interface.seen.append(seen)
        for engine in self.terminal.engines():
            if one := vitals_of(engine, self.minute, self.actions):
                self.engines.setdefault(engine.pid, Record()).seen.append(one)
        self.nothing_lost()
        self._one_run()

    def nothing_lost(self) -> None:
        runs, messages = {run.id for run in store.list_runs()}, said()
        gone = self._runs - runs - self.deleted_here
        assert self._asked or not gone, f"runs are lost: {gone}"
        for id_, (talk, role, text) in self._said.items():
            now = messages.get(id_)
            if now is not None:
                assert text is None or now[2] == text, f"message {id_} is another now"
            elif not self._asked:
                dropped = role == "assistant" and not text  # of which nothing came
                assert dropped, f"message {id_} of conversation {talk} is lost: {text!r}"
        self._runs, self._said, self._asked = runs, messages, False

    def _one_run(self) -> None:
        """One run at work; the wanderer starts more, and stops them."""
        active = [run for run in store.list_runs() if run.active]
        for run in active[2:]:
            with suppress(HftermError):  # it ended just now
                run_control.kill(run)
        if not active and not self._away:
            # it goes on all the time, whether a core is free or not: others need theirs
            told = subprocess.run(["nice", "-n", "19", HFTERM, "train", self.recipe, "--detach"],
                                  capture_output=True, text=True, check=False)  # fmt: skip
            assert told.returncode == 0, told.stderr
            self._runs.add(told.stdout.strip())

    def bring_all_back(self) -> None:
        """The files are where they were."""
        while self._away:
            self._bring_back(0)

    def story(self) -> str:
        """For whoever has to find out."""
        with suppress(AssertionError):  # it goes on
            self.terminal.settle(1, 10)
        after = bytes(self.terminal.raw).rpartition(b"\x1b[?1049l")[2]
        words = ESCAPES.sub(b"", after).decode("utf-8", "replace")[-20_000:]
        stood = [log.read_text("utf-8", "replace") for log in paths.logs_dir().glob("frozen-*")]
        return "\n".join(
            [f"HFTERM_SOAK_SEED={self.seed}, after {self.minute:.1f} min; the last actions:",
             *self.done, "on screen:", self.terminal.text, "after it ended:", words,
             "it stood still:", *stood, "the interface:", str(self.interface)]
        )  # fmt: skip


def stays_flat(soak: Soak) -> None:
    """Neither memory nor descriptors grow once the screens are made.

    Of the settled looks the median of the first quarter is compared with that of the last: medians,
    since a model's table or a long text may be in sight at one of them. A step, where something was
    opened for the first time, is no growth: the slope has to carry at least half of it, as the
    median of the slopes between all pairs has it.
    """
    settled = soak.interface.settled()
    if len(settled) < 8:
        words = f"{len(settled)} looks after the warm-up are too few to say whether memory grows"
        warnings.warn(f"{words}: the machine is slow, or HFTERM_SOAK_MINUTES small", stacklevel=1)
        return
    quarter = len(settled) // 4
    memory = sorted(one.memory for one in settled[:quarter])[quarter // 2]
    later = sorted(one.memory for one in settled[-quarter:])[quarter // 2]
    a_minute = slope([(one.minute, one.memory) for one in settled])
    span = settled[-1].minute - settled[0].minute
    grows = later - memory > GROWTH and a_minute * span > GROWTH / 2
    assert not grows, f"memory grows by {a_minute / 1e6:.1f} MB a minute\n{soak.interface}"
    few = min(one.descriptors for one in settled[:quarter])
    many = min(one.descriptors for one in settled[-quarter:])
    assert many <= few + MORE_DESCRIPTORS, f"descriptors: {few}, then {many}"
    threads = min(one.threads for one in settled[-quarter:])
    assert threads <= min(one.threads for one in settled[:quarter]) + 8, "threads grow"
    for pid, record in soak.engines.items():
        own = record.settled()
        if len(own) >= 6:  # one that was not killed for a while
            grown = own[-1].descriptors - own[0].descriptors
            assert grown <= 2 * MORE_DESCRIPTORS, f"descriptors of engine {pid}\n{record}"


def restored(raw: bytes) -> None:
    """The terminal is as it was: no alternate screen, a cursor, no mouse, no paste brackets."""
    for mode, ends in ((b"1049", b"l"), (b"25", b"h"), (b"1000", b"l"), (b"2004", b"l")):
        begins = b"h" if ends == b"l" else b"l"
        last = [raw.rfind(b"\x1b[?" + mode + letter) for letter in (begins, ends)]
        assert last[0] < last[1], f"mode {mode.decode()} stays"


def logs_say_nothing() -> None:
    """No engine printed a traceback."""
    for log in paths.logs_dir().glob("*.log"):
        text = log.read_text("utf-8", "replace")
        assert "Traceback" not in text, f"{log.name}:\n{text[-6000:]}"


def ends_well(soak: Soak) -> None:
    """Quit: nothing is left but what trains, and that ends when it is asked to."""
    soak.bring_all_back()
    soak.answers()
    soak.terminal.send("\x11")
    assert soak.terminal.ended() == 0
    restored(bytes(soak.terminal.raw))
    wait_until(lambda: all(trains(one) for one in of_this_home()), "all but the run to be gone")
    told = subprocess.run([HFTERM, "runs", "--json"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert {run["id"] for run in json.loads(told.stdout)} == {run.id for run in store.list_runs()}
    for wanted in ("queued", "starting", "running"):  # the queue first: else its turn comes
        for run in store.list_runs():
            if run.status == wanted and run.id not in soak.deleted_here:
                run_control.stop(run)
    wait_until(lambda: not any(run.active for run in store.list_runs()), "the runs to stop")
    wait_until(lambda: not of_this_home(), "every process to be gone")
    soak.nothing_lost()
    whole_store()
    logs_say_nothing()


def test_every_key_is_known_to_the_wanderer() -> None:
    told = bindings()
    keys = keys_of(told)
    assert {name.split()[0] for name in keys} >= {one["id"] for one in told} - {"quit", "palette"}
    assert b"\x11" not in keys.values()


def test_the_wanderer_does_the_same_for_the_same_seed() -> None:
    told = bindings()
    one, two = (Wanderer(7, told, ["minilm", "x"]).bursts() for _ in range(2))
    assert [next(one) for _ in range(300)] == [next(two) for _ in range(300)]
    assert {action.kind for _ in range(300) for action in next(one)} >= {"keys", "resize"}


@pytest.mark.skipif(MINUTES <= 0, reason="it takes long: make soak")
def test_wandering(home: Home, start: Callable[..., PtyTerminal]) -> None:
    stays_flat(wandered(home, start, SEED, MINUTES))


@pytest.mark.skipif(MINUTES > 0, reason="the long one is asked for")
@pytest.mark.parametrize("seed", WALKS)
def test_wandering_a_little(home: Home, start: Callable[..., PtyTerminal], seed: int) -> None:
    wandered(home, start, seed, SHORT)


def wandered(home: Home, start: Callable[..., PtyTerminal], seed: int, minutes: float) -> Soak:
    """So many minutes of it, to a good end."""
    tmp_path = home.root
    recipe = tmp_path / "soak.toml"
    recipe.write_text(
        write_recipe(
            a_recipe("soak", training={"max_steps": 100_000, "batch_size": 4, "save_every": 20,
                                       "eval_every": 40, "log_every": 1},
                     data={"train": "train[:500]", "eval": "train[-16:]", "max_length": 24})
        )
    )  # fmt: skip
    told = bindings()
    terminal = start("--screen", "chat", "--model", str(tmp_path / "models" / "tiny-llama"))
    terminal.wait_for("Talk +Tokens +Side")
    soak = Soak(terminal, home, recipe, seed)
    try:
        soak.check()
        for number, burst in enumerate(Wanderer(seed, told, home.refs).bursts(), 1):
            for action in burst:
                soak.do(action)
                terminal.read(0)
            soak.look()
            if soak.minute > minutes:
                break
            if number % EVERY == 0:
                soak.check()
        soak.check()
        ends_well(soak)
    except Exception as error:
        story = soak.story()
        (tmp_path / "terminal.raw").write_bytes(terminal.raw)
        raise AssertionError(f"{error}\n{story}\nevery byte: {tmp_path}/terminal.raw") from error
    finally:
        if REPORT:
            with Path(REPORT).open("a") as file:
                file.write(f"seed {seed}, {soak.minute:.1f} min\n{soak.interface}\n")
    return soak


def test_growth_is_told_from_a_step_and_from_noise() -> None:
    def judged(memory: Callable[[int], float]) -> Soak:
        soak = Soak.__new__(Soak)  # only what was seen matters
        soak.engines, soak.interface = {}, Record()
        for look in range(60):
            soak.interface.seen.append(
                Vitals(look / 10, look * 100, int(100e6 + memory(look)), 11, 6)
            )
        return soak

    stays_flat(judged(lambda look: 3e6 * (look % 5)))
    stays_flat(judged(lambda look: 20e6 if look > 52 else 0))  # something was opened late
    stays_flat(judged(lambda look: min(look, 25) * 3e6))  # the warm-up
    with pytest.raises(AssertionError, match="memory grows by"):
        stays_flat(judged(lambda look: look * 100 * 40e3))  # the footer's keys
    with pytest.raises(AssertionError, match="memory grows by"):
        stays_flat(judged(lambda look: look * 1.5e6 + 3e6 * (look % 5)))
