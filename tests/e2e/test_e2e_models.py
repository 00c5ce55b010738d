"""Models and Predict in a real pseudo-terminal, worked by keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pty_terminal import PtyTerminal

Start = Callable[..., PtyTerminal]
CTRL_Q = "\x11"
F2, F4, F5, F6 = "\x1bOQ", "\x1bOS", "\x1b[15~", "\x1b[17~"
ALT = "\x1b"


def test_alt_digits_go_through_the_screens_while_a_text_is_typed(start: Start) -> None:
    terminal = start()
    terminal.wait_for(r"\[SEP\] .*special")
    terminal.send(f"{ALT}2")
    terminal.wait_for("complete .*hidden states")
    terminal.send(f"{ALT}3")
    terminal.wait_for("task .text-classification")
    terminal.send("x")
    terminal.wait_for("One of the greatest.*x|xOne of the greatest")
    terminal.send(f"{ALT}1")
    terminal.wait_for("Transformadores")
    assert "™" not in terminal.text
    assert "£" not in terminal.text


def test_models_fits_the_window(start: Start) -> None:
    terminal = start("--screen", "models", columns=80, rows=24)
    terminal.wait_for("complete .*hidden states")

    def fits(size: tuple[int, int], *marks: str) -> None:
        terminal.wait(
            lambda: terminal.fills(*size) and all(mark in terminal.text for mark in marks),
            f"{marks} at {size}",
        )

    sizes = (80, 24), (120, 40), (200, 50)
    for size in sizes:
        terminal.resize(*size)
        fits(size, "Config", "LoRA", "Load", "engine", "hidden states")
    terminal.send(F4 * 3)
    for size in reversed(sizes):
        terminal.resize(*size)
        fits(size, "full fine-tune", "✓ fits")


def test_predict_answers_and_shows_its_code(start: Start) -> None:
    terminal = start("--screen", "predict", "--text", "a good film")
    terminal.wait_for("F5 runs the model")
    terminal.send(F5)
    terminal.wait_for("LABEL_1 .*0\\.\\d{4}")
    assert "head is new" in terminal.text
    terminal.send(F2)
    terminal.wait_for("from transformers import")
    terminal.send("\x1b")
    terminal.wait(lambda: "Show code" not in terminal.text, "the code to close")
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0


def test_a_hostile_model_is_shown_and_never_obeyed(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "evil\x1b]0;pwned\x07[red]"
    folder.mkdir()
    (folder / "config.json").write_text(
        '{"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 99,'
        ' "num_attention_heads": 2, "intermediate_size": 8,'
        ' "id2label": {"0": "\\u001b[2Jone", "1": "[@click=app.quit]two[/]"}}'
    )
    terminal = start("--screen", "models", "--model", str(folder))
    terminal.wait_for("untrained .*hidden states")
    terminal.send(F4)
    terminal.wait_for("2 labels")
    assert b"pwned\x07" not in terminal.raw
    assert b"\x1b[2Jone" not in terminal.raw
    assert "␛[2Jone" in terminal.text
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0
