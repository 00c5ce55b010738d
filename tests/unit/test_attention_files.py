"""Attention in files: what stands in each, what is refused, and that nothing half is left."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hfterm.attention import tables
from hfterm.attention.capture import Capture
from hfterm.attention.figures import (
    SCALES,
    grid_figure,
    head_figure,
    label_of,
    matrix_figure,
    shrunk,
    unseen,
    write,
)
from hfterm.attention.types import METRICS, Axis, CaptureOptions, Metric, Token, Which
from hfterm.attention.writing import write_attention
from hfterm.errors import HftermError
from hfterm.inference.loading import load_model
from hfterm.models.types import ModelSpec

TEXT = "The cat sat on the mat."
LONG = " ".join([TEXT] * 12)


@pytest.fixture(scope="module")
def short_pass() -> Capture:
    return Capture(load_model(ModelSpec(ref="minilm", auto="")), TEXT)


@pytest.fixture(scope="module")
def long_pass(short_pass: Capture) -> Capture:
    return Capture(short_pass.opened, LONG, CaptureOptions(long="truncate"))


def written(
    capture: Capture, path: Path, which: Which | None = None, metric: Metric | None = None
) -> str:
    """Write a map, or the whole, and say what was said of it."""
    weights = None if which is None else capture.weights(which).numpy()
    return write_attention(
        capture.summary, weights, which, "self", str(path),
        lambda layer: capture.layer_weights("self", layer).numpy(), metric=metric,
    )  # fmt: skip


def tokens(*names: str) -> list[Token]:
    return [Token(name, name, place, False, 0, 1) for place, name in enumerate(names)]


# -- what stands in a file ---------------------------------------------------------------------


def test_one_map_as_numbers(short_pass: Capture, tmp_path: Path) -> None:
    which = Which(layer=2, head=3)
    expected = short_pass.weights(which).numpy()
    said = written(short_pass, tmp_path / "one.npz", which)
    assert said == f"Wrote layer 2 · head 3, 9 × 9 weights, to {tmp_path / 'one.npz'}"
    with np.load(tmp_path / "one.npz") as held:
        assert np.array_equal(held["weights"], expected)
        assert held["tokens"].tolist()[:3] == ["[CLS]", "the", "cat"]
    written(short_pass, tmp_path / "one.csv", which)
    lines = [*csv.reader((tmp_path / "one.csv").open(encoding="utf-8"))]
    assert lines[0][:3] == ["query", "[CLS]", "the"]
    assert [line[0] for line in lines[1:4]] == ["[CLS]", "the", "cat"]
    found = np.array([line[1:] for line in lines[1:]], np.float32)
    assert np.allclose(found, expected, atol=1e-8)


def test_all_weights_and_metrics(short_pass: Capture, tmp_path: Path) -> None:
    said = written(short_pass, tmp_path / "all.npz")
    assert said.startswith("Wrote the weights and metrics of 6 × 12 heads, 9 × 9 each")
    with np.load(tmp_path / "all.npz") as held:
        assert held["weights"].shape == (6, 12, 9, 9)
        assert np.array_equal(held["weights"][4], short_pass.layer_weights("self", 4).numpy())
        entropy = short_pass.summary.metrics["self"]["entropy"].numpy()
        assert np.array_equal(held["entropy"], entropy)
    assert written(short_pass, tmp_path / "all.csv").startswith("Wrote 10 metrics of 6 × 12 heads")
    lines = [*csv.DictReader((tmp_path / "all.csv").open(encoding="utf-8"))]
    assert len(lines) == 72
    assert set(METRICS) < set(lines[0])
    assert float(lines[13]["entropy"]) == pytest.approx(float(entropy[1, 1]), rel=1e-6)


def test_figures_hold_the_tokens_and_say_what_they_are(
    short_pass: Capture, long_pass: Capture, tmp_path: Path
) -> None:
    written(short_pass, tmp_path / "head.svg", Which(layer=1, head=2))
    drawing = (tmp_path / "head.svg").read_text("utf-8")
    assert "layer 1 · head 2" in drawing
    assert ">cat<" in drawing
    assert written(short_pass, tmp_path / "grid.svg").startswith("Wrote the grid of 6 × 12 heads")
    assert ">cat<" in (tmp_path / "grid.svg").read_text("utf-8")
    written(long_pass, tmp_path / "long.svg")
    assert ">cat<" not in (tmp_path / "long.svg").read_text("utf-8")  # no room for labels
    said = written(short_pass, tmp_path / "metric.png", metric="entropy")
    assert said.startswith("Wrote entropy of 6 × 12 heads")
    assert (tmp_path / "metric.png").read_bytes().startswith(b"\x89PNG")


# -- what is refused ---------------------------------------------------------------------------


def test_a_file_that_is_there_stays_as_it_is(short_pass: Capture, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(HftermError, match="exists already") as caught:
        written(short_pass, tmp_path / "mine.csv")
    assert caught.value.kind == "exists"
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_more_weights_than_a_file_may_hold(
    short_pass: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_WEIGHTS", 1000)
    with pytest.raises(HftermError, match="6 × 12 heads at 9 × 9 tokens would be") as caught:
        written(short_pass, tmp_path / "all.npz")
    assert caught.value.kind == "too-large"
    assert [*tmp_path.iterdir()] == []


def test_a_layer_of_another_shape_leaves_no_half_a_file(
    short_pass: Capture, tmp_path: Path
) -> None:
    def one_short(layer: int) -> np.ndarray:
        weights = short_pass.layer_weights("self", layer).numpy()
        return weights[:, :-1] if layer == 3 else weights

    with pytest.raises(ValueError, match="layer 3 has weights of shape"):
        write_attention(
            short_pass.summary, None, None, "self", str(tmp_path / "all.npz"), one_short
        )
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("length", [250, 300])  # with what is added while it is written, and alone
def test_a_name_longer_than_the_disk_takes_is_said(
    short_pass: Capture, tmp_path: Path, length: int
) -> None:
    with pytest.raises(HftermError, match="can't be written: File name too long") as caught:
        written(short_pass, tmp_path / ("x" * length + ".csv"))
    assert caught.value.kind == "unwritable"
    assert [*tmp_path.iterdir()] == []


def test_a_figure_is_no_table(tmp_path: Path) -> None:
    figure = matrix_figure(np.zeros((2, 2), np.float32), title="t")
    with pytest.raises(HftermError, match=r"ends in none of \.png, \.svg"):
        write(figure, tmp_path / "metric.npz")


# -- pictures of what is large, masked or broken -----------------------------------------------


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cat", "cat"),
        ("a\tb", "a␉b"),
        ("\x07", "␇"),
        ("a\u200bb", "a�b"),
        ("\ud800", "�"),
        ("", "␣"),
        ("x" * 40, "x" * 15 + "…"),
    ],
)
def test_a_label_is_never_empty_and_holds_nothing_that_xml_can_not(text: str, label: str) -> None:
    assert label_of(Token(text, text, 0, False, 0, 1)) == label


def test_a_shrunk_map_keeps_the_largest_weight_and_what_is_no_number() -> None:
    weights = np.zeros((9, 9), np.float32)
    weights[4, 7], weights[8, 0] = 0.5, np.nan
    small = shrunk(weights, 3)
    assert small.shape == (3, 3)
    assert small[1, 2] == 0.5
    assert np.isnan(small[2, 0])
    assert np.isnan(small).sum() == 1
    assert shrunk(weights, 9) is weights


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [0, 2])
@pytest.mark.parametrize("cells", [4, 8])
def test_a_cell_is_unseen_where_each_pair_of_it_is(causal: bool, window: int, cells: int) -> None:
    query, key = np.arange(8)[:, None], np.arange(8)[None]
    hidden = np.zeros((8, 8), bool)
    if causal:
        hidden |= key > query
    if window:
        hidden |= query - key >= window
        hidden |= key - query >= window
    side = 8 // cells
    expected = hidden.reshape(cells, side, cells, side).all(axis=(1, 3))
    assert np.array_equal(unseen(cells, cells, 8, 8, causal, window), expected)


def test_the_scale_by_rows_makes_each_rows_largest_weight_1() -> None:
    weights = np.array([[0.2, 0.1], [0, 0]], np.float32)
    figure = head_figure(weights, tokens("a", "b"), tokens("a", "b"), title="t", scale="row")
    drawn = figure.axes[0].images[0].get_array()
    assert drawn is not None
    assert np.allclose(drawn, [[1, 0.5], [0, 0]])
    assert figure.axes[1].get_ylabel() == SCALES["row"]
    maps = np.broadcast_to(weights, (2, 3, 2, 2))
    small = grid_figure(maps, tokens("a", "b"), tokens("a", "b"), title="t", scale="row")
    assert small.axes[1].get_ylabel() == SCALES["row"]
    image = small.axes[0].images[0].get_array()
    assert image is not None
    brightest = np.asarray(image)[..., 0] == np.asarray(image)[0, 0, 0]
    assert brightest[0, 0]
    assert not brightest[0, 1]


def test_weights_that_are_no_numbers_are_painted_over() -> None:
    weights = np.array([[np.nan, 1], [0.5, 0.5]], np.float32)
    whole = head_figure(weights[1:], tokens("a"), tokens("a", "b"), title="t")
    broken = head_figure(weights, tokens("a", "b"), tokens("a", "b"), title="t")
    assert (len(whole.axes[0].images), len(broken.axes[0].images)) == (1, 2)
    paint = broken.axes[0].images[1].get_array()
    assert paint is not None
    assert (np.asarray(paint)[..., 3] > 0).tolist() == [[True, False], [False, False]]


def test_a_map_of_more_tokens_than_cells_says_what_a_cell_is() -> None:
    count = 1030
    names = tokens(*(f"t{place}" for place in range(count)))
    figure = head_figure(np.eye(count, dtype=np.float32), names, names, title="t", causal=True)
    assert figure.axes[0].get_xlabel() == "key · each cell the maximum of 2 × 2 tokens"
    few = head_figure(np.eye(3, dtype=np.float32), names[:3], names[:3], title="t", window=1)
    assert few.axes[0].get_xlabel() == "key"


def test_a_metric_without_a_meaning_is_a_dash() -> None:
    metric = np.array([[np.nan, 0.25], [12.5, -1]], np.float32)
    figure = matrix_figure(metric, title="t", label="entropy")
    assert [text.get_text() for text in figure.axes[0].texts] == ["–", "0.2", "12.5", "-1.0"]
    empty = matrix_figure(np.full((1, 2), np.nan, np.float32), title="t")
    assert [text.get_text() for text in empty.axes[0].texts] == ["–", "–"]


def test_later_keys_are_grey_in_the_grid() -> None:
    maps = np.full((1, 1, 4, 4), 0.25, np.float32)
    names = tokens(*"abcd")
    axis = Axis(side="self", layers=1, heads=1, kv_heads=1, causal=True, windows=(2,),
                queries="source", keys="source")  # fmt: skip
    figure = grid_figure(maps, names, names, title="t", axis=axis)
    image = np.asarray(figure.axes[0].images[0].get_array())
    grey = np.isclose(image[..., :3], 0.9).all(axis=2)
    query, key = np.arange(4)[:, None], np.arange(4)[None]
    assert np.array_equal(grey, (key > query) | (query - key >= 2))
