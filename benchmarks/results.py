"""What the benchmarks found: rows of figures, kept in results.json and drawn as RESULTS.md.

A row is a figure of hfterm, often one of something else that did the same work in the same run,
their ratio round by round, what is asked of it, and whether that is met. Nothing here measures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

import msgspec

import held

Verdict = Literal["", "met", "at the median", "falls short"]
"""Whether each round is as asked, the median only, or not even that; nothing where none is."""

SIGN: Mapping[Verdict, str] = {
    "": "", "met": "met", "at the median": "met at the median, not in every round",
    "falls short": "**falls short**",
}  # fmt: skip


class Spread(msgspec.Struct, frozen=True):
    """The smallest, the median and the largest of some rounds."""

    low: float
    middle: float
    high: float
    rounds: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(min(values), statistics.median(values), max(values), len(values))


class Target(msgspec.Struct, frozen=True):
    """What is asked: of the figure, or of its ratio to what stands beside it.

    Attributes:
        text: the words for it.
        of: what is looked at.
        low: the least it may be.
        high: the most it may be.
        plus: what the figure may have more than the ratio, in its own unit.
        strict: whether the limits themselves are too much.
    """

    text: str
    of: Literal["figure", "ratio"] = "figure"
    low: float = -math.inf
    high: float = math.inf
    plus: float = 0.0
    strict: bool = False

    def holds(self, value: float) -> bool:
        """Whether a figure or a ratio is as asked."""
        if self.strict:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def verdict(self, ours: Sequence[float], other: Sequence[float]) -> Verdict:
        """Judge the rounds; nothing when there is nothing to compare with."""
        values = [one - self.plus for one in ours]
        if self.of == "ratio":
            values = ratios(values, other)
        if not values or any(math.isnan(value) for value in values):
            return ""
        if not self.holds(statistics.median(values)):
            return "falls short"
        return "met" if all(self.holds(value) for value in values) else "at the median"


def at_most(most: float, unit: str) -> Target:
    """The figure may be so much."""
    return Target(f"≤ {most:,g} {unit}".rstrip(), high=most)


def below(most: float, unit: str) -> Target:
    """The figure must be less than this."""
    return Target(f"< {most:,g} {unit}".rstrip(), high=most, strict=True)


def between(low: float, high: float) -> Target:
    """The figure must be one of these."""
    return Target(f"{low:g} to {high:g}", low=low, high=high)


def ratio_at_most(most: float, plus: float = 0.0, unit: str = "") -> Target:
    """The figure may be so many times the other, and `plus` more."""
    more = f" + {plus:g} {unit}" if plus else ""
    return Target(f"≤ {most:g} ×{more}", of="ratio", high=most, plus=plus)


def ratio_at_least(least: float) -> Target:
    """The figure must be so many times the other."""
    return Target(f"≥ {least:g} ×", of="ratio", low=least)


def ratio_between(least: float, most: float) -> Target:
    """The ratio must be between the two."""
    return Target(f"{least:g} to {most:g} ×", of="ratio", low=least, high=most)


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the results.

    Attributes:
        topic: the heading that it stands under.
        name: what is measured.
        unit: of both figures; empty for counts.
        ours: hfterm's figure.
        against: what the other figure is one of.
        other: the figure of what did the same work in the same run.
        ratio: ours ÷ other, round by round.
        target: what is asked, in words.
        verdict: whether that is met.
        peer: the other one is a program that people could use instead.
        more: a larger figure is the better one.
        note: what else is to be known; why something was not run.
    """

    topic: str
    name: str
    unit: str = ""
    ours: Spread | None = None
    against: str = ""
    other: Spread | None = None
    ratio: Spread | None = None
    target: str = ""
    verdict: Verdict = ""
    peer: bool = False
    more: bool = False
    note: str = ""

    @property
    def beaten(self) -> bool:
        """Whether a peer is better at it, by more than the figures differ among themselves."""
        if not self.peer or self.ratio is None:
            return False
        return self.ratio.high < 1 if self.more else self.ratio.low > 1


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    cpu: str
    cores: int
    gigabytes: float
    system: str
    versions: dict[str, str]


class Part(msgspec.Struct, frozen=True):
    """What one script found.

    Attributes:
        when: the day and time it began.
        seconds: how long it took.
        busy: percent of the processors that others took just before.
        quick: fewer rounds than it should have.
        failure: why it did not come to its end.
    """

    rows: list[Row]
    when: str
    seconds: float
    busy: float
    machine: Machine
    quick: bool = False
    failure: str = ""


BUSY = 15.0
"""Percent of the processors from which on somebody else was at work."""

Results = dict[str, Part]
"""The parts by the names of their scripts."""


def ratios(ours: Sequence[float], other: Sequence[float]) -> list[float]:
    """Ours by the other, each by its own round, or each by the median where rounds differ."""
    if not other or not all(other):
        return []
    if len(ours) == len(other):
        return [one / two for one, two in zip(ours, other, strict=True)]
    middle = statistics.median(other)
    return [one / middle for one in ours]


def make_row(
    topic: str,
    name: str,
    unit: str,
    ours: float | Sequence[float],
    *,
    against: str = "",
    other: float | Sequence[float] = (),
    target: Target | None = None,
    peer: bool = False,
    more: bool = False,
    note: str = "",
) -> Row:
    """A row of the rounds of both sides."""
    mine = [ours] if isinstance(ours, int | float) else list(ours)
    theirs = [other] if isinstance(other, int | float) else list(other)
    found = ratios(mine, theirs)
    return Row(
        topic=topic, name=name, unit=unit, ours=Spread.of(mine) if mine else None,
        against=against, other=Spread.of(theirs) if theirs else None,
        ratio=Spread.of(found) if found else None,
        target=target.text if target else "",
        verdict=target.verdict(mine, theirs) if target else "",
        peer=peer, more=more, note=note,
    )  # fmt: skip


