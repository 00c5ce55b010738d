"""Show code of the Predict screen: every script runs unchanged and prints what the screen shows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from inference_fixtures import LONG, Shelf, models, shelf
from test_batch_predict import write

from hfterm.attention.code import attention_code
from hfterm.attention.inputs import feed
from hfterm.attention.types import CaptureOptions, Looked, Which
from hfterm.inference.batch import predict_rows
from hfterm.inference.code import batch_code, predict_code
from hfterm.inference.loading import OpenModel
from hfterm.inference.options import TASKS, BatchOptions, Task, TaskOptions
from hfterm.inference.predicting import predict
from hfterm.inference.types import (
    Answering,
    BatchTable,
    Choosing,
    Classification,
    Embedding,
    Generation,
    MaskFilling,
    Prediction,
    Seq2Seq,
    Tagging,
    ZeroShot,
)
from hfterm.widgets.prediction_tables import tables

_ = models, shelf  # fixtures

TOLERANCE = 2e-4
RUNNER = """
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    name, script, threads = json.loads(line)
    out = io.StringIO()
    failed = ""
    with contextlib.redirect_stdout(out):
        import torch
        torch.set_num_threads(threads)
        try:
            exec(compile(script, name, "exec"), {"__name__": "__main__"})
        except BaseException:
            failed = traceback.format_exc()
    print(json.dumps([name, out.getvalue(), failed]), flush=True)
