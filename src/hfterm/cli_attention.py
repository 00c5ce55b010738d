"""``hfterm attention``: every head's metrics, the weights of one, or a file of either."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from hfterm.attention.types import (
    AttentionMap,
    AttentionSummary,
    CaptureOptions,
    Looked,
    Metric,
    Side,
    Which,
)
from hfterm.cli_work import AsJson, code_allowed, failed, print_json, print_rows, run_work
from hfterm.errors import HftermError
from hfterm.models.types import ModelSpec


def attention(
    model: Annotated[str, typer.Argument(help="Starter name, path, hub id or config.")],
    text: Annotated[str, typer.Argument(help="The text; - reads it from standard input.")],
    layer: Annotated[int | None, typer.Option(min=0, help="One layer; else their mean.")] = None,
    head: Annotated[int | None, typer.Option(min=0, help="One head; else their mean.")] = None,
    rollout: Annotated[
        bool, typer.Option("--rollout", help="Layers multiplied, to --layer.")
    ] = False,
    side: Annotated[Side | None, typer.Option(help="Of an encoder–decoder.")] = None,
    metric: Annotated[
        Metric | None, typer.Option(help="--out .png .svg: its matrix, not the grid.")
    ] = None,
    target: Annotated[str, typer.Option(help="The decoder's text; else the text itself.")] = "",
    no_special: Annotated[
        bool, typer.Option("--no-special", help="Add no special tokens.")
    ] = False,
    long: Annotated[
        Literal["ask", "truncate", "window"],
        typer.Option(help="What to do with a text that does not fit."),
    ] = "ask",
    window: Annotated[int, typer.Option(min=1, help="Which window, with --long window.")] = 1,
    random: Annotated[bool, typer.Option("--random", help="Random weights.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 …")] = "auto",
    tokenizer: Annotated[str, typer.Option(help="Another model's tokenizer.")] = "",
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Also open .bin weights, which may run code.")
    ] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Ask whether the repository's Python may run.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write .png .svg .npz .csv")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a model on a text and print what its heads look at."""
    from hfterm.engine.model_requests import DescribeModel

    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    spec = ModelSpec(
        ref=model, auto="", random=random, device=device, tokenizer=tokenizer,
        allow_pickle=allow_pickle,
    )  # fmt: skip
    if allow_code and code_allowed(DescribeModel(spec=spec)):
        spec = msgspec.structs.replace(spec, allow_code=True)
    options = CaptureOptions(target=target, special=not no_special, long=long, window=window - 1)
    looked = Looked(spec=spec, text=text, options=options)
    one = layer is not None or head is not None or rollout
    chosen = (layer, head, rollout) if one else None
    if out is not None:
        from hfterm.attention.tables import check_target

        try:
            check_target(out)
        except HftermError as error:
            raise failed(error) from None
        out = out.absolute()  # the engine may be in another folder
    summary, found, written = _look(looked, side, chosen, out, metric)
    shown = _side(summary, side)
    if written:
        typer.echo(written, err=True)
    if as_json:
        print_json(_for_programs(model, summary, shown, found))
    elif out is None:
        _print(summary, shown, found)


def _side(summary: AttentionSummary, side: Side | None) -> Side:
    """The side asked for, else the first one that the model has."""
    return side or summary.axes[0].side


def _look(
    looked: Looked, side: Side | None, chosen: tuple[int | None, int | None, bool] | None,
    out: Path | None, metric: Metric | None,
) -> tuple[AttentionSummary, AttentionMap | None, str]:  # fmt: skip
    from hfterm.engine import attention_requests as requests
    from hfterm.engine.client import EngineClient
    from hfterm.progress_text import ProgressPrinter

    printer = ProgressPrinter(sys.stderr)

    async def work() -> tuple[AttentionSummary, AttentionMap | None, str]:
        engine = EngineClient("cli", warm=False)
        try:
            summary = await engine.call(requests.CaptureAttention(looked=looked), printer.show)
            of, which, found, written = _side(summary, side), None, None, ""
            if chosen is not None:
                layer, head, rollout = chosen
                which = Which(side=of, layer=layer, head=head, rollout=rollout)
            if out is not None:
                written = await engine.call(
                    requests.WriteAttention(
                        looked=looked, side=of, which=which, out=str(out),
                        metric=metric,
                    ),
                    printer.show,
                )  # fmt: skip
            elif which is not None:
                found = await engine.call(
                    requests.GetAttentionMap(looked=looked, which=which, exact=True), printer.show
                )
            elif of not in {axis.side for axis in summary.axes}:
                # whoever asks for a map of it is told which sides there are
                await engine.call(requests.GetAttentionMap(looked=looked, which=Which(side=of)))
            return summary, found, written
        finally:
            await engine.close()

    try:
        return run_work(work)
    finally:
        printer.close()


def _for_programs(
    model: str, summary: AttentionSummary, side: Side, found: AttentionMap | None
) -> dict[str, object]:
    axis = summary.axis(side)
    told: dict[str, object] = {
        "model": model, "class": summary.cls, "side": side,
        "tokens": [token.token for token in summary.queries(side)],
        "keys": [token.token for token in summary.keys(side)],
        "layers": axis.layers, "heads": axis.heads, "kv_heads": axis.kv_heads,
        "causal": axis.causal, "note": summary.note,
    }  # fmt: skip
    if found is not None:
        which = found.which
        told |= {"layer": which.layer, "head": which.head, "rollout": which.rollout}
        told["weights"] = found.weights.numpy().tolist()
        return told
    told["metrics"] = {
        name: [
            [None if math.isnan(value) else value for value in row]
            for row in array.numpy().tolist()
        ]
        for name, array in summary.metrics[side].items()
    }
    return told


def _print(summary: AttentionSummary, side: Side, found: AttentionMap | None) -> None:
    from hfterm.text import displayable
    from hfterm.widgets.attention_tables import map_rows, metric_rows

    axis, queries, keys = summary.axis(side), summary.queries(side), summary.keys(side)
    of = "" if side == "self" else f"{side} attention, "
    parts = [
        f"{summary.cls}: {of}{axis.layers} layers × {axis.heads} heads",
        f"{len(queries):,}{f' × {len(keys):,}' if side == 'cross' else ''} tokens",
        *(["causal"] if axis.causal else []),
        *([f"{axis.kv_heads} heads of keys"] if axis.kv_heads != axis.heads else []),
    ]  # fmt: skip
    typer.echo(displayable(" · ".join(parts)))
    if summary.note:
        typer.echo(displayable(summary.note))
    if found is None:
        print_rows(metric_rows(summary, side))
    else:
        typer.echo(found.which.name)
        print_rows(map_rows(found, queries, keys))


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(attention)
