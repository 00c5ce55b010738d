"""What ``hfterm predict`` prints: texts one by one, or the rows of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from hfterm.cli_work import print_json, print_rows, run_work, tried
from hfterm.inference.options import BatchOptions, TaskOptions
from hfterm.inference.types import BatchTable, Prediction

if TYPE_CHECKING:
    from hfterm.models.types import LoadedInfo, ModelSpec


def predict_texts(
    spec: ModelSpec, texts: list[str], options: TaskOptions, context: str, *, as_json: bool
) -> None:
    """Predict texts and print what the model says of each."""
    from hfterm.engine.client import EngineClient
    from hfterm.engine.model_requests import LoadModel, PredictText
    from hfterm.text import displayable
    from hfterm.widgets.prediction_tables import detail, tables

    texts = [_standard_input() if text == "-" else text for text in texts]
    if options.task == "feature-extraction":
        texts = ["\n".join(text.replace("\n", " ") for text in texts)]
    asked = [_asked(options, text, context) for text in texts]

    async def work() -> tuple[LoadedInfo, list[Prediction]]:
        engine = EngineClient("cli", warm=False)
        try:
            info = await engine.call(LoadModel(spec=spec))
            found = [
                await engine.call(PredictText(spec=spec, text=text, options=how))
                for text, how in asked
            ]
        finally:
            await engine.close()
        return info, found

    info, found = run_work(work)
    if as_json:
        print_json(
            {
                "model": spec.ref, "task": options.task, "class": info.cls,
                "verdict": info.verdict, "results": found,
            }
        )  # fmt: skip
        return
    if info.verdict != "complete":
        typer.echo(displayable(f"{info.cls}: {info.meaning}"), err=True)
    for (text, _), prediction in zip(asked, found, strict=True):
        if len(found) > 1:
            typer.echo(displayable(text))
        for line in detail(prediction):
            typer.echo(displayable(line))
        for table in tables(prediction):
            print_rows(table)


def _asked(options: TaskOptions, text: str, context: str) -> tuple[str, TaskOptions]:
    """For question answering the text on the command line is the question."""
    if options.task != "question-answering":
        return text, options
    return context, msgspec.structs.replace(options, question=text)


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def predict_file(
    spec: ModelSpec, file: str, options: TaskOptions, batch: BatchOptions, out: Path | None, *,
    as_json: bool,
) -> None:  # fmt: skip
    """Predict every row; write them to `out`, or print them."""
    from hfterm.cli_work import ask
    from hfterm.engine.model_requests import PredictRows
    from hfterm.job import Job
    from hfterm.text import displayable
    from hfterm.widgets.batch_tables import batch_rows, confusion_rows, metrics_line
    from hfterm.widgets.exporting import check_target, write_table

    if out is not None:
        tried(lambda: check_target(out))
    table: BatchTable = ask(
        PredictRows(spec=spec, source=file, options=options, batch=batch), progress=True
    )
    rows = batch_rows(table)
    if out is not None:
        tried(lambda: write_table(rows, out, Job()))
        typer.echo(f"Wrote {len(rows):,} rows to {out}", err=True)
    if as_json:
        shown: dict[str, object] = {
            "model": spec.ref, "task": options.task, "seconds": table.seconds, "cut": table.cut,
            "metrics": table.metrics, "note": table.note,
        }  # fmt: skip
        if out is None:
            shown["rows"] = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        print_json(shown)
        return
    if out is None:
        print_rows(rows)
    if table.metrics is not None:
        typer.echo(metrics_line(table.metrics))
        if table.metrics.confusion:
            print_rows(confusion_rows(table.metrics))
    if table.note:
        typer.echo(displayable(table.note), err=True)
