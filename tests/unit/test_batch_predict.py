"""Files predicted row by row: every format, labels and metrics, order, cancel, clear errors."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from inference_fixtures import LONG, Shelf, models, shelf

from hfterm.errors import Cancelled, HftermError
from hfterm.inference.batch import check_rows, predict_rows
from hfterm.inference.classification import classify
from hfterm.inference.metrics import answer_metrics, classification_metrics
from hfterm.inference.options import TASKS, BatchOptions, Task, TaskOptions
from hfterm.inference.scoring import accepted_answers, true_labels
from hfterm.inference.types import (
    Answering,
    BatchTable,
    Choosing,
    Classification,
    Embedding,
    Generation,
    MaskFilling,
    Metrics,
    Seq2Seq,
    Tagging,
    ZeroShot,
)
from hfterm.job import Job, Progress
from hfterm.widgets.batch_tables import batch_rows, confusion_rows, metrics_line

_ = models, shelf  # fixtures

CLASSIFICATION: Task = "text-classification"
LABELS = ("negative", "neutral", "positive")
TEXTS = [
    "The quick brown fox [MASK].",
    "a",
    'He said "jump", didn\'t he?\tYes. [MASK]',
    "Café 🤗 日本 " * 6 + "[MASK]",
    "the lazy dog " * 15 + "[MASK]",
    "fox [MASK]",
    "It is [MASK] in 2026, and in 1999 [MASK] too.",
]
TEXTS[1] = "a [MASK]"
NUMBERS = [0, 1, 2, 0, 1, 2, 0]
FORMATS = ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Rows as a file of the kind its name says."""
    kind = path.suffix[1:]
    if kind in ("csv", "tsv"):
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]), delimiter="," if kind == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    elif kind in ("jsonl", "ndjson"):
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps({"data": list(rows)}), encoding="utf-8")
    elif kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(f"{row['text']}\n" for row in rows), encoding="utf-8")
    return path


def run(
    shelf: Shelf, name: str, file: Path, task: Task = CLASSIFICATION,
    batch: BatchOptions | None = None, job: Job | None = None, **options: object,
) -> BatchTable:  # fmt: skip
    told = TaskOptions(task=task, **options)  # pyright: ignore[reportArgumentType]
    return predict_rows(shelf.open(name, task), str(file), told, batch or BatchOptions(), job)


def fails(shelf: Shelf, name: str, file: Path, *given: Any, **more: Any) -> HftermError:
    with pytest.raises(HftermError) as caught:
        run(shelf, name, file, *given, **more)
    assert caught.value.remedy
    return caught.value


