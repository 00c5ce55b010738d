"""The process that trains: ``python -m hfterm.training.worker RUN_DIR``.

Started by the supervisor in a session of its own, or by ``accelerate launch`` once per device.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hfterm.errors import HftermError
from hfterm.job import Job, Progress
from hfterm.system.large_import import large_import
from hfterm.system.whole_file import write_atomic
from hfterm.training import run_files as files
from hfterm.training.quiet import be_quiet, never_fail_printing
from hfterm.training.run_types import RunFailure
from hfterm.training.stopping import StopNow, StopSwitch

if TYPE_CHECKING:
    from hfterm.training.building import Built
    from hfterm.training.loop import RunTrainer
    from hfterm.training.recipe import Recipe
    from hfterm.training.recording import Recorder

EXIT_FAILED = 3
"""The run failed, and ``outcome.json`` says why."""

TIGHT = 1024 * 1024
"""Free bytes of a disk below which whatever could not be written did not fit."""


def main() -> int:
    """Train what the run directory says; its outcome is written there."""
    folder = Path(sys.argv[1]).absolute()
    rank = int(os.environ.get("RANK", "0"))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    # before the libraries, whose import takes seconds
    switch = StopSwitch(folder, processes=processes)
    switch.listen()
    never_fail_printing()

    def leave() -> None:
        _conclude(folder, files.Outcome(status="stopped"), rank)
        os._exit(0)

    if rank == 0:
        switch.watch_loading(leave)
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}, process {os.getpid()}", flush=True)
    try:
        outcome = run(folder, switch, rank=rank)
    except BaseException as error:  # noqa: BLE001
        # whatever a library raises ends the run, not the account of it
        if switch.loading and switch.asked:
            outcome = files.Outcome(status="stopped")
        else:
            traceback.print_exc()
            outcome = files.Outcome(status="failed", error=failure_of(error, folder))
    if rank == 0 or outcome.status == "failed":
        _conclude(folder, outcome, rank)
    return EXIT_FAILED if outcome.status == "failed" else 0


def _conclude(folder: Path, outcome: files.Outcome, rank: int) -> None:
    """Write the outcome, also on a full disk: room was kept for it."""
    place = folder / files.outcome_file(rank)
    try:
        files.write_struct(place, outcome)
    except OSError:
        files.release(folder)
        with suppress(OSError):  # then the exit code has to do
            files.write_struct(place, outcome)


def run(folder: Path, switch: StopSwitch, *, rank: int) -> files.Outcome:
    """Build, train, save.

    Raises:
        HftermError: what is wrong with the recipe, the data or the model.
    """
    recipe = files.read_recipe_of(folder)
    import_libraries()
    from hfterm.training.recording import Recorder

    first = msgspec.structs.replace(files.progress_of(folder), phase="loading", rate=0.0)
    recorder = Recorder(folder, recipe, switch, first, main=rank == 0)
    recorder.tell(force=True)
    built = build_in_turn(folder, recipe, switch, rank)
    checkpoints = folder / files.CHECKPOINTS
    if rank == 0:
        about(folder, built)
        for torn in files.torn_checkpoints(checkpoints):
            shutil.rmtree(torn, ignore_errors=True)
    whole = files.whole_checkpoints(checkpoints)
    trainer = make_trainer(built, checkpoints, recorder)
    trainer.resumed = whole[-1] if whole else None
    if recipe.prompts and rank == 0 and not trainer.sharded:
        from hfterm.training.samples import asker

        recorder.ask_samples(asker(folder, built, switch.look))
    switch.loaded()
    _begin(recorder, built, trainer)
    try:
        trainer.train(resume_from_checkpoint=str(trainer.resumed) if trainer.resumed else None)
    except StopNow:
        recorder.stopped = True
        trainer.save_now()
    if recorder.due and rank == 0:
        place = trainer.checkpoint / files.WHOLE
        mark = msgspec.json.decode(place.read_bytes())
        write_atomic(place, msgspec.json.encode(mark | {"evaluate": True}))
    state = trainer.state
    recorder.tell(force=True, step=state.global_step, epoch=float(state.epoch or 0))
    if recorder.stopped:
        return files.Outcome(status="stopped", values=recorder.progress.metrics)
    recorder.tell(force=True, phase="saving")
    save_model(trainer, built, folder / files.MODEL)
    recorder.tell(force=True, phase="done")
    return files.Outcome(status="finished", values=recorder.progress.metrics)


def import_libraries() -> None:
    """Import what trains, quietly; it takes seconds."""
    with large_import("transformers"):
        be_quiet()
        for part in ("loop", "recording"):
            import_module(f"hfterm.training.{part}")


def build_in_turn(folder: Path, recipe: Recipe, switch: StopSwitch, rank: int) -> Built:
    """Build; of several processes one tokenizes, and the others find what it made."""
    from hfterm.training.building import build

    with _turn(folder) as passed:

        def report(progress: Progress) -> None:
            print(progress.stage, flush=True)
            if progress.stage.startswith("loading"):  # each loads the model at its own pace
                passed()

        # the first process decides for all of them while they load
        return build(recipe, Job(report, switch.look if rank == 0 else None))


@contextmanager
def _turn(folder: Path) -> Generator[Callable[[], None]]:
    """A turn among the processes of a run; it is over when what is given is called."""
    import fcntl

    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield lambda: None
        return
    with (folder / ".data.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)


def make_trainer(built: Built, checkpoints: Path, recorder: Recorder | None) -> RunTrainer:
    """Trainer as the recipe has it."""
    from transformers import EarlyStoppingCallback, PrinterCallback

    from hfterm.training.building import preprocess, training_arguments
    from hfterm.training.loop import RunTrainer

    recipe = built.recipe
    trainer = RunTrainer(
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
    if recipe.method.name != "full":
        trainer.adapter_labels = built.labels
    trainer.remove_callback(PrinterCallback)
    if recipe.training.early_stopping and built.held is not None:
        trainer.add_callback(EarlyStoppingCallback(recipe.training.early_stopping))
    if recorder is not None:
        recorder.loop = trainer
    return trainer


def _begin(recorder: Recorder, built: Built, trainer: RunTrainer) -> None:
    """Say what begins; rows after the checkpoint that is resumed from no longer count."""
    from hfterm.training.loop import best_until

    args, resumed = trainer.args, trainer.resumed
    best, best_step = best_until(resumed, built.recipe.metric) if resumed else (None, 0)
    recorder.tell(
        force=True,
        trainable=built.trainable,
        parameters=built.parameters,
        global_batch=args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
        train_rows=len(built.train),
        eval_rows=len(built.held) if built.held is not None else 0,
        best=best,
        best_step=best_step,
    )
    if resumed is None:
        recorder.forget(0)
        new = f"; new: {', '.join(built.new)}" if built.new else ""
        rows = f"{len(built.train):,} rows"
        told = f"{rows}, {built.trainable:,} of {built.parameters:,} parameters are trained{new}"
        recorder.event("started", told)
        return
    step = files.step_of(resumed)
    recorder.forget(step)
    recorder.event("resumed", f"from {resumed.name}", step)


def save_model(trainer: RunTrainer, built: Built, folder: Path) -> None:
    """What `from_pretrained`, or `PeftModel`, opens. It is there when it is complete."""
    unfinished = folder.with_name(f".{folder.name}")
    if trainer.args.should_save:
        shutil.rmtree(unfinished, ignore_errors=True)
    trainer.save_model(str(unfinished))
    if trainer.args.should_save:
        built.tokenizer.save_pretrained(str(unfinished))
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)


def about(folder: Path, built: Built) -> None:
    """Where the run comes from: command, versions, data."""
    import hashlib
    from importlib.metadata import version

    from hfterm.training.data_files import local_files

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
    write_atomic(
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
    if any(_is_full(found) for found in chain) or _could_not_write(error, folder):
        free_torn(folder)
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
    text = str(error).strip()
    if "DataLoader worker" in text and "killed" in text:
        return RunFailure(
            "out-of-memory",
            "A process that reads the data was killed, most likely for want of memory.",
            "Resume with training.workers = 0, or a smaller training.batch_size.",
        )
    if "RANK" in os.environ and any(words in text for words in LOST):
        return RunFailure(
            "lost", "Another process of the run ended.", "Its reason is in the log; then resume."
        )
    if isinstance(error, FileNotFoundError):
        return RunFailure(
            "not-found", f"A file is gone: {error.filename or error}.", "Put it back, then resume."
        )
    first = (text or type(error).__name__).splitlines()[0][:300]
    return RunFailure(
        "internal", f"{type(error).__name__}: {first}", "The log has the whole of it."
    )


LOST = ("onnection closed by peer", "onnection reset by peer", "roken pipe", "NCCL", "gloo")
"""What the processes of a run say when one of them is gone."""


def _is_full(error: BaseException) -> bool:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or "No space left on device" in str(error)


def _could_not_write(error: BaseException, folder: Path) -> bool:
    """Whether torch failed to write on a disk without room: it does not say why."""
    if not any(words in str(error) for words in ("PytorchStreamWriter", "inline_container")):
        return False
    with suppress(OSError):
        return shutil.disk_usage(folder).free < TIGHT
    return False


def free_torn(folder: Path) -> None:
    """Delete the checkpoint whose writing failed: nothing can be done with it."""
    for torn in files.torn_checkpoints(folder / files.CHECKPOINTS):
        shutil.rmtree(torn, ignore_errors=True)
    shutil.rmtree(folder / f".{files.MODEL}", ignore_errors=True)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # everything is on the disk: the threads of libraries must not keep it from ending
    os._exit(code)
