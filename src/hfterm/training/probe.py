"""A few real steps, to know what the whole run takes: ``python -m hfterm.training.probe DIR``.

A process of its own: it takes the memory that the run would take, and gives it all back.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.training import run_files as files
from hfterm.training.preview import steps_of
from hfterm.training.preview_types import ProbeResult
from hfterm.training.recipe import Recipe, expand
from hfterm.training.run_types import RunFailure

STEPS = 3
"""The first one warms up and is not counted."""

RESULT = "probe.json"
LOOK_EVERY = 0.1


def probe(recipe: Recipe, job: Job | None = None) -> ProbeResult:
    """Run a few steps in another process.

    Raises:
        HftermError: what the run itself would fail of, out of memory for example.
    """
    job = job or Job()
    with tempfile.TemporaryDirectory(prefix="hfterm-probe-") as name:
        folder = Path(name)
        files.save_recipe(folder, expand(recipe, "probe")[0])
        with (folder / files.LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "hfterm.training.probe", name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                while process.poll() is None:
                    job.progress(_phase(folder))
                    # its progress is in a file, and progress is also how a cancel is seen
                    time.sleep(LOOK_EVERY)
            finally:
                process.kill()
                process.wait()
        result = files.read_struct(folder / RESULT, ProbeResult)
        if result is not None:
            return result
        failure = files.read_struct(folder / files.OUTCOME, files.Outcome)
        if failure is not None and failure.error is not None:
            error = failure.error
            raise HftermError(error.kind, error.message, error.remedy)
        raise HftermError(
            "probe",
            f"The probe ended with exit code {process.returncode}, perhaps out of memory.",
            "Choose a smaller batch or max_length, or another method.",
        )


def _phase(folder: Path) -> str:
    return {"": "starting", "training": "trying a few steps"}.get(
        files.progress_of(folder).phase, "loading the model"
    )


def _measure(folder: Path) -> ProbeResult:
    from hfterm.training.worker import import_libraries, make_trainer

    import_libraries()
    import torch
    from transformers import TrainerCallback

    from hfterm.training.building import build
    from hfterm.training.run_types import RunProgress

    recipe = files.read_recipe_of(folder)
    files.write_struct(folder / files.PROGRESS, RunProgress(phase="loading"))
    rows = STEPS * recipe.training.batch_size * recipe.training.accumulate
    most = max(rows, recipe.training.eval_batch_size)
    replace = msgspec.structs.replace
    few = replace(
        recipe.training, max_steps=STEPS, log_every=1, eval_every=0, save_every=0,
        early_stopping=0, load_best=False,
    )  # fmt: skip
    built = build(replace(recipe, training=few), most=most)
    trainer = make_trainer(built, folder / files.CHECKPOINTS, None)
    trainer.args.set_save("no")
    trainer.args.set_evaluate("no")
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            ends.append(time.monotonic())

    trainer.add_callback(Clock())
    files.write_struct(folder / files.PROGRESS, RunProgress(phase="training"))
    trainer.train()
    step = (ends[-1] - ends[0]) / (len(ends) - 1)
    evaluation = 0.0
    if built.held is not None:
        began = time.monotonic()
        with torch.no_grad():
            trainer.evaluate()
        taken = time.monotonic() - began
        evaluation = taken * built.eval_rows / min(most, built.eval_rows)
    # of a row may become several windows, or nothing
    rows = len(built.train) * built.train_rows / min(most, built.train_rows)
    steps = steps_of(recipe, round(rows))
    every = recipe.training.eval_every or max(1, math.ceil(steps / recipe.training.epochs))
    times = math.ceil(steps / every) if built.held is not None else 0
    return ProbeResult(
        step_seconds=step,
        eval_seconds=evaluation,
        peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        total_seconds=steps * step + times * evaluation,
        losses=tuple(float(row["loss"]) for row in trainer.state.log_history if "loss" in row),
    )


def main() -> None:
    """Measure, and write the result or the reason why there is none."""
    folder = Path(sys.argv[1])
    try:
        files.write_struct(folder / RESULT, _measure(folder))
    except Exception as error:  # noqa: BLE001
        # whatever a library raises is what the user wants to know
        from hfterm.training.worker import failure_of

        failure: RunFailure = failure_of(error, folder)
        files.write_struct(folder / files.OUTCOME, files.Outcome(status="failed", error=failure))


if __name__ == "__main__":
    main()
