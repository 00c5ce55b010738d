"""`transformers.Trainer` that goes on from a checkpoint exactly as if it had never stopped.

Imports transformers: for a process that trains.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import torch
from torch import distributed
from transformers import EarlyStoppingCallback, Trainer, TrainerState
from transformers.trainer_callback import ExportableState

from hfterm.hub.model_refs import write_label_names
from hfterm.training import run_files as files
from hfterm.training.recipe import LESS_IS_BETTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn
    from torch.utils.data import DataLoader

TRAINER_STATE = "trainer_state.json"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """``hfterm-whole.json``: a checkpoint is complete, and what Trainer doesn't write into it.

    Attributes:
        loss: sum of the losses since the last row of metrics, a mean over the processes.
        since: the step of that row.
        evaluate: an evaluation was due at this step, and did not come to its end.
    """

    step: int
    time: float = 0.0
    loss: float = 0.0
    since: int = 0
    evaluate: bool = False


def mark_of(checkpoint: Path) -> Mark:
    """What is written in a whole checkpoint."""
    step = files.step_of(checkpoint)
    return files.read_struct(checkpoint / files.WHOLE, Mark) or Mark(step=step, since=step)


def several() -> bool:
    """Whether several processes train."""
    return distributed.is_available() and distributed.is_initialized()


def agreed(flag: bool) -> bool:
    """Whether it is true of any process; to be asked by all at once."""
    return bool(_over_all(float(flag), distributed.ReduceOp.MAX))


def _over_all(value: float, how: Any) -> float:
    if not several():
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    if distributed.get_backend() == "nccl":
        shared = shared.to(torch.accelerator.current_accelerator())
    distributed.all_reduce(shared, op=how)
    return float(shared.item())


class Drawn:
    """Batches that are made with random numbers, masks for example, and made alike at a resume.

    A batch is made before the step of the one before it is taken, so that the random state of a
    checkpoint is that after the next batch. What it was before is kept here.
    """

    def __init__(self, collate: Callable[[Any], Any], settle: Callable[[], None]) -> None:
        self._collate = collate
        self._settle = settle
        self.before: Tensor | None = None
        """The random state before the newest batch."""
        self.again: Tensor | None = None
        """The one that the next batch is to be made with."""
        self.settling = False
        """The batch after it goes on with the checkpoint's own."""

    def __call__(self, rows: Any) -> Any:
        """Make a batch."""
        if self.again is not None:
            torch.set_rng_state(self.again)
            self.again, self.settling = None, True
        elif self.settling:
            self._settle()
        self.before = torch.get_rng_state()
        return self._collate(rows)


