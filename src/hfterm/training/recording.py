"""What a training process writes down while it trains: metrics, progress, events, checkpoints.

Imports transformers: for a process that trains.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from transformers import TrainerCallback

from hfterm.errors import HftermError
from hfterm.sizes import size_text
from hfterm.training import run_files as files
from hfterm.training.loop import agreed, several
from hfterm.training.recipe import LESS_IS_BETTER
from hfterm.training.run_types import RunProgress
from hfterm.training.stopping import StopNow, StopSwitch
from hfterm.training.store import size_of

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from hfterm.training.loop import RunTrainer
    from hfterm.training.recipe import Recipe

PROGRESS_EVERY = 0.5
"""Seconds between two writings of the progress."""

LOGGED_LAST = frozenset({"train_runtime", "train_samples_per_second", "train_steps_per_second",
                         "total_flos", "train_loss"})  # fmt: skip
SPIKE = 5.0
"""A loss this many times the mean of the last ones is a spike."""

LATELY = 30.0
"""Seconds of training that the rate is told of."""

PERPLEXED = frozenset({"masked-lm", "causal-lm", "chat-sft", "seq2seq"})
"""Tasks whose loss is also told as a perplexity."""


class LineFile:
    """A file that lines are added to, each by one unbuffered write.

    Attributes:
        new: it was empty when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._descriptor).st_size
        self.new = size == 0
        # whoever died here may have left a part of a line
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def add(self, value: object) -> None:
        """Add a line of JSON.

        Raises:
            OSError: the disk is full; what was there is as it was.
        """
        data = msgspec.json.encode(value) + b"\n"
        if self._torn:
            data = b"\n" + data
        self._torn = True
        written = os.write(self._descriptor, data)
        self._torn = written < len(data)
        if self._torn:
            raise OSError(28, "No space left on device")


