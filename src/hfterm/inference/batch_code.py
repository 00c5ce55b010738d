"""Show code for a batch: read the file, predict its rows, and score them.

Nothing heavy is imported here: the script is text.
"""

from __future__ import annotations

from pathlib import Path

from hfterm.inference.code_bodies import body_of, pooled
from hfterm.inference.code_calls import (
    ACCEPTED,
    INPUTS,
    PADDING,
    call,
    cut,
    indented,
    probabilities,
)
from hfterm.inference.code_opening import opened
from hfterm.inference.options import SEED, BatchOptions, TaskOptions
from hfterm.models.types import LoadedInfo
from hfterm.paths import expanded

_TABLE = "with open(file, encoding='utf-8-sig', newline='') as opened:\n"
_WRAP = "rows = [row if isinstance(row, dict) else {'text': row} for row in rows]\n"
_PARSE = "    rows = [json.loads(line) for line in opened if line.strip()]\n"
_JSONL = f"import json\n\n{_TABLE}{_PARSE}{_WRAP}"
READERS = {
    ".csv": f"import csv\n\n{_TABLE}    rows = list(csv.DictReader(opened))\n",
    ".tsv": f"import csv\n\n{_TABLE}    rows = list(csv.DictReader(opened, delimiter='\\t'))\n",
    ".jsonl": _JSONL,
    ".ndjson": _JSONL,
    ".json": f"import json\n\n{_TABLE}    rows = json.load(opened)\n"
    "if isinstance(rows, dict):\n"
    "    lists = [value for value in rows.values() if isinstance(value, list)]\n"
    "    rows = lists[0] if len(lists) == 1 else [rows]\n" + _WRAP,
    ".parquet": "import pyarrow.parquet\n\nrows = pyarrow.parquet.read_table(file).to_pylist()\n",
}
LINES = _TABLE + "    rows = [{'text': line.rstrip('\\r\\n')} for line in opened if line.strip()]\n"
WORDS = """\
def has_words(value):
    number = isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit()
    return isinstance(value, str) and not number


"""
SCORES = """\
known = {str(index): name for index, name in enumerate(names)}
known |= {name.lower(): name for name in names}
pairs = [(row.get(column), found) for row, found in zip(rows, predicted)]
pairs = [(str(t).strip().lower(), f) for t, f in pairs if t is not None and t != ""]
pairs = [(known.get(t.removesuffix(".0")), f) for t, f in pairs]
if any(true is None for true, _ in pairs):
    print("the labels of the file are none of the model's")
elif pairs:
    hits = {n: sum(t == f == n for t, f in pairs) for n in names}
    support = {n: sum(t == n for t, _ in pairs) for n in names}
    claimed = {n: sum(f == n for _, f in pairs) for n in names}
    f1 = {n: 2 * hits[n] / (support[n] + claimed[n]) for n in names if support[n] + claimed[n]}
    print("accuracy", f"{sum(hits.values()) / len(pairs):.4f}")
    print("macro F1", f"{sum(f1.values()) / len(f1):.4f}")
    print("weighted F1", f"{sum(f1[n] * support[n] for n in f1) / len(pairs):.4f}")
    for true in names:
        counts = [sum(t == true and f == found for t, f in pairs) for found in names]
        print(true, *counts, f"F1 {f1.get(true, 0.0):.4f}")
"""
ANSWERS = r"""
import re
import string
from collections import Counter


def plain(text):
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def f1(wanted, found):
    if not wanted or not found:
        return float(wanted == found)
    shared = sum((Counter(wanted) & Counter(found)).values())
    return 2 * shared / (len(wanted) + len(found))


exact, overlaps = [], []
for row, found in zip(rows, predicted):
    wanted = row.get(column)
    if wanted is None or wanted == "":
        continue
    wanted = wanted.get("text") if isinstance(wanted, dict) else wanted
    wanted = (wanted or [""]) if isinstance(wanted, list) else [wanted]
    wanted = [plain(str(one)) for one in wanted]
    exact.append(plain(found) in wanted)
    overlaps.append(max(f1(one, plain(found)) for one in wanted))
if exact:
    print("exact match", f"{sum(exact) / len(exact):.4f}")
    print("F1", f"{sum(overlaps) / len(exact):.4f}")
"""