class RunTrainer(Trainer):
    """Trainer with what it forgets at a resume."""

    resumed: Path | None = None
    """The checkpoint that it goes on from."""

    adapter_labels: tuple[str, ...] = ()
    """What the labels of an adapter's head are called, by id: Trainer has no place for them."""

    _drawn: Drawn | None = None
    _settled = False
    _before_evaluation: Tensor | None = None
    _after_evaluation: Tensor | None = None

    # -- random numbers ------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The batches; in the processes of a loader they are not made alike."""
        collate = self.data_collator
        if not self.args.dataloader_num_workers:
            drawn = self._drawn = Drawn(cast("Callable[[Any], Any]", collate), self._settle)
            self.data_collator = cast("Any", drawn)
            if self.resumed is not None and (place := self._random_file(self.resumed)).is_file():
                drawn.again = cast("Tensor", torch.load(place, weights_only=True))
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = collate

    def _random_file(self, checkpoint: Path) -> Path:
        return checkpoint / f"hfterm-batch-{self.args.process_index}.pt"

    def _settle(self) -> None:
        """Go on with the random state of the checkpoint: Trainer would do so a batch too late."""
        if self.resumed is not None:
            self._load_rng_state(str(self.resumed))
        self._settled = True

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if self._settled:
            self._settled = False
            return
        if self._drawn is not None:
            self._drawn.again, self._drawn.settling = None, False
        super()._load_rng_state(checkpoint)
        if self._after_evaluation is not None:
            torch.set_rng_state(self._after_evaluation)

    def evaluate(self, *args: Any, **named: Any) -> dict[str, float]:
        """Evaluate; one that is broken off is done again with the same random numbers."""
        self._before_evaluation = torch.get_rng_state()
        return super().evaluate(*args, **named)

    def _run_epoch(self, *args: Any, **named: Any) -> None:
        """An epoch, unless all was done before: Trainer looks only after another step."""
        state, control = self.state, self.control
        if control.should_training_stop or state.global_step >= state.max_steps:
            control.should_training_stop = True
            return
        super()._run_epoch(*args, **named)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint; while it is written over, it is not whole."""
        if self.args.should_save:
            (self.checkpoint / files.WHOLE).unlink(missing_ok=True)
        super()._save_checkpoint(model, trial)
        if self._drawn is not None and self._drawn.before is not None:
            torch.save(self._drawn.before, self._random_file(self.checkpoint))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the model, or the adapter and what its labels are called."""
        super().save_model(output_dir, _internal_call)
        if self.adapter_labels and self.args.should_save:
            write_label_names(Path(output_dir or self.args.output_dir or "."), self.adapter_labels)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of this step."""
        return Path(self.args.output_dir or ".") / f"checkpoint-{self.state.global_step}"

    @property
    def sharded(self) -> bool:
        """Whether no process has the whole model."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def save_now(self) -> None:
        """Write a checkpoint in the middle of an evaluation, unless this step has one."""
        if self._before_evaluation is not None:
            torch.set_rng_state(self._before_evaluation)
        if not agreed((self.checkpoint / files.WHOLE).is_file()):
            self._save_checkpoint(cast("nn.Module", self.model), None)
            self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def mark(self, *, evaluate: bool) -> Mark:
        """What a resume has to know; to be asked by all processes at once."""
        logged = self._globalstep_last_logged
        unlogged = cast("Tensor", self._tr_loss).item() if self.state.global_step > logged else 0.0
        world = distributed.get_world_size() if several() else 1
        loss = _over_all(float(unlogged), distributed.ReduceOp.SUM) / world
        return Mark(
            step=self.state.global_step,
            loss=loss,
            since=logged,
            evaluate=evaluate,
        )

    def weights_are_numbers(self) -> bool:
        """Whether what is trained is finite; always true of a sharded model."""
        if self.sharded or self.model is None:
            return True
        return all(
            bool(torch.isfinite(weights).all())
            for weights in self.model.parameters()
            if weights.requires_grad
        )

    # -- going on ------------------------------------------------------------------------

    def go_on(self) -> None:
        """Take up what a checkpoint can't hold, or Trainer doesn't read; before the first step."""
        state, args = self.state, self.args
        # what the recipe says now, not what it said then
        state.compute_steps(args, state.max_steps)
        if self.resumed is None:
            return
        mark = mark_of(self.resumed)
        if mark.since < mark.step:
            self._tr_loss += mark.loss
            self._globalstep_last_logged = mark.since
        self._new_learning_rate()
        self._patience_as_it_was()
        if mark.evaluate and self.eval_dataset is not None:
            self._evaluate_again()

    def _new_learning_rate(self) -> None:
        """The recipe's learning rate: the optimizer was saved with the one of then."""
        scheduler, rate = cast("Any", self.lr_scheduler), self.args.learning_rate
        bases = getattr(scheduler, "base_lrs", [])
        if not bases or all(math.isclose(base, rate) for base in bases):
            return
        for group, base in zip(scheduler.optimizer.param_groups, bases, strict=True):
            group["initial_lr"] = rate
            group["lr"] *= rate / base
        scheduler.base_lrs = [rate for _ in bases]
        scheduler._last_lr = [group["lr"] for group in scheduler.optimizer.param_groups]

    def _patience_as_it_was(self) -> None:
        stored = cast("dict[str, Any]", self.state.stateful_callbacks)
        for callback in self.callback_handler.callbacks:
            name = type(callback).__name__
            if isinstance(callback, ExportableState):
                # what the recipe did not have then is not there, and Trainer wants it
                stored.setdefault(name, callback.state())
            if isinstance(callback, EarlyStoppingCallback):
                told = stored[name][0] if isinstance(stored[name], list) else stored[name]
                count = int(told.get("attributes", {}).get("early_stopping_patience_counter", 0))
                callback.early_stopping_patience_counter = count
                if count >= callback.early_stopping_patience:
                    self.control.should_training_stop = True

    def _evaluate_again(self) -> None:
        """The evaluation that a stop broke off."""
        super()._load_rng_state(str(self.resumed))
        metrics = self._evaluate(None, None)
        self._after_evaluation = torch.get_rng_state()
        if self._determine_best_metric(metrics, None) and self.resumed is not None:
            self.state.best_model_checkpoint = str(self.resumed)
        if self.args.should_save and self.resumed is not None:
            # the checkpoint knows of it now, and another resume need not do it again
            place = self.resumed / TRAINER_STATE
            temporary = place.with_name(f".{place.name}")
            self.state.save_to_json(str(temporary))
            temporary.replace(place)
            mark = msgspec.structs.replace(mark_of(self.resumed), evaluate=False)
            files.write_struct(self.resumed / files.WHOLE, mark)


def best_until(checkpoint: Path, metric: str) -> tuple[float | None, int]:
    """The best value of a metric up to a checkpoint, and its step."""
    best, step = None, 0
    name = "loss" if metric == "perplexity" else metric
    for row in TrainerState.load_from_json(str(checkpoint / TRAINER_STATE)).log_history:
        value = row.get(f"eval_{name}")
        if not isinstance(value, int | float) or not math.isfinite(value):
            continue
        if best is None or (value < best if metric in LESS_IS_BETTER else value > best):
            best, step = float(value), int(row.get("step", 0))
    if best is not None and metric == "perplexity":
        best = math.exp(min(best, 700))
    return best, step
