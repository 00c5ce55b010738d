"""The lines of a training script that open its rows and name its labels."""

from __future__ import annotations

from pathlib import Path

from hfterm.training.data_files import BUILDERS, local_files
from hfterm.training.recipe import Recipe

SHUFFLED = '''
def shuffled(split):
    """Rows of a split that is put in another order before it is sliced."""
    name = split.partition("[")[0]
    rows = {load}, split=name).shuffle(seed={seed})
    parts = ReadInstruction.from_spec(split).to_absolute({{name: len(rows)}})
    return rows.select([i for part in parts for i in range(part.from_, part.to)])


'''


def rows_lines(recipe: Recipe) -> str:
    """``train`` and ``held``; with folds ``rows`` and the ``order`` that they are dealt in."""
    load = _load(recipe)
    files = local_files(recipe.data.ref)
    before = f"files = {files!r}\n" if files else ""
    if recipe.data.shuffle:
        before += SHUFFLED.format(load=load, seed=recipe.training.seed)
    parts = {"rows" if recipe.folds else "train": recipe.data.train}
    if recipe.data.eval:
        parts["held"] = recipe.data.eval
    call = "shuffled({!r})" if recipe.data.shuffle else f"{load}, split={{!r}})"
    lines = "".join(f"{name} = {call.format(split)}\n" for name, split in parts.items())
    if not recipe.folds:
        return before + lines
    order = f"order = np.random.default_rng({recipe.training.seed}).permutation(len(rows))\n"
    if recipe.task == "text-classification":
        order += (
            "# each fold gets about the same share of every label\n"
            f"kinds = np.array([str(label) for label in rows[{recipe.column('label')!r}]])\n"
            'order = order[np.argsort(kinds[order], kind="stable")]\n'
        )
    return before + lines + order


def _load(recipe: Recipe) -> str:
    """A call of load_dataset that lacks its split."""
    files = local_files(recipe.data.ref)
    if not files:
        subset = f", {recipe.data.subset!r}" if recipe.data.subset else ""
        return f"load_dataset({recipe.data.ref!r}{subset}"
    kind = BUILDERS.get(Path(files[0]).suffix.lower(), "text")
    tabs = all(file.lower().endswith(".tsv") for file in files)
    return f"load_dataset({kind!r}, data_files=files" + (', sep="\\t"' if tabs else "")


def fold_lines(recipe: Recipe) -> str:
    """``train`` and ``held`` of a ``fold``."""
    return (
        f"chosen = np.sort(order[fold - 1 :: {recipe.folds}])\n"
        "held = rows.select(chosen)\n"
        "train = rows.select(np.setdiff1d(order, chosen))\n"
    )


def label_lines(recipe: Recipe) -> str:
    """``labels``, the names by id; nothing for a task without."""
    if recipe.task not in ("text-classification", "token-classification"):
        return ""
    tags = recipe.task == "token-classification"
    name = recipe.column("tags" if tags else "label")
    if recipe.data.labels:
        return (
            f"labels = {list(recipe.data.labels)!r}\n"
            "ids = {label: number for number, label in enumerate(labels)}\n"
        )
    rows = "rows" if recipe.folds else "train"
    column = f"{rows}[{name!r}]"
    highest = f"max(max(tags, default=0) for tags in {column})" if tags else f"max({column})"
    counted = f'[f"LABEL_{{number}}" for number in range(int({highest}) + 1)]'
    files = local_files(recipe.data.ref)
    if files and not files[0].lower().endswith(".parquet"):
        return f"labels = {counted}\n"
    feature = f"{rows}.features[{name!r}]" + (".feature" if tags else "")
    return f'labels = getattr({feature}, "names", None) or {counted}\n'


def ids_of(recipe: Recipe, values: str) -> str:
    """An expression for the ids of labels."""
    one = "ids.get(label, label)" if recipe.data.labels else "label"
    return f"[int({one}) for label in {values}]"
