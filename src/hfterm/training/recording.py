"""What a training process writes down while it trains: metrics, progress, events, checkpoints.

Imports transformers: for a process that trains.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from transformers import TrainerCallback

from hfterm.errors import HftermError
from hfterm.training import run_files as files
from hfterm.training.recipe import LESS_IS_BETTER
from hfterm.training.run_types import RunProgress

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from hfterm.training.recipe import Recipe

PROGRESS_EVERY = 0.5
"""Seconds between two writings of the progress."""

LOGGED_LAST = frozenset({"train_runtime", "train_samples_per_second", "train_steps_per_second",
                         "total_flos", "train_loss"})  # fmt: skip
SPIKE = 5.0
"""A loss this many times the mean of the last ones is a spike."""


class StopNow(Exception):
    """The run is asked to stop where Trainer can't: in the middle of an evaluation."""


class StopSwitch:
    """Whether the run was asked to stop: by a file in its directory, or by SIGTERM."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / files.STOP
        self.asked = False

    def listen(self) -> None:
        """Take SIGTERM as an order to checkpoint and stop; a second one ends the process."""
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _terminated(self, *_: object) -> None:
        self.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def look(self) -> bool:
        """Whether to stop now."""
        if not self.asked and self._file.exists():
            self.asked = True
        return self.asked


class LineFile:
    """A file that lines are added to, each by one unbuffered write."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._descriptor).st_size
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
        self.progress = first
        self._written = 0.0
        self._began = (0.0, 0)
        self._logged = (0.0, 0, 0.0)
        self._losses: list[float] = []
        self._best_step = 0
        self.stopped = False
        self.save: Callable[[], None] | None = None
        """Saves a checkpoint outside of Trainer's own order."""

    def ask_samples(self, ask: Callable[[int], None]) -> None:
        """Call `ask` with the step after each evaluation."""
        self._samples = ask

    def forget(self, step: int) -> None:
        """Rows after a step no longer count: the run goes on from there."""
        if self._metrics is not None:
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
        self._began = (time.monotonic(), state.global_step)
        self._logged = (time.monotonic(), state.global_step, 0.0)
        self.tell(force=True, phase="training", step=state.global_step, total_steps=state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """A step is done: say so, and stop if that is asked."""
        began, first = self._began
        taken = time.monotonic() - began
        rate = (state.global_step - first) / taken if taken > 0 else 0.0
        self.tell(
            phase="training", step=state.global_step, epoch=float(state.epoch or 0), rate=rate
        )
        if self._agreed():
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True
            self.tell(force=True, phase="saving")

    def _agreed(self) -> bool:
        """Whether any process was asked to stop: all must do so at the same step."""
        asked = self._switch.look()
        import torch
        from torch import distributed

        if not (distributed.is_available() and distributed.is_initialized()):
            return asked
        flag = torch.tensor([int(asked)])
        if distributed.get_backend() == "nccl":
            flag = flag.to(torch.accelerator.current_accelerator())
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        return bool(flag.item())

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """An evaluation can take long: it stops between two batches."""
        self.tell(phase="evaluating")
        if args.world_size == 1 and self._switch.look():
            raise StopNow

    # -- metrics -------------------------------------------------------------------------

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
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
        if "eval_loss" in found and self._recipe.task in (
            "masked-lm", "causal-lm", "chat-sft", "seq2seq"
        ):  # fmt: skip
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
            self.event("alert", f"the {what} is {files.finite(loss)}", step)
            if self._recipe.training.on_nan == "stop":
                raise HftermError(
                    "nan-loss",
                    f"The {what} is no number any more, at step {step:,}.",
                    "Resume it from the last checkpoint with a smaller learning rate "
                    f"(now {self._recipe.training.learning_rate:g}): --set "
                    "training.learning_rate=…; training.on_nan = continue goes on regardless.",
                )
            return
        mean = sum(self._losses) / len(self._losses) if len(self._losses) >= 10 else 0.0
        if mean > 1e-3 and loss > SPIKE * mean:
            self.event(
                "alert", f"the loss jumped to {loss:.4g}, {loss / mean:.1f} × the mean", step
            )
        self._losses = [*self._losses[-49:], loss]

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
        value = metrics.get(f"eval_{name}")
        if value is None and name == "perplexity":
            value = math.exp(min(metrics.get("eval_loss", math.nan), 700))
        told = ""
        if value is not None:
            best = self.progress.best
            less = name in LESS_IS_BETTER
            is_best = best is None or (value < best if less else value > best)
            if is_best and math.isfinite(value):
                self.tell(best=float(value), best_step=state.global_step)
                self._best_step = state.global_step
            told = f"{name} {value:.4g}" + (" (best)" if is_best else f" (best {best:.4g})")
        self.event("evaluated", told or "evaluated", state.global_step)
        self.tell(force=True, phase="training")
        if self._samples is not None:
            self._samples(state.global_step)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """A checkpoint was written: only now it counts, and older ones go."""
        if not self._main:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        _to_disk(folder)
        files.write_atomic(
            folder / files.WHOLE,
            msgspec.json.encode({"step": state.global_step, "time": time.time()}),
        )
        self.event("checkpointed", folder.name, state.global_step)
        best = f"checkpoint-{state.best_global_step or self._best_step}"
        whole = whole_checkpoints(Path(args.output_dir))
        for old in whole[: -self._recipe.training.keep]:
            if old.name != best:
                shutil.rmtree(old, ignore_errors=True)
        self.tell(force=True, phase="training")


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that are complete, the oldest first."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        step = path.name.removeprefix("checkpoint-")
        if step.isdecimal() and (path / files.WHOLE).is_file():
            found.append((int(step), path))
    return [path for _, path in sorted(found)]


def _to_disk(folder: Path) -> None:
    """See that a folder's files are on the disk, not only on their way."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def values_of(logs: Mapping[str, object]) -> dict[str, float | str]:
    """Metrics as they are kept."""
    return {
        name: files.finite(float(cast("float", value)))
        for name, value in logs.items()
        if isinstance(value, int | float)
    }
