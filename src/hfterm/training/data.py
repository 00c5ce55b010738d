"""The rows that a run learns from: opened by `datasets`, with errors for people.

Imports datasets inside functions; no torch.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.training.data_files import BUILDERS, local_files, script_error
from hfterm.training.recipe import DataPart, Recipe
from hfterm.training.rows import roles_of

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS = {
    "csv": "has a line that names the columns, then one row a line, in UTF-8; what holds commas, "
    "quotes or line ends stands in double quotes",
    "json": "has one JSON object a line, in UTF-8, with the same kind of value in each",
    "parquet": "is what pandas, polars or datasets write as Parquet",
    "text": "has one text a line, in UTF-8",
}
"""What each kind of file is like."""


def load_split(
    data: DataPart, split: str, job: Job | None = None, *, seed: int | None = None
) -> Dataset:
    """The rows of a split, or of a slice of one.

    Args:
        data: what and where.
        split: as `datasets` has it: ``train``, ``train[:10%]``, ``train[:10]+train[-5:]``.
        job: says what is being done.
        seed: shuffle the whole split by it before it is sliced; None for the order of the files.

    Raises:
        HftermError: not found, no such split, not what its name says, or the hub can't be reached.
    """
    job = job or Job()
    files = local_files(data.ref)
    job.progress(f"reading {data.ref}")
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    whole = split if seed is None else split.partition("[")[0].strip()
    with explained(data.ref, split):
        if files:
            kind = _kind(data.ref, files)
            tabs = all(file.lower().endswith(".tsv") for file in files)
            more: dict[str, Any] = {"sep": "\t"} if tabs else {}
            loaded = load_dataset(kind, data_files={"train": files}, split=whole, **more)
        else:
            loaded = load_dataset(data.ref, data.subset or None, split=whole)
        rows = cast("Dataset", loaded)
        if seed is not None:
            rows = sliced(rows.shuffle(seed=seed), whole, split)
    if not len(rows):
        raise empty_split(data.ref, split)
    return rows


def _kind(ref: str, files: Sequence[str]) -> str:
    """The builder for some files, none of which may be empty."""
    kinds = sorted({BUILDERS.get(Path(file).suffix.lower(), "text") for file in files})
    if len(kinds) > 1:
        raise HftermError(
            "mixed-files",
            f"{ref} names files of several kinds ({', '.join(kinds)}).",
            "Name files of one kind.",
        )
    for file in files:
        if not Path(file).stat().st_size:
            raise HftermError(
                "empty-file", f"{file} is empty: it has 0 bytes.", f"It {FORMATS[kinds[0]]}."
            )
    return kinds[0]


def empty_split(ref: str, split: str) -> HftermError:
    """The error for a split, or a slice of one, without rows."""
    return HftermError(
        "empty-split",
        f"The split {split!r} of {ref} has no rows.",
        "Take a larger slice, or check that the file has rows.",
    )


def sliced(rows: Dataset, name: str, split: str) -> Dataset:
    """The slices that `split` takes of the rows of the split `name`, as `datasets` rounds them."""
    from datasets import ReadInstruction

    parts = ReadInstruction.from_spec(split).to_absolute({name: len(rows)})
    return rows.select([i for part in parts for i in range(part.from_, part.to)])  # pyright: ignore[reportArgumentType]


@contextmanager
def explained(ref: str, split: str) -> Generator[None]:
    """Turn what `datasets` raises into errors for people."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HftermError:
        raise
    except GatedRepoError as error:
        raise HftermError(
            "gated", f"{ref} is gated.", "Ask for access on its page, then run: hf auth login"
        ) from error
    except (OfflineModeIsEnabled, ConnectionError, HfHubHTTPError) as error:
        raise HftermError(
            "offline",
            f"The hub can't be reached for {ref}: {_first(error)}",
            "Check the connection and HF_ENDPOINT, or name a file or a starter data set.",
        ) from error
    except DatasetNotFoundError as error:
        raise HftermError(
            "not-found", f"There is no data set {ref} on the hub, or no access to it.",
            "Check data.ref, or name a file.",
        ) from error  # fmt: skip
    except OSError as error:
        if error.strerror:
            raise HftermError(
                "unreadable", f"{ref} can't be read: {error.strerror}.", "Check the file."
            ) from error
        raise HftermError("unreadable", f"{ref} can't be read: {_first(error)}", "") from error
    except Exception as error:
        # readers of csv, json and parquet each have their own families of errors
        raise _explain(ref, split, error) from error


