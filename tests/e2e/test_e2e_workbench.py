"""The installed hfterm, drawn in a real pseudo-terminal and worked by keys."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pty_terminal import PtyTerminal
from waiting import gone, wait_until

Start = Callable[..., PtyTerminal]
CTRL_Q = "\x11"
F4, F6 = "\x1bOS", "\x1b[17~"
SAMPLE = "¡Los Transformadores de Hugging Face son geniales! 👩🏽\u200d💻 Tokenization is fun."
LAST_ROW = r"\[SEP\] .*special"


def processes_of_this_home() -> list[int]:
    """Every process that was started with this test's HOME, whoever its parent is by now."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("HOME") == os.environ["HOME"]
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def verified(terminal: PtyTerminal) -> None:
    """Wait until transformers has been asked and nothing is being worked on."""
    terminal.wait_for(LAST_ROW)
    terminal.wait(lambda: "checking" not in terminal.text and "loading" not in terminal.text,
                  "the tokenizer verified")  # fmt: skip


def test_it_starts_with_the_starter_model_and_the_tokens_of_the_sample(start: Start) -> None:
    terminal = start()
    terminal.wait_for(LAST_ROW)
    assert terminal.lines[0].split()[:2] == ["1", "Tokenize"]
    assert "minilm" in terminal.lines[0]
    terminal.wait(lambda: ids_on(terminal) == ids_of(SAMPLE), "the ids of the sample")


def test_typing_changes_the_table(start: Start) -> None:
    terminal = start("--text", "")
    terminal.wait_for(r"\[SEP\]")
    terminal.send("tokenizers rock")
    terminal.wait(lambda: ids_on(terminal) == ids_of("tokenizers rock"), "the ids of the text")
    terminal.send("\x7f" * 5)
    terminal.wait(lambda: ids_on(terminal) == ids_of("tokenizers"), "the ids of the shorter text")


def test_keys_of_one_packet_act_in_their_order(start: Start) -> None:
    terminal = start("--text", "")
    terminal.wait_for(r"\[SEP\]")
    terminal.send("hugs\x7fgin\x1b[D\x1b[D\x1b[Dx\x1b[Fg")
    terminal.wait(lambda: ids_on(terminal) == ids_of("hugxging"), "the ids of what was typed")


def test_alt_keys_act_while_a_text_is_typed(start: Start) -> None:
    terminal = start("--text", "hugging")
    terminal.wait_for(LAST_ROW)
    terminal.send("\x1bs")
    terminal.wait(lambda: ids_on(terminal) == ids_of("hugging")[1:-1], "no special tokens")
    terminal.send("\x1bj\x1bjs")  # it is no key here, and no letter either
    terminal.wait(lambda: ids_on(terminal) == ids_of("shugging")[1:-1], "the s alone")
    terminal.send("\x1bp")
    terminal.wait_for("the second sequence")
    assert "shugging " in f"{terminal.lines[2]} ", "the letters are in the text"


def test_a_text_of_as_many_lines_is_drawn_anew_in_a_narrower_window(start: Start) -> None:
    words = [letter * 4 for letter in "abcdefghijklmnopqrstuvwx"]
    terminal = start("--text", " ".join(words), columns=120, rows=40)
    terminal.wait_for(LAST_ROW.replace("SEP", "CLS"))
    terminal.resize(80, 24)
    text = lambda: " ".join(line.strip("│ ") for line in terminal.lines[2:4])  # noqa: E731
    terminal.wait(lambda: text().split() == words, "every word")


