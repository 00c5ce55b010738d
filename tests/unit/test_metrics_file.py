"""metrics.jsonl: read as it grows, whatever is in it, and found again in its cache."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job, Progress
from hfterm.training import curve_cache, metrics_file
from hfterm.training.curve_cache import load_cache, open_curves, save_cache
from hfterm.training.curve_index import main
from hfterm.training.curves import AXES, Curves
from hfterm.training.metrics_file import MetricsTail

RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TRAIN = '{"step":%d,"time":1764096000.5,"epoch":0.1,"tokens":1234,"loss":0.5,"grad_norm":1.25}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def same(one: Curves, other: Curves) -> None:
    """Assert that two curves say the same."""
    assert one.names == other.names
    assert (len(one), one.skipped) == (len(other), other.skipped)
    np.testing.assert_equal(
        [(r.step, r.time, r.row) for r in one.resumes],
        [(r.step, r.time, r.row) for r in other.resumes],
    )
    for axis in AXES:
        np.testing.assert_array_equal(one.column(axis), other.column(axis))
    for name in one.names:
        for part in ("rows", "step", "values", "stale"):
            np.testing.assert_array_equal(
                getattr(one.series(name), part), getattr(other.series(name), part)
            )
        np.testing.assert_equal(one.last(name), other.last(name))


def read(file: Path) -> Curves:
    tail = MetricsTail(file)
    tail.read()
    return tail.curves


def test_rows_of_training_and_of_evaluation(file: Path) -> None:
    file.write_text(
        (TRAIN % 10) + '{"step":10,"time":1764096002,"epoch":0.1,"eval_loss":0.7}\n' + (TRAIN % 20)
    )
    curves = read(file)
    assert curves.names == ("loss", "grad_norm", "eval_loss")
    assert curves.series("loss").step.tolist() == [10, 20]
    assert curves.series("eval_loss").rows.tolist() == [1]
    assert curves.column("tokens").tolist() == [1234, 1234, 1234]
    assert curves.column("time").tolist() == [0, 1.5, 0]


def test_values_that_are_not_finite(file: Path) -> None:
    file.write_text(
        '{"step":1,"loss":"NaN"}\n{"step":2,"loss":"Infinity"}\n{"step":3,"loss":"-Infinity"}\n'
        '{"step":4,"loss":1}\n'
    )
    curves = read(file)
    np.testing.assert_array_equal(curves.series("loss").values, [np.nan, np.inf, -np.inf, 1])
    assert curves.columns("loss", "step", 1, 4, 4, 1).nonfinite.tolist() == [True] * 3 + [False]


def test_lines_that_say_nothing_are_counted_and_values_that_are_none_ignored(file: Path) -> None:
    file.write_text(
        f'broken\n[1]\n\n{{"a":{"[" * 50_000}\n'
        '{"step":1,"loss":true,"note":"x","list":[1],"acc":2,"none":null}\n'
        '{"step":2,"loss":1e999}\n{"resumed_from":"x"}\n{}\n{"step":3,"loss":0.5}\n'
    )
    curves = read(file)
    assert curves.skipped == 4
    assert curves.names == ("acc", "loss")
    assert curves.series("loss").step.tolist() == [3]


def test_a_mark_supersedes_what_came_after_its_step(file: Path) -> None:
    file.write_text(
        "".join(TRAIN % step for step in (10, 20, 30))
        + '{"resumed_from":20,"time":1764096100}\n'
        + (TRAIN % 30)
    )
    curves = read(file)
    assert curves.series("loss").stale.tolist() == [False, False, True, False]
    assert (curves.resumes[0].step, curves.resumes[0].time) == (20, 1764096100)


def test_a_mark_behind_a_line_that_was_cut_off_still_counts(file: Path) -> None:
    file.write_text((TRAIN % 10) + '{"step":20,"lo{"resumed_from":0,"time":5}\n' + (TRAIN % 10))
    curves = read(file)
    assert curves.skipped == 1
    assert curves.series("loss").stale.tolist() == [True, False]


def test_a_line_counts_when_it_is_whole(file: Path) -> None:
    tail = MetricsTail(file)
    assert not tail.read()
    line = TRAIN % 10
    file.write_text(line[:30])
    assert not tail.read() and tail.behind == 30
    with file.open("a") as opened:
        opened.write(line[30:])
    assert tail.read() and not tail.read()
    assert len(tail.curves) == 1 and tail.behind == 0


def test_a_file_that_was_replaced_is_read_anew(file: Path) -> None:
    tail = MetricsTail(file)
    curves = tail.curves
    file.write_text(TRAIN % 10 + TRAIN % 20)
    tail.read()
    other = file.with_name("other")
    other.write_text("".join(TRAIN % step for step in (1, 2, 3)))
    other.replace(file)
    assert tail.read() and curves.series("loss").step.tolist() == [1, 2, 3]
    file.write_text(TRAIN % 7)  # the same inode, and shorter
    assert tail.read() and curves.series("loss").step.tolist() == [7]
    file.write_text(TRAIN % 8 + TRAIN % 9)  # the same inode, longer, but not what was there
    assert tail.read() and curves.series("loss").step.tolist() == [8, 9]
    file.unlink()
    assert tail.read() and len(curves) == 0 and not tail.read()


def test_reading_can_stop_at_a_limit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_file, "CHUNK", 1000)
    file.write_text("".join(TRAIN % step for step in range(200)))
    tail = MetricsTail(file)
    assert tail.read(1500) and 0 < len(tail.curves) < 40 and tail.behind > 0
    pieces = 1
    while tail.read(1500):
        pieces += 1
    assert pieces > 5
    same(tail.curves, read(file))


def test_a_line_that_never_ends_is_passed_over(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_file, "CHUNK", 64)
    monkeypatch.setattr(metrics_file, "LONGEST", 256)
    file.write_text((TRAIN % 1) + "x" * 1000)
    tail = MetricsTail(file)
    tail.read()
    with file.open("a") as opened:
        opened.write("y" * 500 + "\n" + TRAIN % 2)
    tail.read()
    assert tail.curves.series("loss").step.tolist() == [1, 2] and tail.curves.skipped == 1


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(HftermError) as told:
        MetricsTail(tmp_path).read()
    assert told.value.kind == "unreadable" and told.value.remedy


NUMBERS = some.one_of(
    some.floats(allow_nan=False, allow_infinity=False, width=32),
    some.integers(-10, 10),
    some.sampled_from(["NaN", "Infinity", "-Infinity"]),
)
LINES = some.one_of(
    some.fixed_dictionaries({"step": some.integers(0, 30), "loss": NUMBERS}),
    some.fixed_dictionaries({"step": some.integers(0, 30), "time": NUMBERS, "eval": NUMBERS}),
    some.dictionaries(some.sampled_from(["step", "loss", "a", '"\n']), NUMBERS, max_size=3),
    some.fixed_dictionaries({"resumed_from": some.integers(0, 30)}),
    some.fixed_dictionaries({"step": some.none(), "loss": some.booleans()}),
).map(lambda row: json.dumps(row).encode())


@RELAXED
@given(
    content=some.lists(some.one_of(LINES, some.binary(max_size=30)), max_size=40),
    cuts=some.lists(some.integers(0, 3000), max_size=6),
)
def test_a_file_read_in_pieces_is_the_file_read_at_once(
    content: list[bytes], cuts: list[int], file: Path
) -> None:
    file.unlink(missing_ok=True)
    whole = b"\n".join(content) + b"\n"
    tail = MetricsTail(file)
    at = 0
    for place in sorted(cuts):
        with file.open("ab") as opened:
            opened.write(whole[at:place])
        at = max(at, place)
        tail.read()
    with file.open("ab") as opened:
        opened.write(whole[at:])
    while tail.read():
        pass
    slow = Curves()
    by_line = MetricsTail(file)
    by_line.curves = slow
    by_line._one_by_one(whole)  # pyright: ignore[reportPrivateUsage]
    same(tail.curves, slow)


@RELAXED
@given(content=some.binary(max_size=300))
def test_any_bytes_are_curves(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    tail = MetricsTail(file)
    tail.read()
    assert not tail.read()


# -- the cache -------------------------------------------------------------------------------


@pytest.fixture
def cached(file: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A file of 200 rows that was resumed, and the cache of it."""
    file.write_text(
        "".join(TRAIN % step for step in range(100))
        + 'what\n{"resumed_from":50,"time":1}\n'
        + "".join(TRAIN % step for step in range(51, 151))
    )
    cache = tmp_path / "cache" / "curves"
    tail = MetricsTail(file)
    tail.read()
    save_cache(tail, cache)
    return file, cache


