"""What RESULTS.md is made of: spreads, ratios, verdicts, the page, and the list of peers."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import msgspec
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import held  # noqa: E402
import peers  # noqa: E402
import run_all  # noqa: E402
from results import (  # noqa: E402
    Machine,
    Part,
    Row,
    Spread,
    at_most,
    below,
    between,
    make_row,
    number,
    ratio_at_least,
    ratio_at_most,
    ratio_between,
    ratios,
    render,
    spread,
)

MACHINE = Machine("a processor", 2, 24.0, "Linux 6", {"Python": "3.11.7"})


def part(*rows: Row, when: str = "2026-01-02 03:04", failure: str = "", busy: float = 0.3) -> Part:
    return Part(list(rows), when, 12.0, busy, MACHINE, failure=failure)


def test_a_spread_is_of_all_rounds() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 9.0]) == Spread(1.0, 2.5, 9.0, 4)


def test_ratios_are_of_each_round_by_its_own() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_ratios_are_by_the_median_where_the_rounds_differ() -> None:
    assert ratios([2.0, 4.0, 6.0], [2.0]) == [1.0, 2.0, 3.0]


def test_there_is_no_ratio_to_nothing() -> None:
    assert ratios([1.0], []) == []
    assert ratios([1.0], [0.0]) == []


@pytest.mark.parametrize(
    ("target", "ours", "other", "verdict"),
    [
        (at_most(2, "s"), [1.0, 2.0, 1.5], [], "met"),
        (between(0.9, 1.1), [0.93], [0.84], "met"),
        (between(0.9, 1.1), [0.84], [0.84], "falls short"),
        (at_most(2, "s"), [1.0, 2.1, 1.5], [], "at the median"),
        (at_most(2, "s"), [3.0, 2.1, 1.5], [], "falls short"),
        (below(2, "s"), [2.0], [], "falls short"),
        (ratio_at_most(1.5), [3.0, 1.0], [2.0, 1.0], "met"),
        (ratio_at_most(1.5), [4.0, 1.0, 1.0], [2.0, 1.0, 1.0], "at the median"),
        (ratio_at_most(1.5, 0.5, "s"), [2.0], [1.0], "met"),
        (ratio_at_most(1.5, 0.5, "s"), [2.1], [1.0], "falls short"),
        (ratio_at_least(0.97), [96.0], [100.0], "falls short"),
        (ratio_between(0.9, 1.1), [95.0], [100.0], "met"),
        (ratio_between(0.9, 1.1), [120.0], [100.0], "falls short"),
        (ratio_at_most(1.5), [1.0], [], ""),
    ],
)
def test_a_verdict_is_of_the_median_and_of_every_round(
    target: object, ours: list[float], other: list[float], verdict: str
) -> None:
    row = make_row("t", "n", "s", ours, other=other, target=target)  # type: ignore[arg-type]
    assert row.verdict == verdict


def test_no_figure_has_no_verdict() -> None:
    assert make_row("t", "n", "s", [float("nan")], target=at_most(1, "s")).verdict == ""


def test_a_target_says_what_is_asked() -> None:
    assert at_most(2.5, "s").text == "≤ 2.5 s"
    assert at_most(1e-5, "").text == "≤ 1e-05"
    assert ratio_at_most(1.5, 0.5, "s").text == "≤ 1.5 × + 0.5 s"
    assert ratio_between(0.9, 1.1).text == "0.9 to 1.1 ×"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1"), (1234567.0, "1,234,567"), (12.345, "12.3"), (0.01234, "0.0123"),
        (0.00001234, "1.2e-05"), (-3.14159, "-3.14"), (99.96, "100"), (float("inf"), "–"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_one_round_is_one_number() -> None:
    assert spread(Spread.of([2.0]), "s") == "2 s"
    assert spread(Spread.of([1.5, 2.0, 4.0]), "s") == "1.50 – 2 – 4 s"
    assert spread(None, "s") == ""


def test_a_peer_beats_only_where_it_is_better_in_every_round() -> None:
    def row(ours: list[float], other: list[float], *, more: bool = False) -> Row:
        return make_row("t", "n", "s", ours, against="peer", other=other, peer=True, more=more)

    assert row([2.0, 3.0], [1.0, 1.0]).beaten
    assert not row([2.0, 3.0], [1.0, 4.0]).beaten
    assert row([2.0, 3.0], [4.0, 4.0], more=True).beaten
    assert not row([2.0, 3.0], [4.0, 4.0]).beaten
    assert not make_row("t", "n", "s", 2.0, against="the library", other=1.0).beaten


def test_the_page_tells_what_falls_short_before_all_else() -> None:
    rows = (
        make_row("Start-up", "first frame", "s", [2.0, 2.0], other=[1.0, 1.0], against="bare",
                 target=ratio_at_most(1.5)),
        make_row("Start-up", "table", "s", [1.0], target=at_most(1.2, "s")),
        make_row("Charts", "memory", "MB", [9.0], against="other", other=[3.0], peer=True),
        Row("Charts", "third", against="third", peer=True, note="not run: no wheel"),
    )  # fmt: skip
    page = render({"startup": part(*rows)})
    head = page[: page.index("## Start-up")]
    assert (
        "Of 2 figures with a budget 1 meet it in every round, 0 at the median only, 1 fall" in head
    )
    assert "Start-up: first frame: 2 – 2 – 2 s, 2 – 2 – 2 × bare; asked ≤ 1.5 ×" in head
    assert "Charts: memory: 9 MB, other 3 MB (3 ×)" in head
    assert "Charts: third: not run: no wheel" in head
    line = "| first frame | 2 – 2 – 2 s | bare: 1 – 1 – 1 s | 2 – 2 – 2 × | ≤ 1.5 × |"
    assert f"{line} **falls short** |" in page
    assert page.index("## Start-up") < page.index("## Charts")


@pytest.mark.parametrize("one", held.HELD, ids=lambda one: one.test)
def test_what_a_test_holds_is_a_test_that_is_there(one: held.Held) -> None:
    file, _, name = one.test.partition("::")
    tests = ast.walk(ast.parse((BENCHMARKS.parent / file).read_text("utf-8")))
    assert name in {node.name for node in tests
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}  # fmt: skip
    assert f"`{one.test}` |" in render({"train": part()})


def test_the_page_tells_of_a_script_that_failed() -> None:
    page = render({"train": part(failure="OSError: no | space")})
    assert "## train" in page
    assert "**It did not come to its end:** OSError: no \\| space" in page


def test_the_page_tells_of_another_machine_and_of_few_rounds() -> None:
    other = msgspec.structs.replace(MACHINE, cpu="an older one")
    first = msgspec.structs.replace(
        part(make_row("One", "n", "s", 1.0), when="2026-01-01 00:00"), machine=other, quick=True
    )
    page = render({"one": first, "two": part(make_row("Two", "n", "s", 1.0))})
    assert "Machine: a processor, 2 cores" in page
    assert "on another machine or versions: an older one" in page
    assert page.count("too few rounds") == 1


def test_the_page_tells_when_others_were_at_work() -> None:
    row = make_row("One", "n", "s", 1.0)
    assert "others were at work" in render({"one": part(row, busy=50)})
    assert "others were at work" not in render({"one": part(row, busy=5)})


def test_text_of_others_stays_in_its_cell() -> None:
    row = Row("t", "peer", against="peer", note="not run: a|b\nand more")
    assert "| peer | not run: a\\|b and more | peer |  |  |  |" in render({"one": part(row)})


def test_parts_replace_their_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_all, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(run_all, "PAGE", tmp_path / "RESULTS.md")
    assert run_all.read() == {}
    run_all.write({"chat": part(make_row("C", "n", "s", 1.0)), "startup": part()})
    run_all.write(run_all.read() | {"chat": part(make_row("C", "n", "s", 5.0))})
    kept = run_all.read()
    assert list(kept) == ["startup", "chat"]
    assert kept["chat"].rows[0].ours == Spread.of([5.0])
    assert "| n | 5 s |" in (tmp_path / "RESULTS.md").read_text("utf-8")


def test_results_that_are_damaged_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_all, "RESULTS", tmp_path / "results.json")
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(SystemExit, match="delete it"):
        run_all.read()


def test_scripts_are_chosen_by_name() -> None:
    assert run_all.chosen_scripts("") == list(run_all.SCRIPTS)
    assert run_all.chosen_scripts("encode.py, startup") == ["startup", "encode"]
    with pytest.raises(SystemExit, match=r"'nothing'.*startup"):
        run_all.chosen_scripts("startup,nothing")


def test_every_script_is_there() -> None:
    assert [name for name in run_all.SCRIPTS if not (BENCHMARKS / f"{name}.py").is_file()] == []


def test_a_script_that_fails_leaves_the_rows_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_row("Topic", "n", "s", 1.0)
    (tmp_path / "broken.py").write_text(
        "import sys\n"
        "from pathlib import Path\n"
        f"Path(sys.argv[2]).write_bytes({msgspec.json.encode([row])!r})\n"
        "raise ValueError('no such thing')\n"
    )
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    monkeypatch.setitem(run_all.SCRIPTS, "broken", run_all.Script())
    found = run_all.run("broken", quick=True)
    assert found.rows == [row]
    assert found.failure == "ValueError: no such thing"
    assert found.quick


def test_a_script_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless.py").write_text("import signal\nsignal.pause()\n")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    monkeypatch.setitem(run_all.SCRIPTS, "endless", run_all.Script(most=1))
    assert run_all.run("endless", quick=False).failure == "it was ended after 1 s"


def test_peers_are_pinned() -> None:
    for peer in peers.listed().values():
        assert all("==" in requirement for requirement in peer.requirements), peer.name


def test_a_line_that_is_no_peer_is_told() -> None:
    assert peers.listed("# a\none +: a==1 b==2  # c\n\ntwo: c==3") == {
        "one": peers.Peer("one", True, ("a==1", "b==2")),
        "two": peers.Peer("two", False, ("c==3",)),
    }
    with pytest.raises(ValueError, match=r"line 2: not NAME: REQUIREMENTS: 'what'"):
        peers.listed("one: a==1\nwhat")


def test_a_peer_that_is_not_there_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    with pytest.raises(peers.Missing, match=r"not installed: python benchmarks/peers\.py wandb"):
        peers.python("wandb")
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / peers.WHY_NOT).write_text("could not be installed: no wheel\n")
    with pytest.raises(peers.Missing, match="no wheel"):
        peers.program("wandb", "wandb")