"""
TEXT = "The quick 'brown' fox \\n jumps, \"over\" the café 🤗.\nSecond {line}"
PLAIN = "The quick brown fox"
QUESTION = "Who's quick?"
MASKED = "The [MASK] fox 'jumps'\nover <mask>."
NUMBER = re.compile(r"[-+]?\d+\.\d+(?:e[-+]?\d+)?|[-+]?\b\d+\b")


@dataclass(frozen=True)
class Case:
    """One script: a model, how it is loaded, and what it is asked."""

    task: Task
    model: str
    text: str = TEXT
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    tolerance: float = TOLERANCE

    def asked(self) -> TaskOptions:
        return TaskOptions(task=self.task, **self.options)

    def open(self, shelf: Shelf) -> OpenModel:
        told = dict(self.spec)
        if "tokenizer" in told:
            told["tokenizer"] = str(shelf.folders.get(told["tokenizer"], told["tokenizer"]))
        return shelf.open(self.model, self.task, **told)


CLASSIFY: Task = "text-classification"
LOSS = {"label": 1, "backward": True}
CASES: dict[str, Case] = {
    "classification": Case(CLASSIFY, "bert-labels"),
    "classification of 200": Case(CLASSIFY, "bert-200"),
    "classification hostile": Case(CLASSIFY, "hostile"),
    "classification pair": Case(CLASSIFY, "bert-labels", options={"pair": "it's\n\"so\""}),
    "classification loss": Case(CLASSIFY, "bert-labels", options=LOSS),
    "classification loss alone": Case(CLASSIFY, "bert-labels", options={"label": 2}),
    "classification loss pair": Case(CLASSIFY, "bert-labels", options=LOSS | {"pair": PLAIN}),
    "classification loss windows": Case(
        CLASSIFY, "bert-labels", LONG, options=LOSS | {"long": "window"}
    ),
    "classification sigmoid": Case(CLASSIFY, "multi", options=LOSS),
    "classification regression": Case(
        CLASSIFY, "regression", options={"label": 0, "backward": True}
    ),
    "classification truncate": Case(CLASSIFY, "bert-labels", LONG, {"long": "truncate"}),
    "classification truncate short": Case(CLASSIFY, "bert-labels", options={"long": "truncate"}),
    "classification window": Case(CLASSIFY, "bert-labels", LONG, {"long": "window"}),
    "classification window short": Case(CLASSIFY, "bert-labels", options={"long": "window"}),
    "classification window pair": Case(
        CLASSIFY, "bert-labels", LONG, {"long": "window", "pair": PLAIN}
    ),
    "classification new head": Case(CLASSIFY, "minilm", spec={"num_labels": 5, "seed": 3}),
    "classification int8": Case(
        CLASSIFY, "minilm", options=LOSS, spec={"quantization": "int8", "num_labels": 5}
    ),
    "classification nf4": Case(
        CLASSIFY, "minilm", options=LOSS, spec={"quantization": "nf4", "num_labels": 5}
    ),
    "classification bfloat16": Case(CLASSIFY, "bert-labels", spec={"dtype": "bfloat16"}),
    "classification bfloat16 loss": Case(
        CLASSIFY, "minilm", options=LOSS, spec={"dtype": "bfloat16"}
    ),
    "classification random": Case(
        CLASSIFY, "bert-labels", spec={"random": True, "num_labels": 5, "seed": 7}
    ),
    "classification random bfloat16": Case(
        CLASSIFY, "bert-labels", spec={"random": True, "dtype": "bfloat16"}
    ),
    "classification architecture": Case(
        CLASSIFY, "distilbert-by-name", options=LOSS,
        spec={"ref": "distilbert", "tokenizer": "minilm", "seed": 1},
    ),
    "classification other tokenizer": Case(
        CLASSIFY, "bert-labels", spec={"tokenizer": "roberta"}
    ),
    "classification config only": Case(CLASSIFY, "config-only"),
    "classification concrete": Case(
        CLASSIFY, "bert-labels", spec={"auto": "BertForSequenceClassification"}
    ),
    "classification adapter": Case(
        CLASSIFY, "lora-labels", options=LOSS, spec={"num_labels": 3}
    ),
    "classification adapter by itself": Case(CLASSIFY, "lora-labels"),
    "classification pickle": Case(CLASSIFY, "pickle", spec={"allow_pickle": True}),
    "classification mismatched": Case(
        CLASSIFY, "bert-labels", spec={"num_labels": 5, "ignore_mismatched": True}
    ),
    "tagging": Case("token-classification", "bert-ner"),
    "tagging bytes": Case("token-classification", "roberta-ner"),
    "tagging truncate": Case("token-classification", "bert-ner", LONG, {"long": "truncate"}),
    "tagging window": Case("token-classification", "bert-ner", LONG, {"long": "window"}),
    "tagging window bytes": Case(
        "token-classification", "roberta-ner", "🤗日本 " * 60, {"long": "window"}
    ),
    "tagging Python tokenizer": Case(
        "token-classification", "bert-ner", PLAIN, spec={"tokenizer": "bert-legacy"}
    ),
    "answering": Case("question-answering", "bert-qa", options={"question": QUESTION}),
    "answering top": Case("question-answering", "bert-qa", options={"question": "?", "top": 2}),
    "answering windows": Case("question-answering", "bert-qa", LONG, {"question": QUESTION}),
    "answering window": Case(
        "question-answering", "bert-qa", LONG, {"question": QUESTION, "long": "window"}
    ),
    "answering truncate": Case(
        "question-answering", "bert-qa", LONG, {"question": QUESTION, "long": "truncate"}
    ),
    "filling": Case("fill-mask", "bert-mlm", MASKED, {"top": 3}),
    "filling roberta": Case("fill-mask", "roberta", MASKED, {"top": 3}),
    "filling truncate": Case("fill-mask", "bert-mlm", f"[MASK] {LONG}", {"long": "truncate"}),
    "filling new head": Case("fill-mask", "minilm", MASKED),
    "generation": Case("text-generation", "gpt2", options={"new_tokens": 9}),
    "generation sampling": Case(
        "text-generation", "llama",
        options={"new_tokens": 9, "temperature": 0.8, "top_p": 0.9, "seed": 11},
    ),
    "generation chat": Case("text-generation", "chat", options={"chat": True, "new_tokens": 5}),
    "generation chat truncate": Case(
        "text-generation", "chat", LONG, {"chat": True, "long": "truncate", "new_tokens": 5}
    ),
    "generation truncate": Case(
        "text-generation", "gpt2", LONG, {"long": "truncate", "new_tokens": 500}
    ),
    "generation window": Case("text-generation", "gpt2", LONG, {"long": "window", "new_tokens": 5}),
    "generation context full": Case("text-generation", "gpt2", options={"new_tokens": 500}),
    "generation no padding": Case("text-generation", "codegen", options={"new_tokens": 5}),
    "generation adapter": Case("text-generation", "lora-causal", options={"new_tokens": 5}),
    "generation smollm2": Case("text-generation", "smollm2", PLAIN, {"new_tokens": 3}),
    "generation smollm2 chat nf4": Case(
        "text-generation", "smollm2", PLAIN, {"new_tokens": 3, "chat": True},
        {"quantization": "nf4"},
    ),
    **{
        f"embedding {pooling}": Case(
            "feature-extraction", "bert", f"{TEXT}\n\n  \n{PLAIN}", {"pooling": pooling}
        )
        for pooling in ("mean", "cls", "max", "last")
    },
    "embedding raw": Case("feature-extraction", "bert", options={"normalize": False}),
    "embedding gpt2": Case("feature-extraction", "gpt2", options={"pooling": "last"}),
    "embedding t5": Case("feature-extraction", "t5"),
    "embedding truncate": Case("feature-extraction", "bert", f"{LONG}\nx", {"long": "truncate"}),
    "embedding minilm": Case("feature-extraction", "minilm"),
    "zero-shot": Case("zero-shot", "bert-nli", options={"labels": ("fox", "it's", "{}")}),
    "zero-shot multi": Case(
        "zero-shot", "bert-nli",
        options={"labels": ("fox", "dog"), "multi_label": True, "template": "About {}, '{}'!"},
    ),
    "zero-shot one": Case("zero-shot", "bert-nli", options={"labels": ("fox",)}),
    "zero-shot entailment first": Case(
        "zero-shot", "entail-first", options={"labels": ("fox", "dog"), "multi_label": True}
    ),
    "zero-shot no entailment": Case("zero-shot", "bert-labels", options={"labels": ("a", "b")}),
    "zero-shot truncate": Case(
        "zero-shot", "bert-nli", LONG, {"labels": ("fox", "dog"), "long": "truncate"}
    ),
    "choosing": Case("multiple-choice", "chooser", options={"labels": ("It's", "a dog", PLAIN)}),
    "choosing truncate": Case(
        "multiple-choice", "chooser", LONG, {"labels": ("a", "dog"), "long": "truncate"}
    ),
    "seq2seq t5": Case("seq2seq", "t5", PLAIN, options={"new_tokens": 7}),
    "seq2seq no start": Case("seq2seq", "t5-no-start", PLAIN, options={"new_tokens": 7}),
    "seq2seq bart": Case("seq2seq", "bart", options={"new_tokens": 7}),
    "seq2seq bart full": Case("seq2seq", "bart", options={"new_tokens": 500}),
    "seq2seq bart one": Case("seq2seq", "bart", options={"new_tokens": 1}),
    "seq2seq truncate": Case("seq2seq", "bart", LONG, {"long": "truncate", "new_tokens": 3}),
}  # fmt: skip

ROWS: list[dict[str, Any]] = [
    {"text": text, "label": label, "name": name, "answer": answer, "question": question}
    for text, label, name, answer, question in [
        ("The quick [MASK] fox.", 0, "Positive", "fox", "Who?"),
        ("a [MASK]", 2, "negative", "The a", "What's it?"),
        ("Café 🤗 [MASK]", 1, "NEUTRAL", "nothing", "Where?"),
        ("the lazy dog " * 12 + "[MASK]", 2, "positive", "lazy, dog!", 'How "lazy"?'),
    ]
]
LONG_ROWS: list[dict[str, Any]] = [*ROWS, ROWS[0] | {"text": f"[MASK] {LONG}"}]
BATCHES: dict[str, tuple[Case, str, BatchOptions]] = {
    "csv ids": (Case(CLASSIFY, "bert-labels"), "rows.csv", BatchOptions(size=3)),
    "tsv names": (
        Case(CLASSIFY, "bert-labels"), "rows.tsv", BatchOptions(label_column="name")
    ),
    "jsonl": (Case(CLASSIFY, "multi"), "rows.jsonl", BatchOptions(size=2)),
    "json most": (Case(CLASSIFY, "bert-labels"), "rows.json", BatchOptions(most=2)),
    "parquet": (
        Case(CLASSIFY, "bert-labels"), "rows.parquet", BatchOptions(column="text")
    ),
    "txt": (Case(CLASSIFY, "bert-200"), "rows.txt", BatchOptions()),
    "no pad token": (
        Case(CLASSIFY, "gpt2", spec={"num_labels": 3}), "rows.csv", BatchOptions()
    ),
    "only words": (Case(CLASSIFY, "bert-labels"), "words.csv", BatchOptions()),
    "missing labels": (Case(CLASSIFY, "bert-labels"), "missing.csv", BatchOptions()),
    "other labels": (
        Case(CLASSIFY, "bert-labels"), "rows.csv", BatchOptions(label_column="answer")
    ),
    "regression": (Case(CLASSIFY, "regression"), "rows.csv", BatchOptions()),
    "truncate": (
        Case(CLASSIFY, "bert-labels", options={"long": "truncate"}), "long.csv", BatchOptions()
    ),
    "window": (
        Case(CLASSIFY, "bert-labels", options={"long": "window"}), "long.csv", BatchOptions()
    ),
    "adapter": (Case(CLASSIFY, "lora-labels", spec={"num_labels": 3}), "rows.csv", BatchOptions()),
    "other tokenizer": (
        Case(CLASSIFY, "bert-labels", spec={"tokenizer": "distilbert"}), "rows.csv", BatchOptions()
    ),
    "tagging": (Case("token-classification", "bert-ner"), "rows.csv", BatchOptions()),
    "tagging window": (
        Case("token-classification", "bert-ner", options={"long": "window"}), "long.csv",
        BatchOptions(),
    ),
    "answering": (
        Case("question-answering", "bert-qa", options={"question": "x"}), "rows.csv",
        BatchOptions(),
    ),
    "answering one question": (
        Case("question-answering", "bert-qa", options={"question": "Who?"}), "words.csv",
        BatchOptions(),
    ),
    "answering squad": (Case("question-answering", "bert-qa"), "squad.jsonl", BatchOptions()),
    "filling": (Case("fill-mask", "bert-mlm"), "rows.csv", BatchOptions()),
    "generation": (
        Case("text-generation", "chat",
             options={"new_tokens": 4, "chat": True, "temperature": 0.7, "seed": 2}),
        "rows.jsonl", BatchOptions(),
    ),
    "embedding": (Case("feature-extraction", "gpt2"), "rows.csv", BatchOptions(size=3)),
    "embedding raw": (
        Case("feature-extraction", "bert", options={"normalize": False, "pooling": "cls"}),
        "rows.txt", BatchOptions(),
    ),
    "zero-shot": (
        Case("zero-shot", "bert-nli", options={"labels": ("positive", "negative", "neutral")}),
        "rows.csv", BatchOptions(label_column="name"),
    ),
    "choosing": (
        Case("multiple-choice", "chooser", options={"labels": ("negative", "neutral", "positive")}),
        "rows.csv", BatchOptions(label_column="name"),
    ),
    "seq2seq": (Case("seq2seq", "t5", options={"new_tokens": 4}), "rows.csv", BatchOptions()),
    "shuffled": (
        Case(CLASSIFY, "bert-labels"), "rows.csv", BatchOptions(most=3, shuffled=True)
    ),
    "shuffled whole": (
        Case(CLASSIFY, "bert-labels"), "rows.jsonl", BatchOptions(shuffled=True)
    ),
    "starter": (
        Case(CLASSIFY, "minilm", spec={"seed": 4}), "reviews", BatchOptions(most=9, size=4)
    ),
}  # fmt: skip

Printed = Callable[[str, str], str]


@pytest.fixture(scope="module")
def printed() -> Iterator[Printed]:
    """Run a script in a fresh interpreter, which the next ones share: importing takes long."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def run(name: str, script: str) -> str:
        assert "hfterm" not in script.replace(str(Path(__file__).parents[2]), "")
        ast.parse(script)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([name, script, 1]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        said, out, failed = json.loads(line)
        assert said == name
        assert not failed, f"{failed}\n{script}"
        return out

    yield run
    process.stdin.close()
    process.stdout.close()
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, starter_kit: Path) -> dict[str, Path]:
    """The files of the batches."""
    folder = tmp_path_factory.mktemp("rows ' of files")
    made = {
        f"rows.{kind}": write(folder / f"rows.{kind}", ROWS)
        for kind in ("csv", "tsv", "jsonl", "json", "parquet", "txt")
    }
    words = [{"number": str(n), "utterance": row["text"]} for n, row in enumerate(ROWS)]
    missing = [row | ({"label": ""} if n == 1 else {}) for n, row in enumerate(ROWS)]
    squad = [
        {"context": row["text"], "question": row["question"],
         "answers": {"text": [row["answer"], "the fox"]}}
        for row in ROWS
    ]  # fmt: skip
    made["words.csv"] = write(folder / "words.csv", words)
    made["missing.csv"] = write(folder / "missing.csv", missing)
    made["long.csv"] = write(folder / "long.csv", LONG_ROWS)
    made["squad.jsonl"] = write(folder / "squad.jsonl", squad)
    made["reviews"] = starter_kit / "reviews" / "reviews.csv"
    return made