class Recorder(TrainerCallback):
    """Writes the run directory, and carries the user's wishes to Trainer.

    Only the main process writes; all processes stop at the same step.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        switch: StopSwitch,
        first: RunProgress,
        *,
        main: bool,
    ) -> None:
        self._folder = folder
        self._recipe = recipe
        self._switch = switch
        self._main = main
        self._samples: Callable[[int], None] | None = None
        self._metrics = LineFile(folder / files.METRICS) if main else None
        self._written = 0.0
        self._steps: deque[tuple[float, int]] = deque()
        self._paused = 0.0
        self._logged = (0.0, 0, 0.0)
        self._losses: list[float] = []
        self._was_number = True
        self._good = 0
        self._finishing = False
        self.progress = first
        self.loop: RunTrainer | None = None
        """What it records; set before the training begins."""
        self.stopped = False
        """The run was asked to stop, and did."""
        self.due = False
        """An evaluation was due where it stopped."""

    def ask_samples(self, ask: Callable[[int], None]) -> None:
        """Call `ask` with the step after each evaluation."""
        self._samples = ask

    def forget(self, step: int) -> None:
        """Rows after a step no longer count: the run goes on from there."""
        if self._metrics is not None and not self._metrics.new:
            self._metrics.add({"resumed_from": step, "time": round(time.time(), 3)})

    # -- progress ------------------------------------------------------------------------

    def tell(self, *, force: bool = False, **changes: object) -> None:
        """Write the progress, at most twice a second."""
        self.progress = msgspec.structs.replace(self.progress, **changes)
        now = time.monotonic()
        if self._main and (force or now - self._written >= PROGRESS_EVERY):
            self._written = now
            self.progress = msgspec.structs.replace(self.progress, time=time.time())
            with suppress(OSError):  # a full disk must not end what still trains
                files.write_struct(self._folder / files.PROGRESS, self.progress)

    def event(self, kind: str, text: str, step: int = -1, **values: float | str) -> None:
        """Write an event; on a full disk it is only printed."""
        if not self._main:
            return
        try:
            files.add_event(self._folder, kind, text, step, values)
        except OSError as error:
            print(f"event not written ({error}): {kind} {text}", flush=True)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Training begins, or goes on."""
        self.tell(force=True, phase="training", step=state.global_step, total_steps=state.max_steps)
        if self.loop is not None:
            self.loop.go_on()
        now = time.monotonic()
        self._steps = deque([(now, state.global_step)])
        self._logged = (now, state.global_step, float(state.num_input_tokens_seen))
        self._good = state.global_step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """A step is done: say so, and stop if that is asked."""
        self.tell(
            phase="training", step=state.global_step, epoch=float(state.epoch or 0),
            rate=self._rate(state.global_step),
        )  # fmt: skip
        if agreed(self._switch.look()):
            if state.global_step >= state.max_steps:
                # all is done but for the end of it
                self._finishing = True
            else:
                self.stopped = True
                self.due = control.should_evaluate
                control.should_evaluate = False
                control.should_save = True
                control.should_training_stop = True
        self._pause(control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """An epoch is over, or was broken off by a stop: then nothing more is done."""
        if self.stopped:
            whole = math.isclose(state.epoch or 0, round(state.epoch or 0), abs_tol=1e-6)
            self.due = self.due or (whole and control.should_evaluate)
            control.should_evaluate = control.should_save = False
        self._pause(control)

    def _rate(self, step: int) -> float:
        """Steps a second lately, evaluations and checkpoints left out."""
        now = time.monotonic()
        if self._paused:
            away = now - self._paused
            self._steps = deque((moment + away, number) for moment, number in self._steps)
            self._paused = 0.0
        self._steps.append((now, step))
        while len(self._steps) > 2 and self._steps[1][0] < now - LATELY:
            self._steps.popleft()
        began, first = self._steps[0]
        return (step - first) / (now - began) if now > began else 0.0

    def _pause(self, control: TrainerControl) -> None:
        """Say what comes before the next step."""
        if not (control.should_evaluate or control.should_save):
            return
        self._paused = self._paused or time.monotonic()
        self.tell(force=True, phase="evaluating" if control.should_evaluate else "saving")

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """An evaluation can take long: it stops between two batches."""
        self.tell(phase="evaluating")
        if not self._finishing and agreed(self._switch.look()):
            self.due = True
            raise StopNow

    # -- metrics -------------------------------------------------------------------------

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **_: object,
    ) -> None:
        """A row of metrics: written at once, so that nothing that was logged can be lost."""
        if self._metrics is None or not logs:
            return
        found = {k: float(v) for k, v in logs.items() if isinstance(v, int | float)}
        if not LOGGED_LAST.isdisjoint(found):
            found = {k: v for k, v in found.items() if k not in LOGGED_LAST}
        tokens = found.pop("num_input_tokens_seen", float(state.num_input_tokens_seen))
        epoch = found.pop("epoch", float(state.epoch or 0))
        found = {k: v for k, v in found.items() if not k.startswith("train_")}
        if not found:
            return
        now = time.monotonic()
        if "loss" in found:
            before, step, seen = self._logged
            if state.global_step > step and now > before:
                found["steps_per_second"] = (state.global_step - step) / (now - before)
                if tokens > seen > 0:
                    found["tokens_per_second"] = (tokens - seen) / (now - before)
            self._logged = (now, state.global_step, tokens)
        if "eval_loss" in found and self._recipe.task in PERPLEXED:
            found["eval_perplexity"] = math.exp(min(found["eval_loss"], 700))
        row: dict[str, float | str] = {
            "step": state.global_step, "time": round(time.time(), 3), "epoch": epoch,
            "tokens": tokens,
        }  # fmt: skip
        row |= {name: files.finite(value) for name, value in found.items()}
        self._metrics.add(row)
        self.tell(
            metrics=self.progress.metrics | {k: files.finite(v) for k, v in found.items()},
            epoch=epoch,
        )
        if "loss" in found:
            self._watch(found["loss"], found.get("grad_norm", 0.0), state.global_step)

    def _watch(self, loss: float, norm: float, step: int) -> None:
        """Alerts: a loss that is no number, and one that jumps."""
        if not math.isfinite(loss) or not math.isfinite(norm):
            what = "loss" if not math.isfinite(loss) else "gradient norm"
            self._no_number(what, step)
            return
        self._was_number = True
        self._good = step
        mean = sum(self._losses) / len(self._losses) if len(self._losses) >= 10 else 0.0
        if mean > 1e-3 and loss > SPIKE * mean:
            self.event(
                "alert", f"the loss jumped to {loss:.4g}, {loss / mean:.1f} × the mean", step
            )
        self._losses = [*self._losses[-49:], loss]

    def _no_number(self, what: str, step: int) -> None:
        verb = "are no numbers" if what == "weights" else "is no number"
        if self._was_number:  # once is enough where the run goes on regardless
            self.event("alert", f"the {what} {verb} any more", step)
        self._was_number = False
        if self._recipe.training.on_nan == "continue":
            return
        # the weights of these may be what makes the loss no number: they would do so again
        folder = self._folder / files.CHECKPOINTS
        for checkpoint in files.whole_checkpoints(folder):
            if files.step_of(checkpoint) >= self._good:
                (checkpoint / files.WHOLE).unlink(missing_ok=True)
        left = files.whole_checkpoints(folder)
        raise HftermError(
            "nan-loss",
            f"The {what} {verb} any more, at step {step:,}.",
            f"Resume it, from {left[-1].name if left else 'the start'}, with a smaller learning "
            f"rate (now {self._recipe.training.learning_rate:g}): --set training.learning_rate=…; "
            "training.on_nan=continue goes on regardless.",
        )

    # -- evaluations and checkpoints -----------------------------------------------------

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_: object,
    ) -> None:
        """An evaluation is over: the best one is remembered, the prompts are asked."""
        if not self._main or not metrics:
            return
        name = self._recipe.metric
        value = metrics.get(f"eval_{name}", math.nan)
        loss = metrics.get("eval_loss", math.nan)
        if name == "perplexity":
            value = math.exp(min(loss, 700))
        best = self.progress.best
        told = f"{name} {value:.4g}"
        if not math.isfinite(value):
            told = f"{name} is no number"
        elif best is None or (value < best if name in LESS_IS_BETTER else value > best):
            self.tell(best=float(value), best_step=state.global_step)
            told += " (best)"
        else:
            told += f" (best {best:.4g} at step {self.progress.best_step:,})"
        if name != "loss":
            told += f", loss {loss:.4g}"
        self.event("evaluated", told, state.global_step)
        if self._samples is not None:
            self._samples(state.global_step)
        self.tell(force=True, phase="saving" if control.should_save else "training")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """A checkpoint was written: only now it counts, and older ones go."""
        if self.loop is None:
            return
        mark = self.loop.mark(evaluate=self.due)
        if several():
            from torch import distributed

            distributed.barrier()  # each process writes a part
        if not self._main:
            return
        folder = self.loop.checkpoint
        if not math.isfinite(mark.loss):
            self._no_number("loss", state.global_step)
            mark = msgspec.structs.replace(mark, loss=0.0)
        elif self._recipe.training.on_nan == "stop" and not self.loop.weights_are_numbers():
            self._no_number("weights", state.global_step)
        elif self._was_number:
            self._good = state.global_step
        _to_disk(folder)
        files.write_struct(
            folder / files.WHOLE, msgspec.structs.replace(mark, time=round(time.time(), 3))
        )
        self.event(
            "checkpointed", f"{folder.name}, {size_text(size_of(folder))}", state.global_step
        )
        self._rotate(Path(args.output_dir or "."), state.best_global_step or 0)
        self.tell(force=True, phase="training")

    def _rotate(self, folder: Path, best: int) -> None:
        """Delete the oldest checkpoints; never the best one."""
        kept = {f"checkpoint-{best}", f"checkpoint-{self.progress.best_step}"}
        for old in files.whole_checkpoints(folder)[: -self._recipe.training.keep]:
            if old.name not in kept:
                # first of all it is no longer whole
                (old / files.WHOLE).unlink(missing_ok=True)
                shutil.rmtree(old, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    """See that a folder's files are on the disk, not only on their way."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
