"""Show code of the Attention screen: every script runs unchanged and prints what is shown."""

from __future__ import annotations

import contextlib
import io
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hfterm.attention.capture import Capture
from hfterm.attention.code import PICTURE, attention_code
from hfterm.attention.comparing import Kept, compare
from hfterm.attention.hidden import lens
from hfterm.attention.types import METRICS, CaptureOptions, Looked, Side, Which
from hfterm.inference.loading import OpenModel, load_model
from hfterm.job import Job
from hfterm.models.types import ModelSpec

TEXT = "The 'quick' brown fox \\n jumps, over \"the\" café; the fox."
TOLERANCE = 2e-5
NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.\d+|nan)(?![\w.])")


@pytest.fixture(scope="module")
def opened() -> dict[str, OpenModel]:
    return {}


def at(opened: dict[str, OpenModel], ref: str) -> OpenModel:
    if ref not in opened:
        opened[ref] = load_model(ModelSpec(ref=ref, auto=""))
    return opened[ref]


def printed(script: str) -> list[str]:
    """The lines that a script prints, run in this process: transformers is imported already."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(script, "script", "exec"), {"__name__": "__main__"})
    return out.getvalue().splitlines()


def numbers(lines: list[str]) -> list[float]:
    return [float(found) for line in lines for found in NUMBER.findall(line)]


def looked(model: OpenModel, text: str = TEXT, **options: object) -> Looked:
    return Looked(spec=model.info.spec, text=text, options=CaptureOptions(**options))  # pyright: ignore


SIDES: list[tuple[str, Side]] = [
    ("minilm", "self"), ("smollm2", "self"), ("gpt2", "self"), ("distilbert", "self"),
    ("t5", "encoder"), ("t5", "cross"), ("bart", "decoder"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_metrics_map_ranking_and_norms(
    opened: dict[str, OpenModel], model_zoo: dict[str, Path], name: str, side: Side,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model = at(opened, str(model_zoo.get(name, name)))
    what = looked(model)
    capture = Capture(model, what.text, what.options)
    axis = capture.summary.axis(side)
    script = attention_code(model.info, what, "heads", Which(side=side), side)
    said = [
        [math.nan if word == "nan" else float(word) for word in line.split()[2:]]
        for line in printed(script)[1:]
    ]
    expected = np.stack(
        [capture.summary.metrics[side][metric].numpy().reshape(-1) for metric in METRICS], axis=1
    )
    assert np.shape(said) == (axis.layers * axis.heads, len(METRICS))
    assert np.allclose(said, expected, atol=1e-4, equal_nan=True)

    which = Which(side=side, layer=axis.layers - 1, head=1)
    rows = printed(attention_code(model.info, what, "head", which, side))[1:]
    shown = capture.weights(which).numpy()
    assert np.allclose(
        [[float(word) for word in row.split()[-shown.shape[1] :]] for row in rows], shown,
        atol=TOLERANCE,
    )  # fmt: skip
    assert Path(PICTURE).read_bytes().startswith(b"\x89PNG")

    for incoming in (False, True):
        links = capture.rank(side, 1, incoming=incoming, top=20)
        script = attention_code(
            model.info, what, "ranking", which, side, token=1, incoming=incoming, top=20
        )
        lines = printed(script)
        assert len(lines) == len(links)
        weights = [float(line.split()[4]) for line in lines]
        assert np.allclose(weights, [link.weight for link in links], atol=TOLERANCE)
        assert lines[0].split()[:4] == [
            str(value) for value in (links[0].layer, links[0].head, links[0].query, links[0].key)
        ]

    stack: Side = "decoder" if side == "cross" else side
    lines = printed(attention_code(model.info, what, "hidden", which, side))
    norms = capture.summary.norms[stack].numpy()
    said = [[float(word) for word in line.split()[1:]] for line in lines[1:]]
    assert np.allclose(said, norms, atol=1e-3)


@pytest.mark.parametrize(
    "which",
    [Which(layer=2, head=None), Which(layer=None, head=3), Which(layer=None, head=None),
     Which(layer=4, head=None, rollout=True)],
    ids=lambda which: which.name,
)  # fmt: skip
def test_means_and_rollout(
    opened: dict[str, OpenModel], which: Which, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = at(opened, "minilm")
    what = looked(model)
    rows = printed(attention_code(model.info, what, "head", which, "self"))[1:]
    shown = Capture(model, what.text).weights(which).numpy()
    said = [[float(word) for word in row.split()[-len(shown) :]] for row in rows]
    assert np.allclose(said, shown, atol=TOLERANCE)


@pytest.mark.parametrize("options", [{"long": "window", "window": 1}, {"long": "truncate"},
                                     {"special": False}], ids=str)  # fmt: skip
def test_what_is_fed(opened: dict[str, OpenModel], options: dict[str, object]) -> None:
    model = at(opened, "minilm")
    text = TEXT * 60 if "long" in options else TEXT
    what = looked(model, text, **options)
    capture = Capture(model, what.text, what.options)
    lines = printed(attention_code(model.info, what, "hidden", Which(), "self"))
    assert lines[0] == f"7 (1, {len(capture.summary.source)}, 384)"
    norms = capture.summary.norms["self"].numpy()
    assert np.allclose([float(word) for word in lines[3].split()[1:]], norms[2], atol=1e-3)


def test_the_lens(opened: dict[str, OpenModel]) -> None:
    model = at(opened, "smollm2")
    what = looked(model, "The capital of France is Paris, and the capital of Spain is")
    found = lens(Capture(model, what.text), start=4, count=6)
    script = attention_code(model.info, what, "lens", Which(), "self", start=4, count=6)
    lines = [line.split(" ", 4) for line in printed(script)]
    assert len(lines) == 31 * 6
    for layer, position, sure, kl, said in lines:
        row, place = int(layer), int(position) - 4
        cell = found.cells[row][place]
        assert float(sure) == pytest.approx(cell.probabilities[0], abs=1e-4)
        assert float(kl) == pytest.approx(float(found.kl.numpy()[row, place]), abs=1e-3)
        assert said == repr(cell.tokens[0])


def test_two_texts_and_two_models(opened: dict[str, OpenModel], model_zoo: dict[str, Path]) -> None:
    cases = [
        (at(opened, "minilm"), at(opened, "minilm"), TEXT.replace("fox", "dog")),
        (at(opened, str(model_zoo["bert"])), at(opened, str(model_zoo["bert-labels"])), TEXT),
    ]
    for first, second, text in cases:
        what, other = looked(first), looked(second, text)
        kept = [
            Kept.of(Capture(model, each.text), Which(), Job())
            for model, each in ((first, what), (second, other))
        ]
        found = compare(kept[0], kept[1], Which())
        script = attention_code(
            first.info, what, "compare", Which(), "self", other=(second.info, other)
        )
        said = [
            [math.nan if word == "nan" else float(word) for word in line.split()[2:]]
            for line in printed(script)[1:]
        ]
        expected = np.stack(
            [found.difference[metric].numpy().reshape(-1) for metric in METRICS], axis=1
        )
        assert np.allclose(said, expected, atol=1e-4, equal_nan=True)


def test_in_a_fresh_interpreter(opened: dict[str, OpenModel], tmp_path: Path) -> None:
    model = at(opened, "minilm")
    what = looked(model)
    for page in ("heads", "head"):
        script = tmp_path / f"{page}.py"
        script.write_text(attention_code(model.info, what, page, Which(), "self"))
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert numbers(done.stdout.splitlines())