def numbers(line: str) -> list[float]:
    return [float(found) for found in NUMBER.findall(line)]


def assert_line(line: str, words: str, *values: float, tolerance: float = TOLERANCE) -> None:
    """`line` is the words, then the values."""
    head, tail = line[: len(words)], line[len(words) :]
    assert head == words
    assert tail.split() == [part for part in tail.split() if NUMBER.fullmatch(part)]
    assert [float(part) for part in tail.split()] == pytest.approx(values, abs=tolerance)


def shown(prediction: Prediction, index: int = 0) -> list[list[str]]:
    """The cells' text of a table of the Result tab."""
    table = tables(prediction)[index]
    return [[cell.text for cell in table.row(row)] for row in range(len(table))]


def check(found: Prediction, out: str, text: str, tolerance: float) -> None:
    """What a script printed is what the tables show."""
    lines = out.splitlines()
    match found:
        case Classification():
            rows = shown(found)
            names = {score.id: score.label for score in found.scores}
            out = "\n".join(lines)
            place = 0
            for row in rows:  # labels may have line ends of their own
                words = f"{row[1]} {names[int(row[1])]}"
                assert_line(lines[place], words, float(row[3]), float(row[4]), tolerance=tolerance)
                place += 1
            if found.loss is not None:
                loss = found.loss
                assert_line(lines[place], "loss", loss.by_labels, loss.by_hand, tolerance=tolerance)
                for line, gradient in zip(lines[place + 1 :], loss.gradients, strict=True):
                    assert_line(line, gradient.module, gradient.norm, tolerance=tolerance)
            else:
                assert len(lines) == len(rows)
        case Tagging():
            assert len(lines) == len(found.tokens) + len(found.entities)
            for line, token in zip(lines, found.tokens, strict=False):
                span = "-" if token.start is None else f"{token.start}:{token.end}"
                assert_line(line, f"{token.token} {span} {token.label}", token.probability)
            for line, entity in zip(lines[len(found.tokens) :], found.entities, strict=True):
                words = f"{entity.label} {entity.text!r} {entity.start}:{entity.end}"
                assert_line(line, words, entity.probability)
        case Answering():
            for line, answer in zip(lines, found.answers, strict=True):
                span = "-" if answer.start is None else f"{answer.start}:{answer.end}"
                assert_line(line, f"{answer.text!r} {span}", answer.score, answer.probability)
        case MaskFilling():
            assert out.count("\n") >= len(found.candidates)
            for one in found.candidates:
                words = f"{one.mask} {one.id} {one.token} "
                line = next(line for line in lines if line.startswith(words))
                assert numbers(line[len(words) :])[:2] == pytest.approx(
                    [one.logit, one.probability], abs=tolerance
                )
                assert one.text in out
        case Generation():
            assert out.startswith(found.text + "\n")
            for line, step in zip(lines[-len(found.steps) :], found.steps, strict=True):
                words = f"{step.index} {step.id} {step.token}"
                assert_line(line, words, step.logit, step.probability, tolerance=tolerance)
        case Embedding():
            count = len(found.texts)
            assert len(lines) == 2 * count
            for line, name, row in zip(lines, found.texts, found.similarity, strict=False):
                assert_line(line, repr(name), *row)
            for index, line in enumerate(lines[count:]):
                vector = found.vectors[index][:8]
                assert_line(line, f"{index + 1} {found.tokens[index]}", found.norms[index], *vector)
        case ZeroShot():
            for line, score in zip(lines, found.scores, strict=True):
                assert_line(line, score.label, score.logit, score.probability)
        case Choosing():
            for line, row in zip(lines, shown(found), strict=True):
                name = found.scores[int(row[1])].label
                assert_line(line, f"{row[1]} {name}", float(row[3]), float(row[4]))
        case Seq2Seq():
            assert lines[0] == str(list(found.shape))
            for line, step in zip(lines[1:], found.steps, strict=False):
                assert_line(line, f"{step.index} {step.id} {step.token}", step.logit,
                            step.probability)  # fmt: skip
            assert f"\n{found.text}\n" in out
            for line, token in zip(lines[-len(found.encoder) :], found.encoder, strict=True):
                assert_line(line, f"{token.index} {token.token}", token.norm)


