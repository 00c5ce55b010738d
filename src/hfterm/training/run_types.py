"""A run as it is read back from its directory. Plain data; nothing heavy is here."""

from __future__ import annotations

from typing import Literal

import msgspec

RunStatus = Literal[
    "queued", "starting", "running", "stopping", "stopped", "finished", "failed", "died"
]
ACTIVE: frozenset[RunStatus] = frozenset({"starting", "running", "stopping"})
"""A process is at work."""

RESUMABLE: frozenset[RunStatus] = frozenset({"stopped", "failed", "died"})


class ProcessMark(msgspec.Struct, frozen=True):
    """A process that can be told from a later one with its number.

    Attributes:
        started: seconds since the system's start on Linux, since the epoch elsewhere.
        boot: the system's boot id: after a restart no process is the one meant.
    """

    pid: int
    started: float
    boot: str


class RunFailure(msgspec.Struct, frozen=True):
    """Why a run did not finish: as `HftermError` has it."""

    kind: str
    message: str
    remedy: str = ""


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """``state.json``: what the supervisor knows. Times are seconds since the epoch.

    Attributes:
        supervisor: the process that watches the run.
        worker: the process that trains.
        beat: when the supervisor last wrote.
        attempts: how often the run was started or resumed.
        order: place in the queue, lowest first.
        peak_memory: largest resident memory of the worker and its children, bytes.
        seconds: spent training, over all attempts.
    """

    status: RunStatus = "queued"
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    beat: float = 0.0
    host: str = ""
    supervisor: ProcessMark | None = None
    worker: ProcessMark | None = None
    attempts: int = 0
    order: float = 0.0
    error: RunFailure | None = None
    peak_memory: int = 0
    seconds: float = 0.0


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """``progress.json``: what the training process knows.

    Attributes:
        phase: what it does, in a word: ``loading``, ``training``, ``evaluating``, ``saving``.
        rate: steps a second, lately; 0 when not known.
        metrics: the newest value of each.
        best: of the metric that decides; None before the first evaluation.
        best_step: where it was.
        trainable: parameters.
        parameters: all of them.
        global_batch: rows that make one step, over all processes.
    """

    phase: str = ""
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    rate: float = 0.0
    metrics: dict[str, float | str] = {}
    best: float | None = None
    best_step: int = 0
    trainable: int = 0
    parameters: int = 0
    global_batch: int = 0
    train_rows: int = 0
    eval_rows: int = 0
    time: float = 0.0


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``events.jsonl``.

    Attributes:
        kind: ``queued``, ``started``, ``evaluated``, ``checkpointed``, ``alert``, ``resumed``,
            ``stopping``, ``stopped``, ``finished``, ``failed``, ``died``, ``note``.
        text: what happened, in words.
        step: at which step; -1 where that says nothing.
    """

    time: float
    kind: str
    text: str = ""
    step: int = -1
    values: dict[str, float | str] = {}


class SystemRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``system.jsonl``: the run's processes, and the machine.

    Attributes:
        memory: resident bytes of the run's processes.
        cpu: percent of one core that they take.
        gpus: utilization in percent, memory in bytes and temperature of each.
    """

    time: float
    memory: int
    cpu: float
    machine_cpu: float
    machine_used: int
    machine_total: int
    gpus: tuple[tuple[int | None, int | None, int | None], ...] = ()


class RunNotes(msgspec.Struct, frozen=True, kw_only=True):
    """``notes.json``: what the user says about a run."""

    note: str = ""
    tags: tuple[str, ...] = ()


class RunSample(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``samples.jsonl``: what the model made of a prompt at an evaluation."""

    step: int
    prompt: str
    answer: str


class Checkpoint(msgspec.Struct, frozen=True):
    """A checkpoint that is whole."""

    step: int
    path: str
    size: int
    time: float
    best: bool = False
