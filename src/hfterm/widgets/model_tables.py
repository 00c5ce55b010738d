"""Models as tables: what both the Models screen and the commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hfterm.models.memory_types import MemoryReport
from hfterm.models.types import (
    SIX_HEADS,
    ClassReport,
    ConfigEntry,
    LoraEstimate,
    ModelComparison,
    ModelOverview,
    Parameter,
    ParameterTree,
)
from hfterm.sizes import size_text
from hfterm.text import displayable, elide_middle
from hfterm.widgets.data_grid import Cell, GridColumn, Rows, Tone

VERDICTS: dict[str, tuple[str, Tone]] = {
    "complete": ("✓", "accent"),
    "new head": ("+", "warning"),
    "mismatched": ("≠", "error"),
    "incomplete": ("!", "error"),
    "wrong architecture": ("✗", "error"),
    "untrained": ("○", "dim"),
    "refused": ("✗", "error"),
}
FITS: dict[str, tuple[str, Tone]] = {
    "fits": ("✓", "accent"),
    "tight": ("!", "warning"),
    "does not fit": ("✗", "error"),
}
NOTHING = Cell("–", "dim")


def parameters_text(count: int | None) -> str:
    """A number of parameters for people: exact, and in millions or billions."""
    if count is None:
        return "unknown"
    for unit, name in ((1e9, "B"), (1e6, "M")):
        if count >= unit:
            return f"{count:,} ({count / unit:.1f} {name})"
    return f"{count:,}"


def class_rows(overview: ModelOverview) -> Rows:
    """Task, Auto class, concrete class and verdict of every class; the six heads are all there."""
    columns = (
        GridColumn("verdict", most=20),
        GridColumn("task", most=26),
        GridColumn("class", most=36),
        GridColumn("Auto class", most=36),
        GridColumn("missing", right=True),
        GridColumn("unused", right=True),
    )
    order = [*overview.classes]
    cells: list[list[Cell]] = []
    values: list[list[str | int | None]] = []
    for report in order:
        glyph, tone = VERDICTS[report.verdict]
        stored = overview.source.weights != "none" and report.verdict != "refused"
        cells.append(
            [
                Cell(f"{glyph} {report.verdict}", tone),
                Cell(displayable(report.task)),
                Cell(displayable(report.concrete)),
                Cell(report.auto, "" if report.auto in SIX_HEADS else "dim"),
                _count(len(report.missing), stored),
                _count(len(report.unexpected), stored),
            ]
        )
        values.append(
            [report.verdict, report.task, report.concrete, report.auto, len(report.missing),
             len(report.unexpected)]
        )  # fmt: skip
    for auto, task in overview.absent:
        cells.append(
            [Cell("– absent", "dim"), Cell(displayable(task), "dim"),
             Cell(f"{overview.model_type} has none", "dim"), Cell(auto, "dim"), NOTHING, NOTHING]
        )  # fmt: skip
        values.append(["absent", task, None, auto, None, None])
    return Rows(columns, cells, values)


def _count(number: int, known: bool) -> Cell:
    if not known:
        return NOTHING
    return Cell(f"{number:,}", "" if number else "dim")


def report_lines(report: ClassReport) -> list[str]:
    """A class's report in words: the meaning, the way out, and the names."""
    lines = [report.meaning]
    if report.remedy:
        lines.append(report.remedy)
    for mismatch in report.mismatched:
        lines.append(
            f"≠ {mismatch.name}: {list(mismatch.checkpoint)} stored, {list(mismatch.model)} wanted"
        )
    for title, names in (("+ new", report.missing), ("– unused", report.unexpected)):
        if names:
            shown = ", ".join(names[:40])
            more = f" and {len(names) - 40:,} more" if len(names) > 40 else ""
            lines.append(f"{title}: {shown}{more}")
    return lines