@pytest.mark.parametrize("name", CASES)
def test_the_script_of_a_text(
    shelf: Shelf, starter_kit: Path, zoo: dict[str, Path], printed: Printed, name: str
) -> None:
    case = CASES[name]
    if case.spec.get("tokenizer") in zoo and case.spec["tokenizer"] not in shelf.folders:
        shelf.folders[case.spec["tokenizer"]] = zoo[case.spec["tokenizer"]]
    opened = case.open(shelf)
    found = predict(opened, case.text, case.asked())
    out = printed(name, predict_code(opened.info, case.text, case.asked()))
    check(found, out, case.text, case.tolerance)


def test_the_attention_script_of_a_decoder_without_a_start(shelf: Shelf, printed: Printed) -> None:
    opened = shelf.open("t5-no-start", "seq2seq")
    looked = Looked(spec=opened.info.spec, text=PLAIN, options=CaptureOptions())
    fed = feed(opened, PLAIN, looked.options)
    assert fed.target[0].id == opened.model.config.pad_token_id
    script = attention_code(opened.info, looked, "heads", Which(side="cross"), "cross")
    assert printed("attention", script)


def row_text(row: tuple[Any, ...]) -> str:
    return " ".join(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row)


@pytest.mark.parametrize("name", BATCHES)
def test_the_script_of_a_batch(
    shelf: Shelf, files: dict[str, Path], printed: Printed, name: str
) -> None:
    case, file, batch = BATCHES[name]
    path = str(files[file])
    opened = case.open(shelf)
    source = file if file == "reviews" else path
    table = predict_rows(opened, source, case.asked(), batch)
    out = printed(name, batch_code(opened.info, path, case.asked(), batch))
    check_rows(table, out.splitlines(), case.task)