def test_a_cache_gives_what_the_file_would(cached: tuple[Path, Path]) -> None:
    file, cache = cached
    tail = MetricsTail(file)
    assert load_cache(tail, cache)
    same(tail.curves, read(file))
    assert not tail.read()
    with file.open("a") as opened:
        opened.write(TRAIN % 500 + '{"resumed_from":120}\n')
    assert tail.read()
    same(tail.curves, read(file))
    columns = tail.curves.columns("loss", "step", 0, 150, 30, 5)
    wanted = read(file).columns("loss", "step", 0, 150, 30, 5)
    np.testing.assert_array_equal(columns.stale_high, wanted.stale_high)
    np.testing.assert_array_equal(columns.smooth, wanted.smooth)
    assert [found.name for found in cache.parent.iterdir()] == [cache.name]


def test_a_cache_of_another_file_is_not_taken(cached: tuple[Path, Path]) -> None:
    file, cache = cached
    content = file.read_bytes()
    assert not load_cache(MetricsTail(file.with_name("gone")), file)

    file.write_bytes(content[:-10])
    assert not load_cache(MetricsTail(file), cache)
    file.write_bytes(b"#" + content[1:])
    assert not load_cache(MetricsTail(file), cache)
    file.write_bytes(content[:-2] + b" \n")
    assert not load_cache(MetricsTail(file), cache)
    file.write_bytes(content)
    assert load_cache(MetricsTail(file), cache)
    other = file.with_name("other")
    other.write_bytes(content)
    other.replace(file)
    assert not load_cache(MetricsTail(file), cache)
    file.unlink()
    assert not load_cache(MetricsTail(file), cache)