def one_by_one(shelf: Shelf, texts: Sequence[str]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for text in texts:
        said = classify(shelf.open("bert-labels", CLASSIFICATION), text)
        found.append((LABELS[said.best], said.scores[said.best].probability))
    return found


# -- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("named", [False, True], ids=["ids", "names"])
def test_every_format_and_labels_by_id_and_by_name(
    shelf: Shelf, tmp_path: Path, kind: str, named: bool
) -> None:
    rows = [
        {"number": index, "text": text, "label": LABELS[label].upper() if named else label}
        for index, (text, label) in enumerate(zip(TEXTS, NUMBERS, strict=True))
    ]
    table = run(shelf, "bert-labels", write(tmp_path / f"rows.{kind}", rows))
    expected = one_by_one(shelf, TEXTS)
    assert [row[0] for row in table.rows] == TEXTS
    assert table.columns == ("text", "label", "label (predicted)", "score")
    assert [row[2] for row in table.rows] == [label for label, _ in expected]
    assert [row[3] for row in table.rows] == pytest.approx([s for _, s in expected], abs=1e-5)
    assert [str(row[1]) for row in table.rows] == [str(row["label"]) for row in rows]
    assert table.metrics is not None
    right = sum(LABELS[n] == label for n, (label, _) in zip(NUMBERS, expected, strict=True))
    assert table.metrics.accuracy == pytest.approx(right / len(TEXTS))
    assert table.metrics.labels == LABELS
    assert (table.cut, table.note) == (0, "")


def test_a_text_file_is_one_row_a_line(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes("\ufefffirst line\r\n\r\n  \nthe second, café\nlast".encode())
    table = run(shelf, "bert-labels", file)
    texts = ["first line", "the second, café", "last"]
    assert [row[0] for row in table.rows] == texts
    assert table.columns == ("text", "label", "score")
    assert table.metrics is None
    assert [row[2] for row in table.rows] == pytest.approx(
        [score for _, score in one_by_one(shelf, texts)], abs=1e-5
    )


@pytest.mark.parametrize("column", ["", "sentence", "note"])
def test_the_column_of_the_text(shelf: Shelf, tmp_path: Path, column: str) -> None:
    rows = [{"id": str(n), "sentence": text, "note": "x y z"} for n, text in enumerate(TEXTS)]
    table = run(
        shelf, "bert-labels", write(tmp_path / "a.csv", rows), batch=BatchOptions(column=column)
    )
    wanted = ["x y z"] * len(TEXTS) if column == "note" else TEXTS
    assert [row[0] for row in table.rows] == wanted


def test_the_only_column_with_words_is_the_text(shelf: Shelf, tmp_path: Path) -> None:
    rows = [{"id": str(n), "utterance": text, "rating": "4.5"} for n, text in enumerate(TEXTS)]
    table = run(shelf, "bert-labels", write(tmp_path / "a.csv", rows))
    assert [row[0] for row in table.rows] == TEXTS


@pytest.mark.parametrize("most", [1, 3, 100])
def test_rows_at_most(shelf: Shelf, tmp_path: Path, most: int) -> None:
    file = write(tmp_path / "a.txt", [{"text": text} for text in TEXTS])
    table = run(shelf, "bert-labels", file, batch=BatchOptions(most=most))
    assert [row[0] for row in table.rows] == TEXTS[:most]


def test_a_starter_data_set(shelf: Shelf, starter_kit: Path) -> None:
    told = TaskOptions(task=CLASSIFICATION)
    opened = shelf.open("multi", CLASSIFICATION)
    table = predict_rows(opened, "reviews", told, BatchOptions(most=20))
    assert len(table.rows) == 20
    assert table.metrics is not None
    assert table.metrics.rows == 20


# -- order, and equal to one by one ----------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 32])
@pytest.mark.parametrize("name", ["bert-labels", "multi", "regression", "bert-200"])
def test_rows_keep_their_order_and_equal_one_by_one(
    shelf: Shelf, tmp_path: Path, name: str, size: int
) -> None:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog"]
    texts = [" ".join(words[k % 9] for k in range(n)) for n in (40, 1, 33, 2, 60, 7, 7, 50, 3, 12)]
    file = write(tmp_path / "a.txt", [{"text": text} for text in texts])
    table = run(shelf, name, file, batch=BatchOptions(size=size))
    for text, row in zip(texts, table.rows, strict=True):
        said = shelf.predict(name, text, CLASSIFICATION)
        assert isinstance(said, Classification)
        best = said.scores[said.best]
        assert row[:2] == (text, best.label)
        assert row[2] == pytest.approx(best.probability, abs=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_equal_one_by_one(
    shelf: Shelf, tmp_path: Path, pooling: str, normalize: bool
) -> None:
    told = {"pooling": pooling, "normalize": normalize}
    file = write(tmp_path / "a.txt", [{"text": text} for text in TEXTS])
    table = run(shelf, "bert", file, "feature-extraction", BatchOptions(size=3), None, **told)
    assert table.columns == ("text", *(f"v{index}" for index in range(32)))
    for text, row in zip(TEXTS, table.rows, strict=True):
        said = shelf.predict("bert", text, "feature-extraction", **told)
        assert isinstance(said, Embedding)
        assert row[1:] == pytest.approx(said.vectors[0], abs=1e-5)


MEMBER: dict[Task, str] = {
    "text-classification": "bert-labels", "token-classification": "bert-ner",
    "question-answering": "bert-qa", "fill-mask": "bert-mlm", "text-generation": "chat",
    "feature-extraction": "bert", "zero-shot": "bert-nli", "multiple-choice": "chooser",
    "seq2seq": "t5",
}  # fmt: skip
NEEDS: dict[str, dict[str, Any]] = {
    "question-answering": {"question": "Who?"},
    "zero-shot": {"labels": ("fox", "dog")},
    "multiple-choice": {"labels": ("fox", "dog")},
    "text-generation": {"new_tokens": 4, "chat": True, "temperature": 0.8, "seed": 5},
    "seq2seq": {"new_tokens": 4},
}


def expected_row(said: object) -> list[object]:
    """What a batch's row says of what was said of one text."""
    match said:
        case Classification():
            best = said.scores[said.best]
            return [best.label, best.probability]
        case Tagging():
            return ["; ".join(f"{e.label}: {e.text}" for e in said.entities), len(said.entities)]
        case Answering():
            return [said.answers[0].text, said.answers[0].score]
        case MaskFilling():
            first = said.candidates[0]
            return [first.token, first.probability, first.text]
        case Generation():
            return [said.text, len(said.steps)]
        case Embedding():
            return list(said.vectors[0])
        case ZeroShot():
            return [said.scores[0].label, said.scores[0].probability]
        case Choosing():
            return [said.scores[said.best].label, said.scores[said.best].probability]
        case Seq2Seq():
            return [said.text, len(said.steps)]
        case _:
            raise AssertionError(said)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_batch(shelf: Shelf, tmp_path: Path, task: Task) -> None:
    needs = NEEDS.get(task, {})
    file = write(tmp_path / "a.jsonl", [{"text": text} for text in TEXTS])
    table = run(shelf, MEMBER[task], file, task, BatchOptions(size=3), None, **needs)
    assert len(table.rows) == len(TEXTS)
    for text, row in zip(TEXTS, table.rows, strict=True):
        said = shelf.predict(MEMBER[task], text, task, **needs)
        wanted = expected_row(said)
        assert row[0] == text
        for value, want in zip(row[1:], wanted, strict=True):
            assert value == (pytest.approx(want, abs=1e-5) if isinstance(want, float) else want)
    shown = batch_rows(table)
    assert all(len(shown.row(index)) == len(table.columns) for index in range(len(shown)))


@pytest.mark.parametrize("long", ["truncate", "window"])
@pytest.mark.parametrize("task", TASKS)
def test_every_batch_takes_long_texts(shelf: Shelf, tmp_path: Path, task: Task, long: str) -> None:
    texts = ["[MASK] fox", f"[MASK] {LONG}", "dog [MASK]"]
    needs = NEEDS.get(task, {})
    name = "bart" if task == "seq2seq" else MEMBER[task]
    file = write(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    table = run(shelf, name, file, task, None, None, long=long, **needs)
    said = shelf.predict(name, texts[1], task, long=long, **needs)
    for value, want in zip(table.rows[1][1:], expected_row(said), strict=True):
        assert value == (pytest.approx(want, abs=1e-5) if isinstance(want, float) else want)
    windowed = ("text-classification", "token-classification", "question-answering")
    assert table.cut == (0 if long == "window" and task in windowed else 1)


def test_questions_of_the_rows_themselves(shelf: Shelf, tmp_path: Path) -> None:
    context = "The fox was quick. The dog was lazy."
    rows = [
        {"context": context, "question": "Who was quick?", "answers": {"text": ["The fox", "fox"]}},
        {"context": context, "question": "Who was lazy?", "answers": {"text": ["nobody"]}},
    ]
    table = run(shelf, "bert-qa", write(tmp_path / "a.jsonl", rows), "question-answering")
    found: list[str] = []
    for row in rows:
        said = shelf.predict("bert-qa", context, "question-answering", question=row["question"])
        assert isinstance(said, Answering)
        found.append(said.answers[0].text)
    assert [row[2] for row in table.rows] == found
    assert table.metrics == answer_metrics([("The fox", "fox"), ("nobody",)], found)


# -- metrics ---------------------------------------------------------------------------------


def by_formula(true: list[str], predicted: list[str]) -> dict[str, Any]:
    """As scikit-learn's accuracy_score, f1_score and confusion_matrix define them."""
    names = sorted({*true, *predicted})
    f1: dict[str, float] = {}
    for name in names:
        both = sum(t == p == name for t, p in zip(true, predicted, strict=True))
        precision = both / predicted.count(name) if name in predicted else 0.0
        recall = both / true.count(name) if name in true else 0.0
        f1[name] = 2 * precision * recall / (precision + recall) if both else 0.0
    support = Counter(true)
    return {
        "accuracy": sum(map(str.__eq__, true, predicted)) / len(true),
        "macro": sum(f1.values()) / len(f1),
        "weighted": sum(f1[name] * support[name] for name in names) / len(true),
        "f1": f1,
    }


CASES = [
    (["a", "b", "c", "a"], ["a", "b", "c", "a"]),
    (["a", "b", "c", "a"], ["b", "c", "a", "b"]),
    (["a", "a", "b", "b", "b"], ["a", "b", "b", "b", "a"]),
    (["a", "a", "a"], ["c", "c", "a"]),
    (["a"] * 5 + ["b"] * 3, ["a", "b"] * 4),
]


@pytest.mark.parametrize(("true", "predicted"), CASES)
def test_metrics_by_formula(true: list[str], predicted: list[str]) -> None:
    found = classification_metrics(true, predicted, ("a", "b", "c"))
    wanted = by_formula(true, predicted)
    assert found.accuracy == pytest.approx(wanted["accuracy"])
    assert found.f1 == pytest.approx(wanted["macro"])
    assert found.weighted_f1 == pytest.approx(wanted["weighted"])
    assert {c.label: c.f1 for c in found.classes} == pytest.approx(wanted["f1"])
    for i, row in enumerate("abc"):
        for j, column in enumerate("abc"):
            count = sum((t, p) == (row, column) for t, p in zip(true, predicted, strict=True))
            assert found.confusion[i][j] == count
    try:
        from sklearn import metrics as sk  # pyright: ignore
    except ImportError:
        return
    assert found.f1 == pytest.approx(sk.f1_score(true, predicted, average="macro"))
    assert found.weighted_f1 == pytest.approx(sk.f1_score(true, predicted, average="weighted"))


def test_metrics_computed_by_hand() -> None:
    """3 a's of which 2 are found, 2 b's of which 1 is found, and one claimed too often each."""
    found = classification_metrics(["a", "a", "a", "b", "b"], ["a", "a", "b", "b", "a"], ("a", "b"))
    assert found.confusion == ((2, 1), (1, 1))
    assert found.accuracy == pytest.approx(0.6)
    first, second = found.classes
    assert (first.precision, first.recall, first.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (second.precision, second.recall, second.f1) == pytest.approx((0.5, 0.5, 0.5))
    assert found.f1 == pytest.approx(7 / 12)
    assert found.weighted_f1 == pytest.approx((3 * 2 / 3 + 2 * 0.5) / 5)
    assert metrics_line(found).startswith("accuracy 0.6000 · macro F1 0.5833")
    table = confusion_rows(found)
    assert table.values(0) == ["a", 2, 1, *pytest.approx((2 / 3, 2 / 3, 2 / 3)).expected]


@pytest.mark.parametrize(
    ("answers", "predicted", "exact", "f1"),
    [
        (("the Fox",), "fox", 1.0, 1.0),
        (("quick fox",), "the quick dog.", 0.0, 0.5),
        (("dog", "quick fox"), "Quick, fox!", 1.0, 1.0),
        (("",), "", 1.0, 1.0),
        (("",), "fox", 0.0, 0.0),
    ],
)
def test_answers_are_compared_as_squad_does(
    answers: tuple[str, ...], predicted: str, exact: float, f1: float
) -> None:
    found = answer_metrics([answers], [predicted])
    assert (found.accuracy, found.f1) == pytest.approx((exact, f1))


@pytest.mark.parametrize(
    ("truth", "answers"),
    [
        ("fox", ("fox",)), (["fox", "dog"], ("fox", "dog")), ([], ("",)),
        ({"text": ["fox"], "answer_start": [4]}, ("fox",)), ({"text": []}, ("",)), (7, ("7",)),
    ],
)  # fmt: skip
def test_forms_of_right_answers(truth: object, answers: tuple[str, ...]) -> None:
    assert accepted_answers(truth) == answers


@pytest.mark.parametrize(
    ("truths", "found"),
    [
        (["Negative", " POSITIVE "], ["negative", "positive"]),
        (["0", "2"], ["negative", "positive"]),
        ([0, 2.0], ["negative", "positive"]),
        (["1.0"], ["neutral"]),
        (["3"], None), (["-1"], None), (["0.5"], None), (["good"], None), (["nan"], None),
        (["inf"], None),
    ],
)  # fmt: skip
def test_labels_of_a_file_as_the_models(truths: list[object], found: list[str] | None) -> None:
    assert true_labels(LABELS, truths) == found


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows_without_a_label_are_not_scored(shelf: Shelf, tmp_path: Path, kind: str) -> None:
    labels = [0, "" if kind == "csv" else None, 2, 1, "" if kind == "csv" else None, 0, 1]
    rows = [{"text": t, "label": label} for t, label in zip(TEXTS, labels, strict=True)]
    table = run(shelf, "bert-labels", write(tmp_path / f"a.{kind}", rows))
    assert table.metrics is not None
    assert table.metrics.rows == 5
    said = [label for label, _ in one_by_one(shelf, TEXTS)]
    scored = [(LABELS[n], s) for n, s in zip(labels, said, strict=True) if isinstance(n, int)]
    assert table.metrics.accuracy == pytest.approx(sum(a == b for a, b in scored) / 5)


def test_labels_of_another_kind_are_not_scored(shelf: Shelf, tmp_path: Path) -> None:
    rows = [{"text": text, "label": "spam"} for text in TEXTS]
    table = run(shelf, "bert-labels", write(tmp_path / "a.csv", rows))
    assert table.metrics is None
    assert "negative, neutral, positive" in table.note
    assert len(table.rows) == len(TEXTS)


def test_a_regression_is_not_scored_as_labels(shelf: Shelf, tmp_path: Path) -> None:
    rows = [{"text": text, "label": 0} for text in TEXTS]
    table = run(shelf, "regression", write(tmp_path / "a.csv", rows))
    assert table.metrics is None
    assert "number" in table.note


@pytest.mark.parametrize("task", ["zero-shot", "multiple-choice"])
def test_candidates_are_scored_by_name(shelf: Shelf, tmp_path: Path, task: Task) -> None:
    labels = ["fox", "dog", "fox", "dog", "fox", "dog", "fox"]
    rows = [{"text": t, "label": label} for t, label in zip(TEXTS, labels, strict=True)]
    batch = BatchOptions(label_column="label")
    file = write(tmp_path / "a.csv", rows)
    table = run(shelf, MEMBER[task], file, task, batch, None, labels=("fox", "dog"))
    assert isinstance(table.metrics, Metrics)
    assert table.metrics.labels == ("fox", "dog")
    right = sum(row[1] == row[2] for row in table.rows)
    assert table.metrics.accuracy == pytest.approx(right / len(TEXTS))


def test_a_label_column_where_nothing_can_be_right(shelf: Shelf, tmp_path: Path) -> None:
    rows = [{"text": text, "label": "x"} for text in TEXTS[:2]]
    batch = BatchOptions(label_column="label")
    file = write(tmp_path / "a.csv", rows)
    table = run(shelf, "chat", file, "text-generation", batch, None, new_tokens=2)
    assert (table.metrics, table.note) == (None, "")
    assert [row[1] for row in table.rows] == ["x", "x"]


# -- cancel and errors -----------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_a_cancel_stops_within_a_batch(shelf: Shelf, tmp_path: Path, task: Task) -> None:
    file = write(tmp_path / "a.jsonl", [{"text": text} for text in TEXTS])
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)

    def stopped() -> bool:
        return any(p.unit == "rows" and p.done >= 2 for p in seen)

    with pytest.raises(Cancelled):
        run(
            shelf, MEMBER[task], file, task, BatchOptions(size=2), Job(report, stopped),
            **NEEDS.get(task, {}),
        )  # fmt: skip
    assert [p.done for p in seen if p.unit == "rows"] in ([0, 2], [0, 1, 2])
    assert {p.total for p in seen if p.unit == "rows"} == {len(TEXTS)}


def test_a_cancel_in_the_middle_of_a_rows_generation(shelf: Shelf, tmp_path: Path) -> None:
    """The flag that a row's own steps ask, not only the one between two rows."""
    file = write(tmp_path / "a.jsonl", [{"text": text} for text in TEXTS])
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > 6  # reading and the first row ask three times; then its tokens do

    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        run(shelf, "chat", file, "text-generation", None, Job(seen.append, stopped), new_tokens=50)
    assert [p.done for p in seen if p.unit == "rows"] == [0]


@pytest.mark.parametrize("long", ["ask", "truncate"])
@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("task", TASKS)
def test_a_batch_that_is_stopped_may_keep_its_rows(
    shelf: Shelf, tmp_path: Path, task: Task, after: int, long: str
) -> None:
    file = write(tmp_path / "a.jsonl", [{"text": text, "label": 0} for text in TEXTS])
    told = TaskOptions(task=task, long=long, **NEEDS.get(task, {}))  # pyright: ignore[reportArgumentType]
    opened = shelf.open(MEMBER[task], task)
    whole = predict_rows(opened, str(file), told, BatchOptions(size=2))
    seen: list[Progress] = []

    def stopped() -> bool:
        return any(p.unit == "rows" and p.done >= after for p in seen)

    job = Job(seen.append, stopped)
    table = predict_rows(opened, str(file), told, BatchOptions(size=2), job, partial=True)
    assert job.partial
    # of what was started when the cancel came, only whole rows are kept
    assert after <= len(table.rows) <= after + 2 < len(TEXTS)
    assert f"of {len(TEXTS)} rows" in table.note
    assert "Stopped" in table.note
    by_text = {row[0]: row for row in whole.rows}
    texts = [row[0] for row in table.rows]
    assert texts == [text for text in TEXTS if text in texts]  # in the file's order
    for row in table.rows:
        for value, want in zip(row, by_text[row[0]], strict=True):
            assert value == (pytest.approx(want, abs=1e-5) if isinstance(want, float) else want)
    assert len(batch_rows(table)) == len(table.rows)


def test_a_batch_that_is_stopped_says_that_its_rows_are_not_the_first(
    shelf: Shelf, tmp_path: Path
) -> None:
    texts = ["a long row of words " * 3, "short", "another long row of words " * 2, "brief"]
    file = write(tmp_path / "a.jsonl", [{"text": text, "label": 0} for text in texts])
    opened, told = shelf.open("bert-labels", CLASSIFICATION), TaskOptions(task=CLASSIFICATION)

    def rows_and_note(file: Path) -> tuple[list[object], str]:
        seen: list[Progress] = []
        job = Job(seen.append, lambda: any(p.stage == "predicting" for p in seen))
        table = predict_rows(opened, str(file), told, BatchOptions(size=2), job, partial=True)
        return [row[0] for row in table.rows], table.note

    rows, note = rows_and_note(file)
    assert rows == ["short", "brief"]
    assert "the shorter of each 32 first: the figures are not those of the first 2." in note
    by_length = write(tmp_path / "b.jsonl", [{"text": t} for t in sorted(texts, key=len)])
    rows, note = rows_and_note(by_length)
    assert rows == ["short", "brief"]
    assert note.startswith("Stopped after 2 of 4 rows.")
    assert "shorter" not in note


def test_a_batch_that_is_not_stopped_is_whole(shelf: Shelf, tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", [{"text": text} for text in TEXTS])
    opened, told, job = (
        shelf.open("bert-labels", CLASSIFICATION),
        TaskOptions(task=CLASSIFICATION),
        Job(),
    )
    table = predict_rows(opened, str(file), told, BatchOptions(), job, partial=True)
    assert (len(table.rows), table.note, job.partial) == (len(TEXTS), "", False)


@pytest.mark.parametrize("most", [None, 3, 100])
def test_rows_from_all_over_the_file(shelf: Shelf, tmp_path: Path, most: int | None) -> None:
    texts = [f"fox {number}" for number in range(30)]
    file = write(tmp_path / "a.csv", [{"text": t, "label": n % 3} for n, t in enumerate(texts)])
    batch = BatchOptions(most=most, shuffled=True)
    table = run(shelf, "bert-labels", file, batch=batch)
    again = run(shelf, "bert-labels", file, batch=batch)
    found = [row[0] for row in table.rows]
    assert len(found) == len(set(found)) == min(most or 30, 30)
    assert set(found) <= set(texts)
    assert found != texts[: len(found)]
    assert found == [row[0] for row in again.rows]
    # each with the label of its own row
    assert all(int(str(row[1])) == texts.index(str(row[0])) % 3 for row in table.rows)


@pytest.mark.parametrize(
    ("name", "batch", "kind"),
    [
        ("none.csv", BatchOptions(), "not-found"),
        ("a.csv", BatchOptions(column="nope"), "no-column"),
        ("a.csv", BatchOptions(label_column="nope"), "no-column"),
        ("a.csv", BatchOptions(), None),
    ],
)
def test_a_file_is_looked_at_before_a_model_is_loaded(
    tmp_path: Path, name: str, batch: BatchOptions, kind: str | None
) -> None:
    write(tmp_path / "a.csv", [{"text": "x", "label": 0}])
    told = TaskOptions(task=CLASSIFICATION)
    if kind is None:
        check_rows(str(tmp_path / name), told, batch, Job())
        return
    with pytest.raises(HftermError) as caught:
        check_rows(str(tmp_path / name), told, batch, Job())
    assert caught.value.kind == kind


def test_progress_counts_to_the_end(shelf: Shelf, tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", [{"text": text} for text in TEXTS])
    seen: list[Progress] = []
    run(shelf, "bert-labels", file, batch=BatchOptions(size=3), job=Job(seen.append))
    assert [(p.done, p.total) for p in seen if p.unit == "rows"] == [(0, 7), (3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("task", [task for task in TASKS if task != "question-answering"])
@pytest.mark.parametrize("size", [1, 2, 32])
def test_a_text_that_is_too_long_names_its_row(
    shelf: Shelf, tmp_path: Path, task: Task, size: int
) -> None:
    texts = ["[MASK] fox", "dog [MASK]", "short [MASK]", f"[MASK] {LONG}", "end [MASK]"]
    file = write(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    name = "bart" if task == "seq2seq" else MEMBER[task]
    given = (task, BatchOptions(size=size))
    error = fails(shelf, name, file, *given, **NEEDS.get(task, {}))
    assert error.kind == "too-long"
    assert "row 4" in error.message.lower() or "text 4" in error.message
    assert "takes 128" in error.message


@pytest.mark.parametrize("task", ["feature-extraction", "text-generation"])
def test_an_empty_row_is_named(shelf: Shelf, tmp_path: Path, task: Task) -> None:
    """GPT-2's tokenizer adds nothing to it, so there is nothing to predict."""
    file = write(tmp_path / "a.csv", [{"text": t} for t in ("fox", "dog", "", "x")])
    error = fails(shelf, "gpt2", file, task)
    assert error.kind == "empty"
    assert "Row 3" in error.message


def test_an_empty_row_is_predicted_where_there_are_special_tokens(
    shelf: Shelf, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.csv", [{"text": t} for t in ("fox", "", "x")])
    table = run(shelf, "bert-labels", file)
    assert [row[0] for row in table.rows] == ["fox", "", "x"]
    assert [row[2] for row in table.rows] == pytest.approx(
        [score for _, score in one_by_one(shelf, ["fox", "", "x"])], abs=1e-5
    )


def test_no_such_file(shelf: Shelf, tmp_path: Path) -> None:
    error = fails(shelf, "bert-labels", tmp_path / "none.csv")
    assert error.kind == "not-found"
    assert "none.csv" in error.message


@pytest.mark.parametrize(
    "batch",
    [
        BatchOptions(column="nope"), BatchOptions(label_column="nope"),
    ],
)  # fmt: skip
def test_no_such_column_lists_those_there_are(
    shelf: Shelf, tmp_path: Path, batch: BatchOptions
) -> None:
    file = write(tmp_path / "a.csv", [{"text": "x", "other": "y"}])
    error = fails(shelf, "bert-labels", file, CLASSIFICATION, batch)
    assert error.kind == "no-column"
    assert "'nope'" in error.message
    assert "text, other" in error.message


def test_no_such_question_column(shelf: Shelf, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [{"text": "x", "other": "y"}])
    batch = BatchOptions(question_column="nope")
    error = fails(shelf, "bert-qa", file, "question-answering", batch)
    assert error.kind == "no-column"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", '{"text": "x"}\n{broken', "bad-row"),
        ("a.json", "[1, 2]", "bad-row"),
        ("a.parquet", "no parquet at all", "bad-row"),
        ("a.csv", "text,label\n", "no-rows"),
        ("a.csv", "one,two\nx y,z w\n", "no-column"),
        ("empty.txt", "", "no-rows"),
    ],
)
def test_files_that_are_not_what_they_say(
    shelf: Shelf, tmp_path: Path, name: str, content: str, kind: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    assert fails(shelf, "bert-labels", file).kind == kind


def test_not_finite_in_a_batch(shelf: Shelf, tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", [{"text": text} for text in TEXTS])
    error = fails(shelf, "nan", file)
    assert error.kind == "not-finite"
    assert "bert.encoder.layer.1.output.dense.weight" in error.message
