"""``hfterm attention``: tables, JSON, files, and what goes wrong."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from cli_here import hfterm_here, shared_engine
from hfterm.hub.starter import starter_path

_ = shared_engine  # a fixture

pytestmark = pytest.mark.usefixtures("shared_engine")

HFTERM = Path(sys.executable).with_name("hfterm")
TEXT = "The cat sat on the mat."


def run(*arguments: str | Path, typed: str = "") -> str:
    done = hfterm_here("attention", *arguments, typed=typed)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def attentions() -> np.ndarray:
    """MiniLM's own, float32[layers, heads, query, key]."""
    path = starter_path("minilm")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModel.from_pretrained(path, attn_implementation="eager")
    with torch.inference_mode():
        output = model(**tokenizer(TEXT, return_tensors="pt"), output_attentions=True)
    return torch.cat(output.attentions).numpy()


def test_json_of_a_head(attentions: np.ndarray) -> None:
    told = json.loads(
        subprocess.check_output(
            [HFTERM, "attention", "minilm", TEXT, "--layer", "4", "--head", "7", "--json"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    )
    assert told["tokens"] == ["[CLS]", "the", "cat", "sat", "on", "the", "mat", ".", "[SEP]"]
    assert (told["layers"], told["heads"], told["layer"], told["head"]) == (6, 12, 4, 7)
    assert np.allclose(told["weights"], attentions[4, 7], atol=1e-6)


def test_json_of_all_heads(attentions: np.ndarray) -> None:
    told = json.loads(run("minilm", "-", "--json", typed=TEXT))
    assert "weights" not in told
    assert np.allclose(told["metrics"]["top"], attentions.max(3).mean(2), atol=1e-5)
    assert np.allclose(told["metrics"]["first"], attentions[:, :, 1:, 0].mean(2), atol=1e-5)
    alone = json.loads(run("minilm", "cat", "--no-special", "--json"))
    assert alone["metrics"]["previous"] == [[None] * 12] * 6


def test_means_and_rollout(attentions: np.ndarray) -> None:
    mean = json.loads(run("minilm", TEXT, "--layer", "2", "--json"))
    assert np.allclose(mean["weights"], attentions[2].mean(0), atol=1e-6)
    told = json.loads(run("minilm", TEXT, "--rollout", "--json"))
    rolled = np.eye(9)
    for layer in attentions:
        rolled = (0.5 * layer.mean(0) + 0.5 * np.eye(9)) @ rolled
    assert np.allclose(told["weights"], rolled, atol=1e-5)


def test_tables(attentions: np.ndarray) -> None:
    lines = run("minilm", TEXT).splitlines()
    assert lines[0] == "BertModel: 6 layers × 12 heads · 9 tokens"
    assert len(lines) == 2 + 72
    first = run("minilm", TEXT, "--layer", "0", "--head", "2").splitlines()[5].split()
    assert first[1] == "cat"
    assert float(first[3]) == pytest.approx(attentions[0, 2, 2].max(), abs=1e-4)


def test_files(tmp_path: Path, attentions: np.ndarray) -> None:
    for name in ("grid.png", "matrix.svg", "head.png"):
        more = {"matrix.svg": ["--metric", "entropy"], "head.png": ["--layer", "1", "--head", "1"]}
        run("minilm", TEXT, "--out", tmp_path / name, *more.get(name, []))
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "matrix.svg").read_text()
    run("minilm", TEXT, "--out", tmp_path / "all.npz")
    assert np.allclose(np.load(tmp_path / "all.npz")["weights"], attentions, atol=1e-6)
    run("minilm", TEXT, "--layer", "1", "--head", "1", "--out", tmp_path / "one.csv")
    rows = list(csv.reader((tmp_path / "one.csv").open()))
    assert rows[0][:3] == ["query", "[CLS]", "the"]
    assert np.allclose([[*map(float, row[1:])] for row in rows[1:]], attentions[1, 1], atol=1e-6)


def test_sides(model_zoo: dict[str, Path]) -> None:
    told = json.loads(
        run(str(model_zoo["t5"]), "one two three", "--target", "one", "--side", "cross",
            "--layer", "0", "--head", "0", "--json")
    )  # fmt: skip
    assert np.shape(told["weights"]) == (len(told["tokens"]), len(told["keys"]))
    assert len(told["tokens"]) < len(told["keys"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("minilm", " "), "There is no text"),
        (("minilm", TEXT, "--layer", "9"), "There is no layer 9"),
        (("minilm", TEXT, "--layer", "0", "--head", "12"), "There is no head 12"),
        (("minilm", TEXT, "--side", "cross"), "has no cross attention"),
        (("minilm", "word " * 600), "positions for 512"),
        (("minilm", TEXT, "--device", "cuda:7"), "There is no device 'cuda:7' here."),
        (("nowhere/at-all", TEXT), "nowhere/at-all"),
        (("minilm", TEXT, "--out", "map.bmp"), "map.bmp ends in none of"),
        (("minilm", TEXT, "--out", "no/such/folder.png"), "is no folder"),
    ],
)
def test_what_goes_wrong(arguments: tuple[str, ...], message: str) -> None:
    done = hfterm_here("attention", *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    lines = [line for line in done.stderr.splitlines() if line.startswith(("hfterm: ", "  "))]
    assert message in lines[0]
    assert lines[1].strip()
    assert "Traceback" not in done.stderr
