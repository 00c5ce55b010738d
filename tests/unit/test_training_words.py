"""Times, figures and states of runs as people read them."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hfterm.training import store
from hfterm.training.run_types import RunStatus
from hfterm.widgets import training_words as words
from hfterm.widgets.training_words import (
    STATUS,
    duration,
    ending,
    figure,
    moment,
    runs_line,
    share,
    status_text,
)
from run_fixtures import NOON, make_run


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00"), (0.4, "0:00"), (0.5, "0:01"), (49, "0:49"), (59.6, "1:00"), (61, "1:01"),
        (3599.4, "59:59"), (3599.5, "1:00:00"), (3723, "1:02:03"),
        (47 * 3600 + 59 * 60, "47:59:00"),
        (48 * 3600, "2 d 00:00"), (52 * 3600 + 240, "2 d 04:04"), (40 * 86400, "40 d 00:00"),
    ],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@given(some.integers(0, 48 * 3600 - 1))
def test_a_duration_is_its_seconds(seconds: int) -> None:
    total = 0
    for part in duration(seconds).split(":"):
        total = 60 * total + int(part)
    assert total == seconds


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), ("NaN", "NaN"), (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "-∞"),
        (0.0, "0.0000"), (0.69314, "0.6931"), (0.001, "0.0010"), (0.00099, "9.90e-04"),
        (2e-3, "0.0020"), (5e-5, "5.00e-05"), (-2.5, "-2.5000"), (99.99994, "99.9999"),
        (123.456, "123.5"), (12345.678, "12,345.7"), (1e5, "1.00e+05"), (-3e7, "-3.00e+07"),
    ],
)  # fmt: skip
def test_figures(value: float | str | None, shown: str) -> None:
    assert figure(value) == shown


@given(some.floats(-1e300, 1e300))
def test_any_figure_is_short_and_near(value: float) -> None:
    shown = figure(value)
    assert len(shown) <= 10
    assert float(shown.replace(",", "")) == pytest.approx(value, rel=6e-3, abs=6e-5)


def test_a_share_of_nothing_is_none() -> None:
    assert [share(0, 0), share(0, 10), share(1, 3), share(10, 10)] == ["–", "0 %", "33 %", "100 %"]


@pytest.mark.parametrize(("done", "total"), [(999, 1000), (99_999, 100_000)])
def test_what_is_not_over_is_not_all_of_it(done: int, total: int) -> None:
    assert share(done, total) != "100 %"


def test_every_status_has_a_glyph_of_its_own() -> None:
    assert set(STATUS) == set(get_args(RunStatus))
    glyphs = [glyph for glyph, _ in STATUS.values()]
    assert len(set(glyphs)) == len(glyphs)
    assert {status_text(status).partition(" ")[2] for status in STATUS} == set(STATUS)


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noon:
        """The fifteenth of June, at noon."""

        strftime = staticmethod(time.strftime)

        @staticmethod
        def localtime(when: float = NOON) -> time.struct_time:
            return time.gmtime(when)

    monkeypatch.setattr(words, "time", Noon)
    assert moment(0) == "–"
    assert moment(NOON - 3661) == "10:58:59"
    assert moment(NOON - 86400) == "Jun 14 12:00"
    assert moment(NOON - 366 * 86400) == "2019-06-15"
    assert moment(NOON + 86400) == "Jun 16 12:00"


def test_how_a_run_ended() -> None:
    done = store.read_run(make_run("good"))
    assert ending(done) == (f"good finished: accuracy {figure(done.progress.best)}", "information")
    failed = store.read_run(make_run("bad", "failed", at=60))
    assert failed.state.error is not None
    assert ending(failed) == (f"bad failed: {failed.state.error.message}", "error")
    stopped = store.read_run(make_run("half", "stopped", at=120, steps=40))
    assert ending(stopped) == ("half stopped", "warning")
    died = store.read_run(make_run("gone", "died", at=180))
    assert ending(died)[0].startswith("gone died: ")
    assert ending(died)[1] == "error"


def broken(folder: Path) -> store.Run:
    (folder / "recipe.toml").write_text("name = ")
    return store.read_run(folder)


def test_a_run_without_a_recipe_is_called_by_its_folder() -> None:
    run = broken(make_run("lost", "failed"))
    assert run.recipe is None
    assert ending(run)[0].startswith(f"{run.id} failed")


def test_runs_in_the_line_under_every_screen() -> None:
    assert runs_line([]) == ""
    made = [
        make_run("one", "running", steps=30),
        make_run("two", "running", at=10, steps=60),
        make_run("three", "running", at=20, steps=90),
        make_run("wait", "queued", at=30),
        make_run("old", at=40),
    ]
    runs = [store.read_run(path) for path in made]
    assert runs_line(runs[4:]) == ""
    assert runs_line(runs[3:]) == " · 1 queued"
    assert runs_line(runs[:1]) == " · ▶ one 25 % 1:30 left"
    assert runs_line(runs) == " · ▶ one 25 % 1:30 left · ▶ two 50 % 1:00 left +1 · 1 queued"


def test_a_long_name_leaves_room_in_that_line() -> None:
    run = store.read_run(make_run("a-very-long-name-of-a-run-that-goes-on", "running", steps=30))
    assert len(runs_line([run])) < 45
