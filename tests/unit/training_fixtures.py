"""Recipes and rows for each task, small enough to train in a second."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from corpus import PROSE
from hfterm.training import run_control
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import recipe_of

WORDS = PROSE.split()
ROWS = 24
CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] + '\n' + message['content'] }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
Rows = list[dict[str, object]]


def words(row: int, count: int) -> list[str]:
    """Some words, others for each row."""
    return [WORDS[(7 * row + 3 * place) % len(WORDS)] for place in range(count)]


def rows_of(task: str, count: int = ROWS) -> Rows:
    """Rows of a task."""
    found: Rows = []
    for row in range(count):
        text = " ".join(words(row, 4 + row % 9))
        if task == "text-classification":
            found.append({"text": text, "label": row * row % 3})
        elif task == "token-classification":
            tokens = words(row, 3 + row % 5)
            found.append({"tokens": tokens, "tags": [(row + i) % 3 for i in range(len(tokens))]})
        elif task == "question-answering":
            context = " ".join(words(row, 40))
            told: dict[str, list[object]] = {"text": [], "answer_start": []}
            if row % 4:
                answer = " ".join(words(row, 40)[5 + row : 7 + row])
                told = {"text": [answer], "answer_start": [context.index(answer)]}
            found.append({"question": " ".join(words(row, 4)), "context": context,
                          "answers": told})  # fmt: skip
        elif task == "chat-sft":
            messages = [
                {"role": ("user", "assistant")[i % 2], "content": " ".join(words(row + i, 3))}
                for i in range(2 + 2 * (row % 2))
            ]
            found.append({"messages": messages})
        elif task == "seq2seq":
            found.append({"source": text, "target": " ".join(words(row, 3))})
        else:
            found.append({"text": text})
    return found


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Rows as a file, by its ending: .csv, .tsv, .jsonl, .parquet, .txt."""
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(
                file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ","
            )
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        from datasets import Dataset

        Dataset.from_list([dict(row) for row in rows]).to_parquet(path)
    elif path.suffix == ".txt":
        path.write_text("".join(f"{row['text']}\n" for row in rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def recipe_for(task: str, model: object, rows: object, /, **changes: object) -> Recipe:
    """A recipe of a few steps; `changes` are tables, or keys above all tables."""
    table: dict[str, object] = {
        "name": f"tiny {task}",
        "task": task,
        "model": {"ref": str(model), "device": "cpu"},
        "data": {"ref": str(rows), "train": "train[:16]", "eval": "train[16:]", "max_length": 48},
        "method": {"name": "full"},
        "training": {
            "max_steps": 6, "batch_size": 4, "eval_batch_size": 4, "learning_rate": 1e-3,
            "log_every": 1, "eval_every": 3, "save_every": 100,
        },
    }  # fmt: skip
    for name, value in changes.items():
        own = table.get(name)
        table[name] = own | value if isinstance(own, dict) and isinstance(value, dict) else value
    for part in ("data", "training"):
        told = table[part]
        assert isinstance(told, dict)
        table[part] = {key: value for key, value in told.items() if value is not None}
    return recipe_of(table)


RUN = """
import sys
from hfterm.training import worker
for name in sys.argv[1:]:
    sys.argv = ["worker", name]
    worker.main()
"""
SCRIPTS = """
import json, os, sys
for name in sys.argv[1:]:
    os.chdir(os.path.dirname(name))
    exec(compile(open(name).read(), name, "exec"), {"__name__": "__main__"})
    print("DONE", name, flush=True)
assert not any(name.partition(".")[0] == "hfterm" for name in sys.modules)
"""


def run_all(recipes: Sequence[Recipe]) -> list[Rows]:
    """The rows that each run logs, all by one process."""
    folders = [run_control.create(recipe) for recipe in recipes]
    python("-c", RUN, *map(str, folders))
    for folder in folders:
        outcome = files.read_struct(folder / files.OUTCOME, files.Outcome)
        assert outcome is not None
        assert outcome.status == "finished", outcome.error
    return [metrics_of(folder) for folder in folders]


def metrics_of(folder: Path) -> Rows:
    """What a run logged."""
    return [json.loads(line) for line in (folder / files.METRICS).read_text().splitlines()]


def python(*arguments: str, cwd: Path | None = None) -> str:
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd,
        env=os.environ | {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def printed_rows(printed: str) -> Rows:
    """The rows of a log among what a script printed."""
    rows = [eval(line) for line in printed.splitlines() if line.startswith("{'step'")]
    return [row for row in rows if "train_loss" not in row]
