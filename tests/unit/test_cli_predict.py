"""``hfterm predict``: tables, JSON, files, and what goes wrong."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from inference_fixtures import LONG, Shelf, models, shelf

from cli_here import hfterm_here, shared_engine
from hfterm.inference.batch import predict_rows
from hfterm.inference.options import BatchOptions, TaskOptions
from hfterm.inference.types import Answering, Classification, Embedding, Loss, ModuleGradient
from hfterm.job import Job
from hfterm.models.types import ConfigEntry
from hfterm.widgets.exporting import write_table
from hfterm.widgets.model_tables import config_rows
from hfterm.widgets.prediction_tables import gradient_rows

_ = models, shared_engine, shelf  # fixtures

pytestmark = pytest.mark.usefixtures("shared_engine")

HFTERM = Path(sys.executable).with_name("hfterm")
TEXT = "The quick brown fox"
CONTEXT = "The fox was quick. The dog was lazy."


def hfterm(*arguments: str | Path) -> Result:
    return hfterm_here("predict", *arguments)


def run(*arguments: str | Path) -> tuple[str, str]:
    """(stdout, stderr) of a command that succeeds."""
    done = hfterm(*arguments)
    assert done.exit_code == 0, done.stderr
    return done.stdout, done.stderr


def assert_two_lines(done: Result, code: int = 1) -> tuple[str, str]:
    # progress that was shown before is wiped, and is no line of the error
    lines = [line for line in done.stderr.splitlines() if line.startswith(("hfterm: ", "  "))]
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("hfterm: ")
    assert lines[1].startswith("  ")
    assert "Traceback" not in done.stderr
    return lines[0], lines[1]


# -- texts -----------------------------------------------------------------------------------


def test_json_of_a_classification(shelf: Shelf) -> None:
    model = str(shelf.folders["bert-labels"])
    done = subprocess.run(
        [HFTERM, "predict", model, TEXT, "-", "--label", "1", "--json"],
        input="a dog", capture_output=True, text=True, check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert {name: answer[name] for name in ("model", "task", "class", "verdict")} == {
        "model": model, "task": "text-classification", "class": "BertForSequenceClassification",
        "verdict": "complete",
    }  # fmt: skip
    for text, result in zip([TEXT, "a dog"], answer["results"], strict=True):
        said = shelf.predict("bert-labels", text, "text-classification", label=1, backward=True)
        assert isinstance(said, Classification)
        assert said.loss is not None
        assert result["best"] == said.best
        assert [s["logit"] for s in result["scores"]] == pytest.approx(
            [s.logit for s in said.scores], abs=1e-5
        )
        assert result["loss"]["by_labels"] == pytest.approx(said.loss.by_labels, abs=1e-5)
        assert len(result["loss"]["gradients"]) == len(said.loss.gradients)


def test_the_table_of_a_classification_says_what_is_new(shelf: Shelf, starter_kit: Path) -> None:
    out, error = run("minilm", TEXT, "--num-labels", "3", "--seed", "2")
    assert "BertForSequenceClassification" in error
    assert len(error.splitlines()) == 1
    said = shelf.open("minilm", "text-classification", num_labels=3, seed=2)
    from hfterm.inference.predicting import predict

    found = predict(said, TEXT, TaskOptions(task="text-classification"))
    assert isinstance(found, Classification)
    lines = out.splitlines()
    assert lines[0] == f"{found.tokens} tokens"
    ranked = sorted(found.scores, key=lambda score: -score.probability)
    for line, score in zip(lines[2:], ranked, strict=True):
        cells = line.replace("▸", "").split()
        assert cells[:2] == [str(score.id), score.label]
        assert float(cells[2]) == pytest.approx(score.logit, abs=2e-4)
        assert float(cells[3]) == pytest.approx(score.probability, abs=2e-4)


def test_hostile_labels_are_harmless(shelf: Shelf) -> None:
    out, _ = run(shelf.folders["hostile"], TEXT)
    assert not {"\x1b", "\x07"} & set(out)
    assert "[red]x[/red]" in out


def test_question_answering_with_a_context(shelf: Shelf) -> None:
    model = shelf.folders["bert-qa"]
    told = ("--task", "question-answering", "--context", CONTEXT, "--top", "2")
    out, _ = run(model, "Who was quick?", *told, "--json")
    said = shelf.predict("bert-qa", CONTEXT, "question-answering", question="Who was quick?", top=2)
    assert isinstance(said, Answering)
    (result,) = json.loads(out)["results"]
    assert [a["text"] for a in result["answers"]] == [a.text for a in said.answers]
    assert [a["score"] for a in result["answers"]] == pytest.approx(
        [a.score for a in said.answers], abs=1e-5
    )
    table, _ = run(model, "Who was quick?", *told)
    assert "no answer" in table
    assert "▸" in table


@pytest.mark.parametrize(
    ("task", "name", "more", "words"),
    [
        ("fill-mask", "bert-mlm", ["--top", "2"], "mask"),
        ("multiple-choice", "chooser", ["--choice", "a, b", "--choice", "c"], "a, b"),
        ("seq2seq", "t5", ["--new-tokens", "3"], "the same tokens as generate()"),
        ("feature-extraction", "bert", ["--pooling", "cls"], "cls pooling"),
    ],
)
def test_other_tasks_print_tables(
    shelf: Shelf, task: str, name: str, more: list[str], words: str
) -> None:
    out, error = run(shelf.folders[name], f"{TEXT} [MASK]", "--task", task, *more)
    assert words in out
    assert len(out.splitlines()) >= 3
    assert "Traceback" not in error


def test_json_of_several_texts_embedded_together(shelf: Shelf) -> None:
    out, _ = run(shelf.folders["bert"], TEXT, "a dog", "--task", "feature-extraction", "--json")
    (result,) = json.loads(out)["results"]
    said = shelf.predict("bert", f"{TEXT}\na dog", "feature-extraction")
    assert isinstance(said, Embedding)
    assert result["similarity"][0] == pytest.approx(said.similarity[0], abs=1e-5)


# -- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_forty_reviews_into_a_file(
    shelf: Shelf, starter_kit: Path, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / f"out.{kind}"
    out, error = run("minilm", "--file", "reviews", "--rows", "40", "--out", target, "--seed", "5")
    assert f"Wrote 40 rows to {target}" in error
    opened = shelf.open("minilm", "text-classification", seed=5)
    told = TaskOptions(task="text-classification")
    table = predict_rows(opened, "reviews", told, BatchOptions(most=40))
    rows: list[dict[str, Any]]
    if kind == "csv":
        with target.open(newline="") as file:
            rows = list(csv.DictReader(file))
    elif kind == "jsonl":
        rows = [json.loads(line) for line in target.read_text().splitlines()]
    else:
        from pyarrow import parquet

        rows = parquet.read_table(target).to_pylist()
    assert list(rows[0]) == ["text", "label", "label (predicted)", "score"]
    assert [row["text"] for row in rows] == [row[0] for row in table.rows]
    assert [row["label (predicted)"] for row in rows] == [row[2] for row in table.rows]
    scores = [float(row["score"]) for row in rows]
    assert scores == pytest.approx([row[3] for row in table.rows], abs=1e-5)
    assert table.metrics is not None
    first = out.splitlines()[0]
    assert first.startswith(f"accuracy {table.metrics.accuracy:.4f}")
    assert first.endswith("40 rows")
    assert list(tmp_path.iterdir()) == [target]


def test_rows_and_metrics_in_json(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("note,sentence,gold\nx,the fox,negative\ny,a dog,2\n")
    told = ("--file", file, "--column", "sentence", "--label-column", "gold", "--json")
    out, _ = run(shelf.folders["bert-labels"], *told)
    answer = json.loads(out)
    assert [row["text"] for row in answer["rows"]] == ["the fox", "a dog"]
    assert [row["gold"] for row in answer["rows"]] == ["negative", "2"]
    assert answer["metrics"]["rows"] == 2
    assert answer["metrics"]["labels"] == ["negative", "neutral", "positive"]


def test_a_file_without_out_is_a_table(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("the \x1b[31mfox\na dog\n")
    out, _ = run(shelf.folders["bert-labels"], "--file", file)
    assert out.splitlines()[0].split() == ["text", "label", "score"]
    assert len(out.splitlines()) == 3
    assert "\x1b" not in out


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_a_written_file_is_the_users_and_has_no_nameless_columns(
    tmp_path: Path, ending: str
) -> None:
    gradients = (ModuleGradient("bert.encoder.layer.0", 0.5, 10), ModuleGradient("head", 1.0, 4))
    loss = Loss(0, 1.0, 1.0, "cross_entropy", 1.5, gradients)
    target = tmp_path / f"gradients.{ending}"
    before = os.umask(0o027)
    try:
        write_table(gradient_rows(loss), target, Job())
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o640
    names = ["gradient of", "norm", "parameters"]
    if ending == "csv":
        with target.open(newline="") as file:
            assert list(csv.reader(file)) == [names, ["bert.encoder.layer.0", "0.5", "10"],
                                              ["head", "1.0", "4"]]  # fmt: skip
    elif ending == "parquet":
        from pyarrow import parquet

        assert parquet.read_table(target).column_names == names
    else:
        text = target.read_text()
        rows = json.loads(text if ending == "json" else f"[{','.join(text.splitlines())}]")
        assert [*rows[1]] == names
    field = config_rows([ConfigEntry("hidden_size", "32", "768", True)])
    listed = tmp_path / f"config.{ending}"
    write_table(field, listed, Job())
    assert b"differs" in listed.read_bytes()  # what has a mark alone on screen has a name here


# -- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.csv", "out.xlsx"])
def test_a_target_that_won_t_do_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    """The model named does not exist: it would be the error if it were looked at first."""
    target = tmp_path / name
    if name == "out.csv":
        target.write_text("mine")
    what, _ = assert_two_lines(hfterm("/no/model", "--file", "reviews", "--out", target))
    assert name in what
    assert "/no/model" not in what
    if name == "out.csv":
        assert target.read_text() == "mine"


def test_a_long_text_is_two_lines_with_both_numbers(shelf: Shelf) -> None:
    what, remedy = assert_two_lines(hfterm(shelf.folders["bert-labels"], LONG))
    assert "takes 128" in what
    assert "truncate" in remedy
    out, _ = run(shelf.folders["bert-labels"], LONG, "--long", "truncate")
    assert "cut off" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/no/model", "x"], "/no/model"),
        (["{nan}", "x"], "bert.encoder.layer.1.output.dense.weight"),
        (["{bert-labels}", "--file", "/no/rows.csv"], "/no/rows.csv"),
        (["{bert-labels}", "--file", "reviews", "--column", "nope"], "nope"),
        (["{pickle}", "x"], "pickle"),
        (["{bert-qa}", "Who?", "--task", "question-answering"], "no context"),
    ],
)
def test_what_goes_wrong_is_two_lines_and_exit_1(
    shelf: Shelf, starter_kit: Path, arguments: list[str], words: str
) -> None:
    folders = {f"{{{name}}}": str(path) for name, path in shelf.folders.items()}
    what, _ = assert_two_lines(hfterm(*(folders.get(given, given) for given in arguments)))
    assert words in what


@pytest.mark.parametrize(
    "arguments",
    [
        ("minilm",), ("minilm", "x", "--file", "reviews"), ("minilm", "x", "--task", "nope"),
        ("minilm", "x", "--long", "never"), ("minilm", "x", "--top", "0"), (),
    ],
)  # fmt: skip
def test_bad_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    done = hfterm(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