def _explain(ref: str, split: str, error: Exception) -> HftermError:
    text = " ".join(str(cause) for cause in _causes(error))
    if "scripts are no longer supported" in text or "Dataset scripts" in text:
        return script_error(ref)
    if "nknown split" in text or "Bad split" in text or "split" in type(error).__name__.lower():
        return HftermError(
            "no-split",
            f"There is no split {split!r} in {ref}: {_first(error)}",
            "Files have one split, train; slices are written train[:90%] or train[100:200].",
        )
    if "corresponds to no data" in text:
        return empty_split(ref, split)
    if (
        "nrecognized instruction" in text
        or "instruction" in text.lower()
        or "Percent slice" in text
    ):
        return HftermError(
            "no-split", f"{split!r} is no split.", "Slices are written train[:90%] or train[100:]."
        )
    if "couldn't find any data file" in text.lower() or "connection" in text.lower():
        return HftermError(
            "offline", f"{ref} is not here, and the hub can't be reached.",
            "Check the connection, or name a file or a starter data set.",
        )  # fmt: skip
    last = _causes(error)[-1]
    suffix = Path(ref).suffix.lower()
    told = FORMATS.get(BUILDERS.get(suffix, ""))
    return HftermError(
        "bad-data",
        f"{ref} can't be read as rows: {_first(last)}",
        f"A {suffix} file {told}." if told else "Look at its files.",
    )


def _causes(error: BaseException) -> list[BaseException]:
    found = [error]
    while (cause := found[-1].__cause__) is not None:
        found.append(cause)
    return found


def _first(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def splits(recipe: Recipe, job: Job | None = None) -> tuple[Dataset, Dataset | None]:
    """The rows to learn from, and those to evaluate on, if any.

    With a fold, both come from the training split: the fold's rows are evaluated on. For a
    classification each fold has about the same share of every label.

    Raises:
        HftermError: as `load_split`; a column is missing; too few rows for the folds.
    """
    seed = recipe.training.seed if recipe.data.shuffle else None
    train = load_split(recipe.data, recipe.data.train, job, seed=seed)
    check_columns(recipe, train.column_names)
    if recipe.fold:
        chosen = fold_rows(recipe, train)
        left = sorted(set(range(len(train))).difference(chosen))
        return train.select(left), train.select(chosen)
    if not recipe.data.eval:
        return train, None
    held = load_split(recipe.data, recipe.data.eval, job, seed=seed)
    check_columns(recipe, held.column_names)
    return train, held


def fold_rows(recipe: Recipe, rows: Dataset) -> list[int]:
    """The rows that `recipe.fold` of `recipe.folds` leaves out, sorted."""
    import numpy as np

    if len(rows) < recipe.folds:
        raise HftermError(
            "empty-split",
            f"{len(rows)} rows can't be parted into {recipe.folds} folds.",
            "Take a larger slice, or fewer folds.",
        )
    order = np.random.default_rng(recipe.training.seed).permutation(len(rows))
    if recipe.task == "text-classification":
        labels = np.array([str(value) for value in rows[recipe.column("label")]])
        order = order[np.argsort(labels[order], kind="stable")]
    return sorted(int(row) for row in order[recipe.fold - 1 :: recipe.folds])


def check_columns(recipe: Recipe, there: Sequence[str]) -> None:
    """See that the columns that the task reads are there.

    Raises:
        HftermError: ``no-column``.
    """
    for role in roles_of(recipe):
        name = recipe.column(role)
        if name not in there:
            listed = ", ".join(there)
            example = f'{{ {role} = "{there[0] if there else role}" }}'
            raise HftermError(
                "no-column",
                f"{recipe.data.ref} has no column {name!r}, which {recipe.task} reads as {role}; "
                f"it has: {listed}.",
                f"Say which it is: {role}={there[0] if there else role} in “columns”, or columns = "
                f"{example} under [data] of a recipe.",
            )
