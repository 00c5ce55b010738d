"""Show code for Train: a script without hfterm that gives the same losses as the run.

Nothing heavy is imported here: the scripts are text, and the UI process makes them. They do what
`building`, `encoding` and `worker` do, call by call.
"""

from __future__ import annotations

from textwrap import indent

from hfterm.training.anchoring import anchored
from hfterm.training.arguments import LIBRARY, trainer_arguments
from hfterm.training.code_data import fold_lines, label_lines, rows_lines
from hfterm.training.code_model import model_lines, model_source, tokenizer_lines
from hfterm.training.code_scores import score_arguments, score_lines
from hfterm.training.code_tasks import collator_of, encode_lines, map_lines
from hfterm.training.recipe import AUTO_CLASSES, Recipe, expand

SHOW = '''
class Show(TrainerCallback):
    """Print each row of the log, in full."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero:
            print({"step": state.global_step} | logs, flush=True)


'''


def train_code(recipe: Recipe) -> str:
    """The script of a recipe; it loops where the recipe is several runs.

    Raises:
        HftermError: the model or the data is nowhere.
    """
    recipe = anchored(recipe)
    runs = expand(recipe, recipe.name)
    source = model_source(recipe)
    several = len(runs) > 1
    evaluates = bool(recipe.data.eval or recipe.folds)
    top = (
        rows_lines(recipe)
        + label_lines(recipe)
        + tokenizer_lines(recipe, source)
        + encode_lines(recipe)
        + score_lines(recipe)
        + SHOW
    )
    names = ["train", *(["held"] if evaluates else [])]
    body = (fold_lines(recipe) if recipe.folds else "") + "".join(
        map_lines(recipe, name) for name in names
    )
    methods = {run.method.name: run for run in runs}
    if len(methods) == 1:
        body += model_lines(runs[0], source)
    else:
        for number, (method, run) in enumerate(methods.items()):
            word = "elif" if number else "if"
            body += f"{word} method == {method!r}:\n{indent(model_lines(run, source), '    ')}"
    body += _trainer_lines(recipe, several=several, evaluates=evaluates)
    if several:
        told = "".join(f"    {(run.name, run.method.name, run.fold)!r},\n" for run in runs)
        kept = "results[name, method] = next(\n    row for row in reversed(trainer.state.log_history) if 'eval_loss' in row\n)\n"
        body = indent(body + (kept if evaluates else ""), "    ")
        body = f"runs = [\n{told}]\nresults = {{}}\nfor name, method, fold in runs:\n{body}"
        body += _results_lines(recipe, list(methods)) if evaluates else ""
    elif recipe.folds:
        body = f"fold = {recipe.fold}\n{body}"
    return _blank(_head(recipe) + _imports(recipe, top + body) + top + body)