@RELAXED
@given(place=some.floats(0, 1, exclude_max=True), bit=some.integers(0, 7), short=some.booleans())
def test_a_damaged_cache_is_as_if_it_were_not_there(
    place: float, bit: int, short: bool, cached: tuple[Path, Path]
) -> None:
    file, cache = cached
    content = bytearray(cache.read_bytes())
    at = int(place * len(content))
    broken = cache.with_name("broken")
    if short:
        broken.write_bytes(content[:at])
    else:
        content[at] ^= 1 << bit
        broken.write_bytes(content)
    tail = MetricsTail(file)
    assert not load_cache(tail, broken)
    assert len(tail.curves) == 0
    curves, _ = open_curves(file, broken, Job())
    same(curves, read(file))


def test_opening_writes_the_cache_when_much_was_read(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    file.write_text("".join(TRAIN % step for step in range(100)))
    open_curves(file, cache, Job())
    assert not cache.exists()
    monkeypatch.setattr(curve_cache, "WORTH_IT", 100)
    told: list[Progress] = []
    curves, tail = open_curves(file, cache, Job(told.append))
    assert tail.curves is curves and told[-1].done == told[-1].total == file.stat().st_size
    written = cache.stat().st_mtime_ns
    again, _ = open_curves(file, cache, Job())
    assert len(again) == 100 and cache.stat().st_mtime_ns == written


def test_opening_goes_without_a_cache_that_cannot_be_written(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_cache, "WORTH_IT", 100)
    file.write_text("".join(TRAIN % step for step in range(100)))
    (tmp_path / "blocked").write_text("")
    curves, _ = open_curves(file, tmp_path / "blocked" / "cache", Job())
    assert len(curves) == 100


def test_opening_can_be_cancelled(file: Path) -> None:
    file.write_text(TRAIN % 1)
    with pytest.raises(Cancelled):
        open_curves(file, None, Job(cancelled=lambda: True))


def test_the_process_that_builds_a_cache(cached: tuple[Path, Path], tmp_path: Path) -> None:
    file, _ = cached
    cache = tmp_path / "built"
    command = [sys.executable, "-m", "hfterm.training.curve_index"]
    done = subprocess.run([*command, file, "hfterm", cache], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    tail = MetricsTail(file)
    assert load_cache(tail, cache)
    same(tail.curves, read(file))


@pytest.mark.parametrize(
    ("kind", "source", "target", "told"),
    [
        ("hfterm", "", "c", "unreadable"),
        ("hfterm", "m", "m/c", "cache"),
        ("other", "m", "c", "unknown-kind"),
    ],
)
def test_the_process_tells_what_is_wrong(
    kind: str,
    source: str,
    target: str,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "m").write_text(TRAIN % 1)
    assert main([str(tmp_path / source), kind, str(tmp_path / target)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].split("\t")[0] == told
    assert len(lines[0].split("\t")) == 3


def test_the_rows_that_are_written_are_the_rows_that_are_read(file: Path) -> None:
    rows = [{"step": 1, "loss": math.pi, "x": -0.0}, {"step": 2, "loss": 5e-324, "x": 1e300}]
    file.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    curves = read(file)
    assert curves.series("loss").values.tolist() == [math.pi, 5e-324]
    assert curves.series("x").values.tolist() == [-0.0, 1e300]


def test_a_file_that_may_not_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(TRAIN % 1)

    def refuse(*_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fstat", refuse)
    with pytest.raises(HftermError) as told:
        MetricsTail(file).read()
    assert told.value.kind == "permission" and "right" in told.value.remedy
