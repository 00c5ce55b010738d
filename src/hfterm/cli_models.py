"""The commands about models: classes, memory, predict."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hfterm.cli_work import AsJson, ask, code_allowed, print_json, print_rows
from hfterm.inference.options import AUTO_OF, BatchOptions, TaskOptions
from hfterm.models.types import ModelSpec

TaskName = StrEnum("TaskName", {task.upper().replace("-", "_"): task for task in AUTO_OF})
"""The tasks of ``predict``."""


class Dtype(StrEnum):
    """What weights are loaded in."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Quantization(StrEnum):
    """How weights are quantized while loading."""

    NONE = "none"
    INT8 = "int8"
    NF4 = "nf4"
    FP4 = "fp4"


class LongText(StrEnum):
    """What is done with a text that does not fit."""

    ASK = "ask"
    TRUNCATE = "truncate"
    WINDOW = "window"


class PoolingName(StrEnum):
    """How hidden states become one vector."""

    MEAN = "mean"
    CLS = "cls"
    MAX = "max"
    LAST = "last"


Model = Annotated[str, typer.Argument(help="Starter name, path, hub id, architecture or config.")]
Pickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Also open .bin weights, which may run code.")
]
Code = Annotated[
    bool, typer.Option("--allow-code", help="Ask whether the repository's Python may run.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(classes)
    app.command()(memory)
    app.command()(predict)


def classes(
    model: Model,
    labels: Annotated[int | None, typer.Option(min=1, help="Labels of a head.")] = None,
    allow_pickle: Pickle = False,
    allow_code: Code = False,
    as_json: AsJson = False,
) -> None:
    """Say which Auto and concrete classes a model can be, and what each would leave untrained."""
    from hfterm.engine.model_requests import DescribeModel
    from hfterm.text import displayable
    from hfterm.widgets.model_tables import class_rows, parameters_text

    spec = ModelSpec(ref=model, num_labels=labels, allow_pickle=allow_pickle)
    if allow_code and code_allowed(DescribeModel(spec=spec)):
        spec = msgspec.structs.replace(spec, allow_code=True)
    found = ask(DescribeModel(spec=spec))
    if as_json:
        names = ("task", "auto", "concrete", "missing", "unexpected", "mismatched", "verdict")
        print_json(
            {
                "model_type": found.model_type,
                "family": found.family,
                "parameters": found.parameters,
                "classes": [
                    {name: getattr(report, name) for name in names} for report in found.classes
                ],
                "absent": [auto for auto, _ in found.absent],
                "notes": found.notes,
            }
        )
        return
    typer.echo(
        f"{displayable(model)}: {found.model_type}, {found.family}, "
        f"{parameters_text(found.parameters)} parameters in {found.main}"
    )
    print_rows(class_rows(found))
    for report in found.classes:
        if report.verdict not in ("complete", "untrained"):
            typer.echo(f"{report.auto}: {displayable(report.meaning)} {displayable(report.remedy)}")
    for note in found.notes:
        typer.echo(displayable(note))


def memory(
    model: Model,
    context: Annotated[int, typer.Option(min=0, help="Tokens a sequence; 0 chooses.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Sequences at once.")] = 1,
    auto: Annotated[str, typer.Option("--class", help="Auto or concrete class.")] = "",
    rank: Annotated[int, typer.Option(min=1, help="Rank of LoRA.")] = 8,
    targets: Annotated[str, typer.Option(help="LoRA modules, or all-linear.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what a model costs for inference and training, and whether it fits this machine."""
    from hfterm.engine.model_requests import EstimateMemory
    from hfterm.text import displayable
    from hfterm.widgets.model_tables import memory_rows, parameters_text, size_text

    found = ask(
        EstimateMemory(
            spec=ModelSpec(ref=model, auto=auto), context=context, batch=batch, rank=rank,
            targets=tuple(targets.replace(",", " ").split()),
        )
    )  # fmt: skip
    if as_json:
        print_json(found)
        return
    sizes = " · ".join(f"{name} {size_text(size)}" for name, size in found.weights.items())
    typer.echo(f"{displayable(model)}: {found.cls}, {parameters_text(found.parameters)} parameters")
    typer.echo(f"weights: {sizes}")
    cache = f" · KV cache {size_text(found.kv_cache)} in bfloat16" if found.kv_cache else ""
    typer.echo(f"context {found.context:,} · batch {found.batch:,}{cache}")
    print_rows(memory_rows(found))
    for judged in found.plans:
        for verdict in judged.verdicts:
            if verdict.fit != "fits":
                typer.echo(
                    f"{judged.plan.purpose} {judged.plan.precision} on {verdict.device}: "
                    f"{verdict.fit}, {verdict.why}"
                )


def predict(
    model: Model,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; - reads one from stdin.")
    ] = None,
    task: Annotated[TaskName, typer.Option(help="What is asked.")] = TaskName.TEXT_CLASSIFICATION,  # pyright: ignore
    context: Annotated[str, typer.Option(help="question-answering: where the answer is.")] = "",
    pair: Annotated[str | None, typer.Option(help="text-classification: a second text.")] = None,
    label: Annotated[int | None, typer.Option(help="Also the loss for this label's id.")] = None,
    candidates: Annotated[
        str, typer.Option("--labels", help="zero-shot: labels, separated by commas.")
    ] = "",
    choice: Annotated[list[str] | None, typer.Option(help="multiple-choice: an option.")] = None,
    template: Annotated[str, typer.Option(help="zero-shot: the hypothesis; {} is the label.")] = "",
    pooling: Annotated[PoolingName, typer.Option(help="feature-extraction.")] = PoolingName.MEAN,
    top: Annotated[int, typer.Option(min=1, help="Candidates or answers.")] = 5,
    new_tokens: Annotated[int, typer.Option(min=1, help="Tokens to generate.")] = 40,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0, max=1, help="Of sampling.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of a new head and of sampling.")] = 0,
    chat: Annotated[bool, typer.Option("--chat", help="Use the chat template.")] = False,
    long: Annotated[
        LongText, typer.Option(help="What to do with a text that does not fit.")
    ] = LongText.ASK,
    num_labels: Annotated[int | None, typer.Option(min=1, help="Labels of a new head.")] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of the weights.")] = Dtype.AUTO,
    quantization: Annotated[Quantization, typer.Option(help="Of the weights.")] = Quantization.NONE,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 …")] = "auto",
    tokenizer: Annotated[str, typer.Option(help="Another model's tokenizer.")] = "",
    random: Annotated[bool, typer.Option("--random", help="Random weights.")] = False,
    file: Annotated[str, typer.Option(help="Predict every row of a data set or file.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the rows: .csv .jsonl .parquet")] = None,
    column: Annotated[str, typer.Option(help="Column of the text.")] = "",
    label_column: Annotated[str, typer.Option(help="Column of the true label.")] = "",
    batch: Annotated[int, typer.Option(min=1, help="Rows at once.")] = 32,
    rows: Annotated[int | None, typer.Option(min=1, help="Rows at most.")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Take the rows at random.")] = False,
    allow_pickle: Pickle = False,
    allow_code: Code = False,
    as_json: AsJson = False,
) -> None:
    """Run a task's head on texts or on a file, and print what it says."""
    from hfterm.cli_predict import predict_file, predict_texts
    from hfterm.engine.model_requests import DescribeModel

    if bool(texts) == bool(file):
        what = "texts or a --file, not both" if file else "texts, or a --file with rows"
        raise typer.BadParameter(f"Name {what}.")
    name = task.value
    spec = msgspec.convert(
        {
            "ref": model, "auto": AUTO_OF[name], "dtype": dtype.value, "device": device,
            "quantization": quantization.value, "random": random, "num_labels": num_labels,
            "seed": seed, "allow_pickle": allow_pickle,
            "tokenizer": tokenizer,
        },
        ModelSpec,
    )  # fmt: skip
    if allow_code and code_allowed(DescribeModel(spec=spec)):
        spec = msgspec.structs.replace(spec, allow_code=True)
    split = choice if name == "multiple-choice" else candidates.split(",")
    options = msgspec.convert(
        {
            "task": name, "pair": pair, "label": label, "backward": label is not None,
            "labels": [part.strip() for part in split or () if part.strip()],
            "pooling": pooling.value, "top": top, "new_tokens": new_tokens,
            "temperature": temperature, "top_p": top_p, "seed": seed, "chat": chat,
            "long": long.value, **({"template": template} if template else {}),
        },
        TaskOptions,
    )  # fmt: skip
    if file:
        asked = BatchOptions(
            column=column, label_column=label_column, size=batch, most=rows, shuffled=shuffle
        )
        predict_file(spec, file, options, asked, out, as_json=as_json)
    else:
        predict_texts(spec, list(texts or ()), options, context, as_json=as_json)