def check_rows(table: BatchTable, lines: list[str], task: Task) -> None:
    width = {"fill-mask": 3}.get(
        task, len(table.rows[0]) - 1 if task == "feature-extraction" else 2
    )
    quoted = task in ("token-classification", "question-answering", "text-generation", "seq2seq")
    for line, row in zip(lines, table.rows, strict=False):
        first, *rest = row[-width:]
        if task == "feature-extraction":
            assert numbers(line) == pytest.approx(row[1:], abs=TOLERANCE)
            continue
        words = repr(first) if quoted else str(first)
        assert line.startswith(words + " ")
        assert float(line[len(words) :].split()[0]) == pytest.approx(rest[0], abs=TOLERANCE)
        if len(rest) > 1:
            assert line.endswith(f" {rest[1]}")
    rest = lines[len(table.rows) :]
    metrics = table.metrics
    if metrics is None:
        assert rest == ([] if "number" in table.note or not table.note else [
            "the labels of the file are none of the model's"
        ])  # fmt: skip
        return
    if task == "question-answering":
        assert_line(rest[0], "exact match", metrics.accuracy)
        assert_line(rest[1], "F1", metrics.f1)
        assert len(rest) == 2
        return
    assert_line(rest[0], "accuracy", metrics.accuracy)
    assert_line(rest[1], "macro F1", metrics.f1)
    assert_line(rest[2], "weighted F1", metrics.weighted_f1)
    f1 = {found.label: found.f1 for found in metrics.classes}
    for line, label, counts in zip(rest[3:], metrics.labels, metrics.confusion, strict=True):
        assert line == f"{label} {' '.join(map(str, counts))} F1 {f1.get(label, 0.0):.4f}"


def test_every_task_is_there() -> None:
    assert {case.task for case in CASES.values()} == set(TASKS)
    assert {case.task for case, _, _ in BATCHES.values()} == set(TASKS)


def test_code_imports_nothing_heavy() -> None:
    heavy = "import hfterm.inference.code, sys; print([m for m in sys.modules " + (
        "if m.split('.')[0] in ('torch', 'transformers', 'tokenizers', 'textual', 'pyarrow')])"
    )
    out = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