def batch_code(info: LoadedInfo, file: str, options: TaskOptions, batch: BatchOptions) -> str:
    """The Batch tab: a row for every row of the file, and how many were right.

    Args:
        info: the model that was loaded.
        file: the file; for a starter data set, its own.
        options: the task and what it needs besides the text.
        batch: columns, rows, and how many at once.
    """
    reader = READERS.get(Path(file).suffix.lower(), LINES)
    script = opened(info) + f"file = {str(expanded(file))!r}\n" + reader
    if batch.shuffled:
        most = f"min({batch.most}, len(rows))" if batch.most else "len(rows)"
        script += f"import random\n\nrows = random.Random({SEED}).sample(rows, {most})\n"
    elif batch.most:
        script += f"rows = rows[:{batch.most}]\n"
    script += _column(options, batch)
    if options.task == "feature-extraction":
        return script + _embeddings(info, options, batch)
    if options.task == "text-classification" and options.long != "window":
        script += _classes(info, options, batch)
    else:
        body = body_of(info, options)
        script += body.once + "predicted = []\n"
        if options.task == "question-answering":
            asked = batch.question_column or "question"
            script += (
                "for row, context in zip(rows, texts):\n"
                f"    question = row.get({asked!r}, {options.question!r})\n"
            )
        else:
            script += f"for {body.name} in texts:\n"
        script += indented(body.each + body.row + "predicted.append(found)\n")
    return script + _scores(options, batch)


def _column(options: TaskOptions, batch: BatchOptions) -> str:
    if batch.column:
        picked = f"column = {batch.column!r}\n"
    else:
        usual = ("text", "sentence", "content")
        if options.task == "question-answering":
            usual = ("context", "text")
        picked = (
            WORDS + f"usual = [name for name in {usual!r} if name in rows[0]]\n"
            "words = [name for name in rows[0] if has_words(rows[0][name])]\n"
            "column = (usual or words)[0]\n"
        )
    return (
        picked
        + 'texts = ["" if row.get(column) is None else str(row.get(column)) for row in rows]\n'
    )


def _classes(info: LoadedInfo, options: TaskOptions, batch: BatchOptions) -> str:
    told = call("encoding", "some", "padding=True", 'return_tensors="pt"', *cut(info, options))
    return (
        PADDING + ACCEPTED + "predicted = []\n"
        f"for start in range(0, len(texts), {batch.size}):\n"
        f"    some = texts[start : start + {batch.size}]\n"
        + indented(told + INPUTS)
        + "    with torch.inference_mode():\n"
        "        logits = model(**inputs).logits.float()\n"
        + indented(probabilities("logits"))
        + "    best = probabilities.max(dim=-1)\n"
        "    for share, id_ in zip(best.values.tolist(), best.indices.tolist()):\n"
        "        predicted.append(model.config.id2label[id_])\n"
        '        print(predicted[-1], f"{share:.4f}")\n'
    )


def _scores(options: TaskOptions, batch: BatchOptions) -> str:
    """How many were right, when there is a column that says so."""
    columns = {
        "text-classification": ("label", "labels"),
        "zero-shot": ("label", "labels"),
        "multiple-choice": (),
        "question-answering": ("answer", "answers"),
    }
    if options.task not in columns:
        return ""
    usual = columns[options.task]
    if batch.label_column:
        picked = f"column = {batch.label_column!r}\n"
    elif usual:
        picked = f"column = next((name for name in {usual!r} if name in rows[0]), None)\n"
    else:
        return ""
    if options.task == "question-answering":
        return picked + ANSWERS
    if options.task == "text-classification":
        names = "[model.config.id2label[index] for index in range(model.config.num_labels)]"
        scores = f"names = {names}\n{SCORES}"
        # a regression has no labels to be right about
        return picked + f"if model.config.num_labels > 1:\n{indented(scores)}"
    return f"{picked}names = {list(options.labels)!r}\n{SCORES}"


def _embeddings(info: LoadedInfo, options: TaskOptions, batch: BatchOptions) -> str:
    normal = (
        "    pooled = torch.nn.functional.normalize(pooled, dim=1)\n" if options.normalize else ""
    )
    return (
        PADDING + ACCEPTED + f"for start in range(0, len(texts), {batch.size}):\n"
        f"    some = texts[start : start + {batch.size}]\n"
        + indented(pooled(info, options, "some"))
        + normal
        + "    for vector in pooled.tolist():\n"
        '        print(*(f"{value:.4f}" for value in vector))\n'
    )