def config_rows(entries: Iterable[ConfigEntry]) -> Rows:
    """Every field; a ● where it is not the default."""
    columns = (
        GridColumn("", most=1, name="differs"),
        GridColumn("field", most=40),
        GridColumn("value", most=60),
        GridColumn("default", most=40),
    )
    cells: list[list[Cell]] = []
    values: list[list[str | bool]] = []
    for entry in entries:
        tone: Tone = "accent" if entry.differs else ""
        cells.append(
            [
                Cell("●" if entry.differs else "", "accent"),
                Cell(displayable(entry.name), tone),
                Cell(displayable(entry.value)),
                Cell(displayable(entry.default) or "–", "dim"),
            ]
        )
        values.append([entry.differs, entry.name, entry.value, entry.default])
    return Rows(columns, cells, values)


def parameter_rows(parameters: Sequence[Parameter]) -> Rows:
    """One row a parameter."""
    columns = (
        GridColumn("parameter", most=64),
        GridColumn("shape", right=True),
        GridColumn("dtype"),
        GridColumn("count", right=True),
        GridColumn("trains"),
        GridColumn("state", most=50),
    )
    cells: list[list[Cell]] = []
    values: list[list[str | int | bool | None]] = []
    for found in parameters:
        state = f"tied to {found.tied_to}" if found.tied_to else found.state
        tone: Tone = "warning" if found.state in ("new", "mismatched") else "dim"
        cells.append(
            [
                Cell(elide_middle(displayable(found.name), 64)),
                Cell("×".join(str(size) for size in found.shape) or "scalar"),
                Cell(found.dtype),
                Cell(f"{found.count:,}" if not found.tied_to else "–"),
                Cell("yes" if found.trainable else "no", "dim"),
                Cell(displayable(state), tone),
            ]
        )
        values.append(
            [found.name, "×".join(map(str, found.shape)), found.dtype, found.count,
             found.trainable, state]
        )  # fmt: skip
    return Rows(columns, cells, values)


def module_of(name: str, depth: int) -> str:
    """A parameter's module, at most `depth` names deep."""
    parts = name.split(".")[:-1]
    return ".".join(parts[:depth]) or name


def module_rows(tree: ParameterTree, depth: int) -> Rows:
    """Parameters summed up by module: count, share, and a bar of the share."""
    sums: dict[str, tuple[int, int]] = {}
    for found in tree.parameters:
        module = module_of(found.name, depth)
        count, weights = sums.get(module, (0, 0))
        sums[module] = (count + found.count, weights + 1)
    total = max(1, tree.total)
    columns = (
        GridColumn("module", most=64),
        GridColumn("parameters", right=True),
        GridColumn("%", right=True),
        GridColumn("share", most=20),
        GridColumn("weights", right=True),
    )
    cells = [
        [
            Cell(displayable(module)),
            Cell(f"{count:,}"),
            Cell(f"{100 * count / total:.2f}"),
            Cell(bar(count / total, 20), "accent"),
            Cell(f"{weights:,}", "dim"),
        ]
        for module, (count, weights) in sums.items()
    ]
    values = [
        [module, count, 100 * count / total, None, weights]
        for module, (count, weights) in sums.items()
    ]
    return Rows(columns, cells, values)


