"""What tables and lines say of things that have no number, no answer or no room."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from pyarrow import parquet

from hfterm.chat.prompt_sets import Reply
from hfterm.chat.types import Answer
from hfterm.inference.types import BatchTable, Metrics
from hfterm.job import Job, Progress
from hfterm.library.data_preview import ColumnFacts
from hfterm.library.types import LibraryItem
from hfterm.progress_text import ProgressPrinter, describe
from hfterm.screens.library.things import about
from hfterm.system.samples import GpuSample, SystemSample
from hfterm.widgets.batch_tables import batch_rows, metrics_line
from hfterm.widgets.chart_data import log_ticks
from hfterm.widgets.copying import copyable_text
from hfterm.widgets.data_grid import GridColumn, Rows
from hfterm.widgets.exporting import write_table
from hfterm.widgets.library_tables import LibraryRows, column_rows
from hfterm.widgets.map_layout import Extent, Viewport, fitting, lay_out, stages
from hfterm.widgets.model_tables import parameters_text
from hfterm.widgets.numbers import typed_whole
from hfterm.widgets.ramps import ramp
from hfterm.widgets.side_table import ReplyRows, SideRows
from hfterm.widgets.status_bar import StatusBar


def answer(text: str, rate: float = 10.0) -> Answer:
    """An answer of five tokens."""
    return Answer(
        text=text, ids=(), tokens=5, prompt_tokens=3, ttft=0.25, seconds=5 / rate,
        memory=3_000_000, stop_reason="eos",
    )  # fmt: skip


def thing(**changes: object) -> LibraryItem:
    """A model of the library."""
    return LibraryItem(
        **{"ref": "lab/one", "kind": "model", "place": "folder", "path": "/models/one", **changes}
    )  # pyright: ignore[reportArgumentType]


# -- models side by side -------------------------------------------------------------------------


def test_a_model_that_answered_nothing_failed_and_the_rest_is_compared() -> None:
    replies = [
        Reply(prompt="hi", model="one", answer=answer("hello there")),
        Reply(prompt="hi", model="two", error="it does not fit"),
        Reply(prompt="hi", model="three", answer=answer("hello there")),
    ]
    rows = SideRows(replies)
    drawn = [[cell.text for cell in rows.row(index)] for index in range(len(rows))]
    assert [line[0] for line in drawn] == ["one", "two", "three"]
    assert drawn[1][1:] == ["–", "–", "–", "–", "failed", "–", "–"]
    assert rows.values(2)[6:] == (2.0, 100.0)
    assert drawn[0][6:] == ["–", "–"]  # it is what the others are compared with


def test_without_a_first_answer_there_is_nothing_to_agree_with() -> None:
    rows = SideRows(
        [
            Reply(prompt="hi", model="one", error="no"),
            Reply(prompt="hi", model="two", answer=answer("hello")),
        ]
    )
    assert rows.values(1)[6:] == (None, None)
    assert len(SideRows([])) == 0


def test_a_file_of_answers_holds_those_that_failed_with_why() -> None:
    rows = ReplyRows(
        [
            Reply(prompt="hi", model="one", answer=answer("hello")),
            Reply(prompt="hi", model="two", error="\x1b[31mno"),
        ]
    )
    assert rows.values(0)[2:4] == ("hello", 5)
    assert rows.values(0)[-1] == ""
    assert rows.values(1) == ("hi", "two", None, None, None, None, None, None, "\x1b[31mno")
    assert "\x1b" not in "".join(cell.text for cell in rows.row(1))


# -- the library ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"pickles": ("pytorch_model.bin",)}, "! pickle: pytorch_model.bin"),
        ({"pickles": ("a.pt",), "problem": "a part is missing"}, "✗ a part is missing"),
    ],
)
def test_what_is_to_be_looked_at_before_a_thing_is_used(
    changes: dict[str, object], words: str
) -> None:
    cells = [cell.text for cell in LibraryRows([thing(**changes)]).row(0)]
    assert words in cells
    assert any("pickle" in cell for cell in cells) == words.startswith("! pickle")


def test_revisions_beside_the_one_that_is_used_are_counted() -> None:
    (one, two) = (
        [cell.text for cell in LibraryRows([thing(revision="abcdef123", revisions=count)]).row(0)]
        for count in (1, 3)
    )
    assert "abcdef1" in one
    assert "abcdef1 +2" in two


def test_a_path_at_home_is_short_where_it_is_read_and_whole_where_it_is_exported() -> None:
    path = str(Path.home() / "runs/one/model")
    rows = LibraryRows([thing(ref=path), thing(ref="/else/where"), thing(ref="lab/one")])
    names = [rows.row(index)[0].text.strip() for index in range(3)]
    assert names == ["~/runs/one/model", "/else/where", "lab/one"]
    assert rows.values(0)[0] == path


def test_a_column_without_values_has_no_numbers() -> None:
    empty = ColumnFacts(
        name="note", kind="empty", present=0, missing=4, distinct=0, least=None, mean=None,
        most=None, common="", times=0,
    )  # fmt: skip
    full = ColumnFacts(
        name="size", kind="numbers", present=4, missing=0, distinct=2, least=1.0, mean=1.2345,
        most=2000.0, common="1", times=2,
    )  # fmt: skip
    rows = column_rows([empty, full])
    without, drawn = ([cell.text for cell in rows.row(index)] for index in range(2))
    assert without.count("–") >= 3
    assert {"1", "1.234", "2,000"} <= {*drawn} or {"1", "1.235", "2,000"} <= {*drawn}


def test_what_is_known_of_nothing_is_nothing() -> None:
    assert about(None, 80).plain == ""


def test_all_that_is_known_of_a_thing_is_said_in_two_lines() -> None:
    item = thing(
        changed=86_400.0 * 365, revision="abcdef123", licence="mit", problem="a part is missing",
        pickles=("a.bin", "b.bin", "c.bin", "d.bin"), screens=("chat",),
    )  # fmt: skip
    path, facts = about(item, 80).plain.split("\n")
    assert path == "/models/one"
    for words in ("revision abcdef1", "mit", "c.bin: pickles run code", "a part is missing",
                  "Enter opens Chat"):  # fmt: skip
        assert words in facts
    assert "d.bin" not in facts
    assert about(thing(screens=("library",)), 80).plain.endswith("\nEnter shows its rows")
    assert about(thing(), 80).plain == "/models/one\n"


def test_a_path_that_does_not_fit_keeps_both_ends() -> None:
    (path, _) = about(thing(path="/models/" + "x" * 200 + "/end"), 30).plain.split("\n")
    assert len(path) == 30
    assert (path[:8], path[-4:]) == ("/models/", "/end")


# -- predictions, numbers, exports ---------------------------------------------------------------


def test_a_row_without_a_prediction_has_a_dash_in_its_place() -> None:
    rows = batch_rows(BatchTable(("text", "score"), (("a", None), ("b", 0.5)), 0.1, 0))
    assert [cell.text for cell in rows.row(0)] == ["a", "–"]
    assert [cell.text for cell in rows.row(1)] == ["b", "0.5000"]


def test_answers_are_measured_otherwise_than_labels() -> None:
    answers = metrics_line(Metrics(rows=1_000, accuracy=0.5, f1=0.75, weighted_f1=0.0))
    assert answers == "exact match 0.5000 · F1 0.7500 · 1,000 rows"
    labels = Metrics(2, 1.0, 1.0, 1.0, labels=("a", "b"), confusion=((1, 0), (0, 1)))
    assert metrics_line(labels).startswith("accuracy 1.0000 · macro F1 1.0000 · weighted F1")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "unknown"),
        (999, "999"),
        (1_500_000, "1,500,000 (1.5 M)"),
        (2_000_000_000, "2,000,000,000 (2.0 B)"),
    ],
)
def test_a_number_of_parameters(count: int | None, said: str) -> None:
    assert parameters_text(count) == said


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,000", 1000), ("1_000_000", 1_000_000), (" 12 ", 12), ("10,00", None), ("1,000.5", None),
        ("-1", None), ("9" * 19, int("9" * 19)), ("9" * 20, None), ("", None), ("٣", 3),
    ],
)  # fmt: skip
def test_a_whole_number_that_was_typed(text: str, number: int | None) -> None:
    assert typed_whole(text) == number


def test_a_column_of_numbers_and_words_is_text_in_a_parquet_file(tmp_path: Path) -> None:
    values = [(1, 1, "a"), (2.5, "two", None), (None, None, "c")]
    columns = [GridColumn("n"), GridColumn("mixed"), GridColumn("t")]
    file = tmp_path / "out.parquet"
    write_table(Rows(columns, [()] * 3, values), file, Job())
    assert parquet.read_table(file).to_pydict() == {
        "n": [1.0, 2.5, None], "mixed": ["1", "two", None], "t": ["a", None, "c"],
    }  # fmt: skip


def test_json_keeps_what_parquet_can_not(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    write_table(Rows([GridColumn("a")], [()] * 3, [(1,), ("x",), (None,)]), file, Job())
    assert json.loads(file.read_text()) == [{"a": 1}, {"a": "x"}, {"a": None}]


def test_there_is_nothing_to_copy_where_nothing_has_the_focus() -> None:
    assert copyable_text(None) == ""


# -- the machine and its work --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpu", "said"),
    [
        (GpuSample("A", None, None, None, None), "gpu0"),
        (GpuSample("A", 55, 2_000_000_000, 8_000_000_000, 61), "gpu0 ▅ 55 % 2.0/8.0 GB 61 °C"),
        (GpuSample("A", None, 2_000_000_000, None, 40), "gpu0 40 °C"),
    ],
)
def test_of_a_gpu_what_its_driver_tells_is_said(gpu: GpuSample, said: str) -> None:
    bar = StatusBar()
    bar.show_machine(SystemSample(0.0, 1, 2, [gpu]))
    assert str(bar._machine.content).split(" · ")[-1] == said


class Tty(io.StringIO):
    """A terminal as far as it says."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_written_over_and_then_taken_away() -> None:
    out = Tty()
    printer = ProgressPrinter(out)
    printer.show(Progress("reading a long name", 1, 4, "files"))
    printer.show(Progress("done", 4, 4, "files"))
    first, second = out.getvalue().split("\r")[1:]
    assert first.startswith("reading a long name · ▰▰▰▰▱")
    assert second.startswith("done · ▰▰▰▰▰▰▰▰▰▰▰▰▰▰▰▰")
    assert len(second) == len(first)  # nothing of the longer line stays
    printer.close()
    assert out.getvalue().endswith("\r")
    assert "\n" not in out.getvalue()


