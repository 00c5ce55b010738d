"""The process that trains: ``python -m hfterm.training.worker RUN_DIR``.

Started by the supervisor in a session of its own, or by ``accelerate launch`` once per device.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job, Progress
from hfterm.training import run_files as files
from hfterm.training.run_types import RunFailure

if TYPE_CHECKING:
    from transformers import Trainer

    from hfterm.training.building import Built
    from hfterm.training.recording import Recorder

EXIT_FAILED = 3
"""The run failed, and ``outcome.json`` says why."""


def main() -> int:
    """Train what the run directory says; its outcome is written there."""
    folder = Path(sys.argv[1]).absolute()
    rank = int(os.environ.get("RANK", "0"))
    try:
        outcome = run(folder, main_process=rank == 0)
    except Exception as error:  # noqa: BLE001
        # whatever a library raises ends the run, not the account of it
        traceback.print_exc()
        outcome = files.Outcome(status="failed", error=failure_of(error, folder))
    if rank == 0:
        _conclude(folder, outcome)
    return EXIT_FAILED if outcome.status == "failed" else 0


def _conclude(folder: Path, outcome: files.Outcome) -> None:
    """Write the outcome, also on a full disk: room was kept for it."""
    try:
        files.write_struct(folder / files.OUTCOME, outcome)
    except OSError:
        files.release(folder)
        files.write_struct(folder / files.OUTCOME, outcome)


def run(folder: Path, *, main_process: bool) -> files.Outcome:
    """Build, train, save.

    Raises:
        HftermError: what is wrong with the recipe, the data or the model.
    """
    from hfterm.training.quiet import be_quiet

    be_quiet()
    from hfterm.training.recording import Recorder, StopNow, StopSwitch, whole_checkpoints

    switch = StopSwitch(folder)
    switch.listen()
    recipe = files.read_recipe_of(folder)
    progress = msgspec.structs.replace(files.progress_of(folder), phase="loading")
    recorder = Recorder(folder, recipe, switch, progress, main=main_process)
    recorder.tell(force=True)

    def report(progress: Progress) -> None:
        print(progress.stage, flush=True)

    try:
        from hfterm.training.building import build

        built = build(recipe, Job(report, switch.look))
    except Cancelled:
        return files.Outcome(status="stopped")
    checkpoints = folder / files.CHECKPOINTS
    whole = whole_checkpoints(checkpoints)
    if main_process:
        about(folder, built)
    trainer = make_trainer(built, checkpoints, recorder)
    begun = _begin(folder, recorder, built, trainer, whole[-1] if whole else None)
    if main_process and recipe.prompts:
        from hfterm.training.samples import asker

        recorder.ask_samples(asker(folder, built))
    recorder.event("resumed" if whole else "started", begun)
    try:
        trainer.train(resume_from_checkpoint=str(whole[-1]) if whole else None)
    except StopNow:
        recorder.stopped = True
        trainer._save_checkpoint(trainer.model, trial=None)  # pyright: ignore[reportPrivateUsage]
        trainer.control = trainer.callback_handler.on_save(
            trainer.args, trainer.state, trainer.control
        )
    state = trainer.state
    recorder.tell(force=True, step=state.global_step, epoch=float(state.epoch or 0))
    if recorder.stopped and state.global_step < state.max_steps:
        return files.Outcome(status="stopped", values=recorder.progress.metrics)
    recorder.tell(force=True, phase="saving")
    save_model(trainer, built, folder / files.MODEL)
    recorder.tell(force=True, phase="done")
    return files.Outcome(status="finished", values=recorder.progress.metrics)


def make_trainer(built: Built, checkpoints: Path, recorder: Recorder | None) -> Trainer:
    """Trainer as the recipe has it."""
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer

    from hfterm.training.building import preprocess, training_arguments

    recipe = built.recipe
    trainer = Trainer(
        model=built.model,
        args=training_arguments(recipe, checkpoints, evaluates=built.held is not None),
        data_collator=built.collator,
        train_dataset=built.train,
        eval_dataset=built.held,
        processing_class=built.tokenizer,
        compute_metrics=built.score,  # pyright: ignore[reportArgumentType]
        preprocess_logits_for_metrics=preprocess(recipe),  # pyright: ignore[reportArgumentType]
        callbacks=[recorder] if recorder is not None else [],
    )
    trainer.remove_callback(PrinterCallback)
    if recipe.training.early_stopping:
        trainer.add_callback(EarlyStoppingCallback(recipe.training.early_stopping))
    return trainer


def _begin(
    folder: Path, recorder: Recorder, built: Built, trainer: Trainer, resumed: Path | None
) -> str:
    """Say what begins; rows after the checkpoint that is resumed from no longer count."""
    args = trainer.args
    recorder.tell(
        force=True,
        trainable=built.trainable,
        parameters=built.parameters,
        global_batch=args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
        train_rows=len(built.train),
        eval_rows=len(built.held) if built.held is not None else 0,
    )
    if resumed is None:
        if recorder.progress.step:
            recorder.forget(0)
        new = f"; new: {', '.join(built.new)}" if built.new else ""
        return f"{built.trainable:,} of {built.parameters:,} parameters are trained{new}"
    step = int(resumed.name.rpartition("-")[2])
    recorder.forget(step)
    return f"from {resumed.name}"


def save_model(trainer: Trainer, built: Built, folder: Path) -> None:
    """What `from_pretrained`, or `PeftModel`, opens."""
    trainer.save_model(str(folder))
    if trainer.args.should_save:
        built.tokenizer.save_pretrained(str(folder))


def about(folder: Path, built: Built) -> None:
    """Where the run comes from: command, versions, data."""
    import hashlib
    from importlib.metadata import version

    from hfterm.training.data import local_files

    data: list[dict[str, object]] = []
    for name in local_files(built.recipe.data.ref):
        with Path(name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        data.append({"path": name, "size": Path(name).stat().st_size, "sha256": digest})
    packages = ("hfterm", "torch", "transformers", "datasets", "accelerate", "peft", "bitsandbytes")
    told = {
        "time": time.time(),
        "command": [sys.executable, *sys.argv],
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in packages},
        "data": data,
        "new_modules": list(built.new),
        "labels": list(built.labels),
    }
    files.write_atomic(
        folder / files.ABOUT, msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"
    )


def failure_of(error: BaseException, folder: Path) -> RunFailure:
    """Why a run failed, in words.

    Args:
        error: what ended it.
        folder: the run's directory, whose disk may be full.
    """
    from hfterm.inference.loading import ran_out

    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    for found in chain:
        full = isinstance(found, OSError) and found.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or "No space left on device" in str(found):
            return RunFailure(
                "no-space",
                f"The disk of {folder} is full.",
                "Free some room (hfterm runs delete, or fewer checkpoints: training.keep), then "
                "resume.",
            )
    for found in chain:
        if isinstance(found, HftermError):
            return RunFailure(found.kind, found.message, found.remedy)
    if ran_out(error):
        return RunFailure(
            "out-of-memory",
            "There was no memory for it.",
            "Resume with a smaller training.batch_size (and more training.accumulate), a smaller "
            "data.max_length, or the method lora or qlora.",
        )
    if isinstance(error, FileNotFoundError):
        return RunFailure(
            "not-found", f"A file is gone: {error.filename or error}.", "Put it back, then resume."
        )
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return RunFailure(
        "internal", f"{type(error).__name__}: {first}", "The log has the whole of it."
    )


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code) if code else sys.exit(0)
