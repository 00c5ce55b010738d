"""The commands about models: output, exit code, errors in two lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import model_zoo as models
from cli_here import hfterm_here, shared_engine
from hfterm.models.overview import overview
from hfterm.models.types import ModelSpec
from pty_terminal import PtyTerminal

Zoo = dict[str, Path]

_ = shared_engine  # a fixture

pytestmark = pytest.mark.usefixtures("shared_engine")

HFTERM = Path(sys.executable).with_name("hfterm")
KEYS = ("model_type", "family", "parameters", "classes")
CLASS_KEYS = ["task", "auto", "concrete", "missing", "unexpected", "mismatched", "verdict"]


def succeeded(*arguments: str | Path) -> str:
    done = hfterm_here(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def failure(*arguments: str | Path) -> tuple[str, str]:
    """What went wrong and what to do: nothing else is printed."""
    done = hfterm_here(*arguments)
    lines = done.stderr.splitlines()
    assert (done.exit_code, done.stdout, len(lines)) == (1, "", 2), done.stderr
    assert lines[0].startswith("hfterm: ")
    assert lines[1].startswith("  ")
    return lines[0].removeprefix("hfterm: "), lines[1].strip()


def plain(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("name", "told", "spec"),
    [
        ("bert-labels", ["--labels", "7"], {"num_labels": 7}),
        ("pickle", ["--allow-pickle"], {"allow_pickle": True}),
    ],
)
def test_classes_as_json(
    name: str, told: list[str], spec: dict[str, object], model_zoo: Zoo
) -> None:
    ref = str(model_zoo[name])
    answer = json.loads(succeeded("classes", ref, *told, "--json"))
    assert tuple(answer)[: len(KEYS)] == KEYS
    found = overview(ref, msgspec.convert({"ref": ref, **spec}, ModelSpec))
    assert {key: answer[key] for key in KEYS[:3]} == {
        "model_type": "bert", "family": "encoder", "parameters": found.parameters,
    }  # fmt: skip
    assert len(answer["classes"]) == len(found.classes)
    for row, report in zip(answer["classes"], found.classes, strict=True):
        assert list(row) == CLASS_KEYS
        assert row == {key: plain(getattr(report, key)) for key in CLASS_KEYS}
    mismatched = [row["mismatched"] for row in answer["classes"] if row["mismatched"]]
    if name == "bert-labels":
        assert {"name", "checkpoint", "model"} == set(mismatched[0][0])
    else:
        assert "refused" not in {row["verdict"] for row in answer["classes"]}


def test_classes_of_an_architecture_as_json() -> None:
    answer = json.loads(subprocess.check_output([HFTERM, "classes", "gpt2", "--json"]))
    assert (answer["model_type"], answer["family"]) == ("gpt2", "decoder")
    assert {row["verdict"] for row in answer["classes"]} == {"untrained"}
    assert "AutoModelForMaskedLM" in answer["absent"]


def test_classes_as_a_table(model_zoo: Zoo) -> None:
    ref = str(model_zoo["bert-labels"])
    found = overview(ref)
    lines = succeeded("classes", ref).splitlines()
    assert lines[0].startswith(f"{ref}: bert, encoder, {found.parameters:,} parameters")
    for report in found.classes:
        row = next(line for line in lines if f" {report.auto} " in line)
        assert report.concrete in row
        assert report.verdict in row
        if report.verdict not in ("complete", "untrained"):
            assert f"{report.auto}: {report.meaning} {report.remedy}" in lines
    for auto, task in found.absent:
        assert any(auto in line and task in line and "absent" in line for line in lines)


def test_an_unknown_architecture_is_explained_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "distilbertt"}')
    message, remedy = failure("classes", tmp_path)
    assert "distilbertt" in message
    assert "distilbert" in remedy


def test_code_of_a_repository_is_refused_in_two_lines(tmp_path: Path) -> None:
    config = {"model_type": "weird\x1b[31m", "auto_map": {"AutoConfig": "code.WeirdConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    message, _ = failure("classes", tmp_path, "--json")
    assert str(tmp_path) in message
    assert "code.py" in message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("command", ["classes", "memory"])
def test_what_is_not_there_is_said_in_two_lines(command: str, tmp_path: Path) -> None:
    message, _ = failure(command, tmp_path / "nothing")
    assert str(tmp_path / "nothing") in message


def test_memory_as_json(model_zoo: Zoo) -> None:
    answer = json.loads(
        succeeded("memory", model_zoo["bert-labels"], "--context", "16", "--batch", "2", "--json")
    )
    assert (answer["context"], answer["batch"]) == (16, 2)
    assert answer["cls"] == "BertForSequenceClassification"
    count = answer["parameters"]
    assert answer["weights"]["float32"] >= 4 * count > answer["weights"]["bfloat16"] >= 2 * count
    for judged in answer["plans"]:
        assert judged["plan"]["total"] > 0
        assert {v["device"] for v in judged["verdicts"]} == {d["name"] for d in answer["devices"]}


def test_memory_beyond_the_model_s_positions(model_zoo: Zoo) -> None:
    message, remedy = failure("memory", model_zoo["bert-labels"], "--context", "5000", "--json")
    assert str(models.POSITIONS) in message
    assert str(models.POSITIONS) in remedy


# -- a repository's own code -------------------------------------------------------------------


@pytest.fixture
def sneaky(tmp_path: Path) -> Path:
    """A model whose Python leaves a file behind when it is run."""
    folder = tmp_path / "sneaky"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"model_type": "sneaky", "auto_map": {"AutoConfig": "own.SneakyConfig"}})
    )
    (folder / "own.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from transformers import PreTrainedConfig\n"
        "class SneakyConfig(PreTrainedConfig):\n    model_type = 'sneaky'\n"
    )
    return folder


@pytest.mark.parametrize("command", [["classes"], ["predict", "x"]])
def test_no_code_runs_unasked(command: list[str], sneaky: Path) -> None:
    name, *text = command
    done = hfterm_here(name, sneaky, *text)
    assert done.exit_code == 1
    assert "own.py" in done.stderr
    assert str(sneaky) in done.stderr
    assert not (sneaky.parent / "ran").exists()


@pytest.mark.parametrize("command", [["classes"], ["predict", "x"]])
def test_no_code_runs_where_nobody_can_say_yes(command: list[str], sneaky: Path) -> None:
    name, *text = command
    done = subprocess.run(
        [HFTERM, name, sneaky, *text, "--allow-code"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 1
    assert "own.py" in done.stderr
    assert str(sneaky) in done.stderr
    assert not (sneaky.parent / "ran").exists()


@pytest.mark.parametrize(("answer", "ran"), [("n", False), ("y", True)])
def test_a_yes_on_the_terminal_lets_the_code_run(answer: str, ran: bool, sneaky: Path) -> None:
    with PtyTerminal([str(HFTERM), "classes", str(sneaky), "--allow-code"]) as terminal:
        terminal.wait_for("own.py")
        terminal.wait_for(r"Run it\? \[y/N\]")
        assert not (sneaky.parent / "ran").exists()
        terminal.send(f"{answer}\r")
        assert terminal.ended() == 1  # after a yes too: it has no model class
    assert (sneaky.parent / "ran").exists() == ran