def test_elsewhere_a_stage_is_a_line_said_once() -> None:
    out = io.StringIO()
    printer = ProgressPrinter(out)
    for done in range(3):
        printer.show(Progress("reading", done, 3, "files"))
    printer.show(Progress("writing"))
    printer.close()
    assert out.getvalue() == "reading\nwriting\n"


def test_a_terminal_on_which_nothing_was_said_is_left_alone() -> None:
    out = Tty()
    ProgressPrinter(out).close()
    assert out.getvalue() == ""


def test_a_wait_has_an_end_and_no_rate() -> None:
    said = describe(Progress("the hub asks to wait", 30, 60, "s"), 30.0)
    assert "/s" not in said
    assert said.endswith("0:30 left")


# -- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0.0, 9.0, 4, [1.0, 1e3, 1e6, 1e9]),
        (1.0, 2.0, 2, [10.0, 100.0]),
        (1.0, 4.0, 1, [10.0, 10_000.0]),
        (0.0, 1.0, 4, [1.0, 2.0, 5.0, 10.0]),
    ],
)
def test_a_logarithmic_axis_has_at_least_two_ticks(
    low: float, high: float, most: int, ticks: list[float]
) -> None:
    assert list(log_ticks(low, high, most).values) == pytest.approx(ticks)


@pytest.mark.parametrize("colored", [True, False])
def test_a_map_that_no_zoom_shows_whole_is_as_far_away_as_it_goes(colored: bool) -> None:
    extent = Extent(20, 5, 100_000, 100_000, 6, 6)
    assert fitting(colored, extent) == len(stages(colored)) - 1
    assert not lay_out(stages(colored)[-1], extent).whole


def test_there_is_no_token_under_a_place_beside_the_map() -> None:
    extent = Extent(40, 12, 5, 5, 6, 6)
    layout = lay_out(stages(True)[fitting(True, extent)], extent)
    view = Viewport(layout)
    assert view.at(0, layout.top) is None
    assert view.at(layout.gutter, 0) is None
    assert view.at(layout.gutter, layout.top + layout.lines) is None
    assert view.at(layout.gutter, layout.top) == (0, 0)


def test_without_room_nothing_of_a_map_is_centered() -> None:
    view = Viewport(None, top=3, left=4)
    view.center()
    assert (view.top, view.left) == (3, 4)
    assert view.at(0, 0) is None


def test_a_difference_has_two_colours_and_a_middle_where_there_are_256() -> None:
    shades = ramp("256", signed=True)
    assert shades.steps == len(shades.colors)
    assert len({color.number for color in shades.colors}) > 5
    assert shades.colors[0].number != shades.colors[-1].number
    assert ramp("256", signed=True, dark=False).colors != shades.colors