# -- drawing -----------------------------------------------------------------------------------


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size < 100:
        value = float(f"{value:.3g}")
        size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size < 0.001:
        return f"{value:.1e}"
    digits = 2 - math.floor(math.log10(size))
    return f"{value:,.{digits}f}"


def spread(value: Spread | None, unit: str = "") -> str:
    """Smallest – median – largest, or one number where there is one."""
    if value is None:
        return ""
    low, middle, high = number(value.low), number(value.middle), number(value.high)
    text = middle if value.rounds == 1 else f"{low} – {middle} – {high}"
    return f"{text} {unit}".rstrip()


def escaped(text: str) -> str:
    """A text that stays in its cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())


def render(results: Results) -> str:
    """RESULTS.md."""
    if not results:
        return "# Results\n\nNothing was measured yet: `make bench`.\n"
    newest = max(results.values(), key=lambda part: part.when)
    rows = [row for part in results.values() for row in part.rows]
    lines = [
        "# Results",
        "",
        "Written by `make bench` ([README.md](README.md) tells how); not by hand.",
        "",
        *_facts(newest.machine),
        "",
        "A figure is *smallest – median – largest* of its rounds. A ratio is hfterm's figure by"
        " the other's, round by round, both from the same run. “asked” is the budget that the"
        " work was given; a verdict is about the median, and says when not every round is so.",
        "",
        *_summary(rows, results),
    ]
    for script, part in results.items():
        topics: dict[str, list[Row]] = {}
        for row in part.rows:
            topics.setdefault(row.topic, []).append(row)
        about = f"`{script}.py`, {part.when}, {part.seconds:,.0f} s"
        about += f", processors {part.busy:.0f} % busy before"
        if part.busy > BUSY:
            about += "; **others were at work: the figures say little**"
        if part.quick:
            about += "; **quick: too few rounds to say much**"
        if part.machine != newest.machine:
            about += f"; on another machine or versions: {_short(part.machine)}"
        for topic, of_topic in topics.items():
            lines += ["", f"## {topic}", "", about, "", *_table(of_topic)]
        if part.failure:
            if not topics:
                lines += ["", f"## {script}", "", about]
            lines += ["", f"**It did not come to its end:** {escaped(part.failure)}"]
    return "\n".join([*lines, *held.section()]) + "\n"


def _facts(machine: Machine) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return [
        f"Machine: {machine.cpu}, {machine.cores} cores, {machine.gigabytes:.1f} GB of memory, "
        f"{machine.system}.",
        f"Versions: {versions}.",
    ]


def _short(machine: Machine) -> str:
    return f"{machine.cpu}, {machine.cores} cores, Python {machine.versions.get('Python', '?')}"


def _summary(rows: Sequence[Row], results: Results) -> list[str]:
    judged = [row for row in rows if row.verdict]
    count = {verdict: sum(row.verdict == verdict for row in judged) for verdict in SIGN}
    lines = [
        f"Of {len(judged)} figures with a budget {count['met']} meet it in every round, "
        f"{count['at the median']} at the median only, {count['falls short']} fall short.",
    ]
    bad: Iterable[tuple[str, list[str]]] = (
        ("Falls short", [_line(row) for row in judged if row.verdict == "falls short"]),
        ("Met at the median only", [_line(row) for row in judged if row.verdict[:2] == "at"]),
        ("A peer is better", [_beaten(row) for row in rows if row.beaten]),
        (
            "Not measured",
            [
                *(
                    f"{row.topic}: {row.against or row.name}: {row.note}"
                    for row in rows
                    if row.ours is None
                ),
                *(
                    f"`{script}.py`: {escaped(part.failure)}"
                    for script, part in results.items()
                    if part.failure
                ),
            ],
        ),
    )
    for title, found in bad:
        if found:
            lines += ["", f"**{title}**", "", *(f"- {line}" for line in found)]
    return lines


def _line(row: Row) -> str:
    figure = spread(row.ours, row.unit)
    ratio = f", {spread(row.ratio)} × {row.against}" if row.ratio else ""
    return f"{row.topic}: {row.name}: {figure}{ratio}; asked {row.target}"


def _beaten(row: Row) -> str:
    return (
        f"{row.topic}: {row.name}: {spread(row.ours, row.unit)}, "
        f"{row.against} {spread(row.other, row.unit)} ({spread(row.ratio)} ×)"
    )


def _table(rows: Sequence[Row]) -> list[str]:
    lines = ["| what | hfterm | beside | ratio | asked | verdict |", "|---|---|---|---|---|---|"]
    notes: list[str] = []
    for row in rows:
        name = row.name
        if row.note and row.ours is not None:
            notes.append(row.note)
            name += f" ({len(notes)})"
        beside = row.against
        if row.other is not None:
            beside += f": {spread(row.other, row.unit)}"
        cells = (
            name,
            spread(row.ours, row.unit) if row.ours is not None else row.note,
            beside, f"{spread(row.ratio)} ×" if row.ratio else "", row.target, SIGN[row.verdict],
        )  # fmt: skip
        lines.append("| " + " | ".join(escaped(cell) for cell in cells) + " |")
    if notes:
        told = (f"({place}) {escaped(note)}" for place, note in enumerate(notes, 1))
        lines += ["", " · ".join(told)]
    return lines