def ids_of(text: str) -> list[int]:
    from tokenizers import Tokenizer

    kit = os.environ["HFTERM_STARTER"]
    tokenizer = Tokenizer.from_file(f"{kit}/minilm/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer.encode(text).ids


def ids_on(terminal: PtyTerminal) -> list[int]:
    """The ids in the table on screen."""
    cells = [line.strip("│ ").split() for line in terminal.lines]
    rows = [row for row in cells if len(row) > 8 and row[0].isdigit() and row[1].isdigit()]
    return [int(row[1]) for row in rows]


def test_every_tab_opens_and_comes_round(start: Start) -> None:
    terminal = start()
    verified(terminal)

    def page() -> list[str]:
        lines = terminal.lines
        at = [n for n, line in enumerate(lines) if "Vocabulary" in line and "Audit" in line]
        # a frame that is half drawn has no tabs yet
        return [line.strip("│ ▂▄▆█") for line in lines[at[0] + 2 : -3]] if at else []

    table = page()
    for number in range(1, 10):
        before = page()
        terminal.send(F4)
        terminal.wait(lambda before=before: page() != before and any(page()),
                      f"another page, not blank, after F4 × {number}")  # fmt: skip
        terminal.settle(0.3)
        assert number == 9 or page() != table
    terminal.wait(lambda: page() == table, "the first page again")
    assert "fault" not in terminal.text.lower()


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_it_fits_the_window(start: Start, columns: int, rows: int) -> None:
    terminal = start(columns=columns, rows=rows)
    terminal.wait_for(r"\[CLS\].*special")
    terminal.wait_for("Palette|Help")
    lines = terminal.lines
    assert len(lines) == rows
    assert lines[1].startswith("╭")
    assert lines[1].endswith("╮")
    assert len(lines[1]) == columns
    assert any(line.startswith("╰") and line.endswith("╯") for line in lines[-4:])


def test_it_follows_the_windows_size(start: Start) -> None:
    terminal = start(columns=120, rows=40)
    terminal.wait_for(LAST_ROW)
    terminal.wait_for("Palette|Help")
    terminal.resize(80, 24)
    terminal.wait(lambda: len(terminal.lines[1]) == 80 and terminal.lines[1].endswith("╮"),
                  "a frame of 80 columns")  # fmt: skip
    terminal.resize(200, 50)
    terminal.wait(lambda: len(terminal.lines[1]) == 200 and terminal.lines[1].endswith("╮"),
                  "a frame of 200 columns")  # fmt: skip
    terminal.wait_for(LAST_ROW)


def test_model_and_text_of_the_command_line(start: Start, zoo: dict[str, Path]) -> None:
    model = str(zoo["gpt2"])
    terminal = start("--screen", "tokenize", "--model", model, "--text", "Ünïcode 你好")
    terminal.wait_for(r"Ünïcode 你\s*好")
    terminal.wait_for(r"^.*\b0:1\b")
    assert "gpt2" in terminal.lines[0]
    assert "[CLS]" not in terminal.text


# -- ends ------------------------------------------------------------------------------------


def test_quitting_leaves_no_process(start: Start) -> None:
    terminal = start()
    terminal.wait_for(LAST_ROW)
    assert len(terminal.engines()) == 1
    assert len(processes_of_this_home()) >= 2
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0
    wait_until(lambda: not processes_of_this_home(), "no process left")
    assert b"\x1b[?1049l" in terminal.raw, "the terminal's own screen is not restored"
    assert b"Traceback" not in terminal.raw


def test_quitting_before_anything_is_there_leaves_no_process(start: Start) -> None:
    terminal = start()
    terminal.wait_raw(b"Transformadores")  # the first frame: no token is there yet
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0
    wait_until(lambda: not processes_of_this_home(), "no process left")
    assert b"Traceback" not in terminal.raw


def test_quitting_while_a_file_is_tokenized_leaves_no_process(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("So much text that there is time to leave before the end of it.\n" * 300_000)
    terminal = start()
    terminal.wait_for(LAST_ROW)
    terminal.send("\x1b[18~")
    terminal.wait_for("Open a file")
    terminal.send(f"{file}\r")
    terminal.wait_for("tokenizing")
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0
    wait_until(lambda: not processes_of_this_home(), "no process left")


@pytest.mark.parametrize("way", ["window", "SIGTERM", "SIGKILL"])
def test_however_it_ends_no_process_is_left(start: Start, way: str) -> None:
    terminal = start()
    terminal.wait_for(LAST_ROW)
    pids = [process.pid for process in terminal.family()]
    assert len(pids) >= 2
    if way == "window":
        terminal.close()
    else:
        os.kill(terminal.process.pid, signal.Signals[way])
    terminal.process.wait(90)
    wait_until(lambda: all(map(gone, pids)) and not processes_of_this_home(), "no process left")


def test_a_hangup_ends_it_also_where_hangups_are_ignored(starter_kit: Path) -> None:
    hfterm = str(Path(sys.executable).with_name("hfterm"))
    ignoring = ["/bin/sh", "-c", 'trap "" HUP; exec "$0"', hfterm]
    with PtyTerminal(ignoring, columns=120, rows=40) as terminal:
        terminal.wait_for(LAST_ROW)
        terminal.close()
        terminal.process.wait(90)
    wait_until(lambda: not processes_of_this_home(), "no process left")


# -- what goes over the wire -----------------------------------------------------------------


@pytest.mark.parametrize(
    "env", [{}, {"NO_COLOR": "1"}, {"TERM": "xterm"}], ids=["256", "no-color", "16"]
)
def test_no_truecolor_where_it_was_not_promised(start: Start, env: dict[str, str]) -> None:
    terminal = start(env=env)
    terminal.wait_for(LAST_ROW)
    terminal.settle()
    assert b"38;2;" not in terminal.raw
    assert b"48;2;" not in terminal.raw


def test_truecolor_where_it_is_promised(start: Start) -> None:
    terminal = start(env={"COLORTERM": "truecolor"})
    terminal.wait_for(LAST_ROW)
    assert b"38;2;" in terminal.raw


def test_the_mouse_is_left_alone_on_demand(start: Start) -> None:
    with_mouse, without = start(), start("--no-mouse")
    for terminal in (with_mouse, without):
        terminal.wait_for(LAST_ROW)
    for mode in (b"1000", b"1003", b"1006"):
        assert b"\x1b[?" + mode + b"h" in with_mouse.raw
        assert b"\x1b[?" + mode + b"h" not in without.raw


def test_an_idle_screen_is_silent(start: Start) -> None:
    terminal = start()
    verified(terminal)
    terminal.settle(1.0)
    # the load of the machine may change in the status bar; nothing else has a reason to
    assert terminal.quiet(3.0) < 1_000
    terminal.send(F6)
    terminal.wait_for("Open a model")
    terminal.settle(1.0)  # its cursor does not blink either
    assert terminal.quiet(3.0) < 1_000


HOSTILE = (
    "\x1b]52;c;aGFja2Vk\x07 \x1b]0;owned\x07 \x1b[2J\x1b[31m \x9b31m \x9d0;owned\x9c "
    "\u202eevil\u202c \u2066x\u2069 [red]r[/red] [/nope] [@click=app.quit]quit[/] \x08\x7f"
)


def test_a_hostile_text_is_shown_and_never_obeyed(start: Start) -> None:
    terminal = start("--text", HOSTILE)
    terminal.wait_for(r"␛\]52;c;aGFja2Vk␇")
    terminal.wait_for(r"\[CLS\].*special")
    for _ in range(9):
        terminal.send(F4)
        terminal.settle(0.5)
    terminal.wait_for(r"\[@click=app\.quit\]")
    raw = bytes(terminal.raw)
    for sequence in (b"\x1b]52", b"\x1b]0;", b"\x1b[2J", b"\x9d0;", b"\x08", b"\x7f"):
        assert sequence not in raw, sequence
    text = raw.decode("utf-8", "replace")
    assert not {"\x9b", "\x9d", "\x9c", "\u202e", "\u2066", "\u2069"} & set(text)
    assert b"\x1b[31m" not in raw.replace(b"\x1b[31;", b"")
    assert terminal.process.poll() is None


def test_a_text_that_is_not_utf8_keeps_the_app_alive(start: Start) -> None:
    terminal = start("--text", b"caf\xe9 au lait", env={"LC_ALL": "C.UTF-8"})
    terminal.wait_for("au lait")
    terminal.wait_for(r"\[SEP\] .*special|not UTF-8")
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0
    assert b"Traceback" not in terminal.raw


def test_an_unknown_model_is_said_and_the_text_kept(start: Start) -> None:
    terminal = start("--model", "minilim", "--text", "still here")
    terminal.wait_for("Did you mean 'minilm'")
    assert "still here" in terminal.text
    terminal.send(F6)
    terminal.wait_for("smollm2")