def bar(share: float, width: int) -> str:
    """A share of 0 to 1 as a bar of at most `width` cells, in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")


def memory_rows(report: MemoryReport) -> Rows:
    """One row a plan: what it takes at its peak, of what, and whether it fits each device."""
    columns = (
        GridColumn("purpose", most=16),
        GridColumn("weights in", most=10),
        GridColumn("peak", right=True),
        *(GridColumn(elide_middle(displayable(d.name), 22), most=22) for d in report.devices),
        GridColumn("trains", right=True),
        GridColumn("made of, at its peak", most=90),
    )
    cells: list[list[Cell]] = []
    values: list[list[str | int]] = []
    for judged in report.plans:
        plan = judged.plan
        parts = " + ".join(f"{part.what} {size_text(part.size)}" for part in plan.parts)
        fits = [FITS[verdict.fit] for verdict in judged.verdicts]
        cells.append(
            [
                Cell(plan.purpose),
                Cell(plan.precision),
                Cell(size_text(plan.total)),
                *(
                    Cell(f"{glyph} {verdict.fit}", tone)
                    for (glyph, tone), verdict in zip(fits, judged.verdicts, strict=True)
                ),
                Cell(f"{plan.trainable:,}") if plan.trainable else NOTHING,
                Cell(parts, "dim"),
            ]
        )
        values.append(
            [plan.purpose, plan.precision, plan.total, *(v.fit for v in judged.verdicts),
             plan.trainable, parts]
        )  # fmt: skip
    return Rows(columns, cells, values)


def lora_rows(estimate: LoraEstimate) -> Rows:
    """Modules that can be adapted; ● where they are."""
    columns = (
        GridColumn("", most=1, name="adapted"),
        GridColumn("module", most=30),
        GridColumn("modules", right=True),
        GridColumn("out × in", most=30),
        GridColumn(f"added at r={estimate.rank}", right=True),
        GridColumn("% of full", right=True),
    )
    full = max(1, estimate.full)
    cells = [
        [
            Cell("●" if row.chosen else "○", "accent" if row.chosen else "dim"),
            Cell(displayable(row.module)),
            Cell(f"{row.modules:,}"),
            Cell(", ".join(f"{rows}×{columns}" for rows, columns in row.shapes), "dim"),
            Cell(f"{row.added:,}"),
            Cell(f"{100 * row.added / full:.3f}"),
        ]
        for row in estimate.rows
    ]
    values = [
        [row.chosen, row.module, row.modules, ", ".join(f"{a}×{b}" for a, b in row.shapes),
         row.added, 100 * row.added / full]
        for row in estimate.rows
    ]  # fmt: skip
    return Rows(columns, cells, values)


def rank_rows(estimate: LoraEstimate) -> Rows:
    """What a few ranks add to the chosen modules, beside the full fine-tune."""
    columns = (
        GridColumn("train", most=16),
        GridColumn("parameters", right=True),
        GridColumn("% of full", right=True),
        GridColumn("saved as", right=True),
    )
    full = max(1, estimate.full)
    cells: list[list[Cell]] = []
    values: list[list[str | int | float]] = []
    for rank, added in estimate.ranks:
        trained = added + estimate.head
        tone: Tone = "accent" if rank == estimate.rank else ""
        cells.append(
            [
                Cell(f"LoRA r={rank}", tone),
                Cell(f"{trained:,}", tone),
                Cell(f"{100 * trained / full:.3f}", tone),
                Cell(size_text(4 * trained), tone),
            ]
        )
        values.append([f"LoRA r={rank}", trained, 100 * trained / full, 4 * trained])
    cells.append(
        [
            Cell("full fine-tune"),
            Cell(f"{full:,}"),
            Cell("100"),
            Cell(size_text(estimate.full_bytes)),
        ]
    )
    values.append(["full fine-tune", full, 100.0, estimate.full_bytes])
    return Rows(columns, cells, values)


def comparison_rows(comparison: ModelComparison) -> Rows:
    """What differs, one row each."""
    columns = (
        GridColumn("kind", most=10),
        GridColumn("name", most=44),
        GridColumn(elide_middle(displayable(comparison.first), 24), most=24),
        GridColumn(elide_middle(displayable(comparison.second), 24), most=24),
        GridColumn("change", right=True),
    )
    cells = [
        [
            Cell(found.kind, "dim"),
            Cell(elide_middle(displayable(found.name), 44)),
            Cell(displayable(found.first)),
            Cell(displayable(found.second)),
            NOTHING if found.distance is None else Cell(f"{100 * found.distance:.4g} %"),
        ]
        for found in comparison.differences
    ]
    values = [
        [found.kind, found.name, found.first, found.second, found.distance]
        for found in comparison.differences
    ]
    return Rows(columns, cells, values)
