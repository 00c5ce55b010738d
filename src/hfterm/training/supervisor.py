"""The process that watches over a run: ``python -m hfterm.training.supervisor RUN_DIR [LOCK]``.

It forks into a session of its own and ends for its caller; what stays starts the training
process, beats, samples the machine, writes down how it ended, and starts the next of the queue.
Only this process writes ``state.json`` of an active run. No torch here: it takes 20 MB.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hfterm.errors import HftermError
from hfterm.system.samples import Sampler
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.launching import worker_command, worker_environment
from hfterm.training.run_types import RunFailure, RunStatus, SystemRow

if TYPE_CHECKING:
    import psutil

LOOK_EVERY = 0.25
"""Seconds between two looks at the training process."""

SAMPLE_EVERY = 2.0
BEAT_EVERY = 5.0
LINGER = 5.0
"""Seconds that the training process may take to end after it told its outcome."""

NEARLY_ALL = 0.9
"""Share of the memory from which a kill from outside is put down to it."""

LESS = (
    "Resume it with a smaller training.batch_size (and more training.accumulate) or a smaller "
    "data.max_length; or clone it with the method lora or qlora."
)
EXIT_CODE = re.compile(rb"exitcode\s*:\s*(-?\d+)")
"""How torch's launcher tells what became of a process of several."""


class Supervisor:
    """One run, from its start to its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sampler = Sampler()
        self._state = files.state_of(folder)
        self._began = time.time()
        self._before = self._state.seconds
        self._ooms = _oom_kills()
        self._memory_at_end = 0.0
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self, ready: Callable[[], None]) -> None:
        """Start the training process, and stay with it.

        Args:
            ready: called when the state says that this process watches.
        """
        # nothing may end the watch but the end of the run
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminated)
        self._change(
            status="starting", supervisor=files.mark_of(os.getpid()), started=self._began,
            attempts=self._state.attempts + 1, host=files.this_host(),
        )  # fmt: skip
        ready()
        files.reserve(self._folder)
        files.end_strays(self._folder)
        try:
            self._worker = worker = self._start()
        except HftermError as error:
            self._end("failed", RunFailure(error.kind, error.message, error.remedy))
            return
        except OSError as error:
            self._end("failed", RunFailure("unstartable", f"No process: {error.strerror}.", ""))
            return
        self._change(worker=files.mark_of(worker.pid))
        self._watch(worker)
        files.end_group(worker.pid)
        files.end_strays(self._folder)
        self._conclude(worker.returncode)

    def _start(self) -> subprocess.Popen[bytes]:
        recipe = files.read_recipe_of(self._folder)
        return subprocess.Popen(
            worker_command(self._folder, recipe),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=str(self._folder),
            env=worker_environment(),
        )

    def _terminated(self, *_: object) -> None:
        try:
            (self._folder / files.STOP).touch()
        except OSError:  # a full disk
            if self._worker is not None and self._worker.returncode is None:
                self._worker.terminate()

    def _watch(self, worker: subprocess.Popen[bytes]) -> None:
        sampled = beaten = told = 0.0
        while True:
            try:
                worker.wait(LOOK_EVERY)
                break
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            if now - sampled >= SAMPLE_EVERY:
                sampled = now
                self._sample(worker.pid)
            status = self._status()
            if status != self._state.status or now - beaten >= BEAT_EVERY:
                beaten = now
                self._change(status=status)
            if (self._folder / files.OUTCOME).exists():
                told = told or now
                if now - told > LINGER:  # it hangs at its end, or others of several do
                    files.end_group(worker.pid)
                    files.end_strays(self._folder)
        # a short run ends between two samples
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
        self._peak(peak)

    def _status(self) -> RunStatus:
        if (self._folder / files.STOP).exists():
            return "stopping"
        if self._state.status == "starting" and files.has_begun(self._folder, self._began):
            return "running"
        return self._state.status

    def _sample(self, pid: int) -> None:
        import psutil

        memory, cpu = 0, 0.0
        with suppress(psutil.Error):
            parent = self._known(pid)
            for process in [parent, *parent.children(recursive=True)]:
                with suppress(psutil.Error):
                    known = self._known(process.pid)
                    memory += int(known.memory_info().rss)
                    cpu += float(known.cpu_percent())
        machine = self._sampler.sample()
        self._memory_at_end = machine.ram_used / machine.ram_total
        row = SystemRow(
            time=round(time.time(), 3), memory=memory, cpu=cpu, machine_cpu=machine.cpu_percent,
            machine_used=machine.ram_used, machine_total=machine.ram_total,
            gpus=tuple((g.utilization, g.memory_used, g.temperature) for g in machine.gpus),
        )  # fmt: skip
        with suppress(OSError):  # a full disk: the next one may be written again
            files.append_line(self._folder / files.SYSTEM, row)
        self._peak(memory)

    def _peak(self, memory: int) -> None:
        if memory > self._state.peak_memory:
            self._state = msgspec.structs.replace(self._state, peak_memory=memory)

    _processes: dict[int, psutil.Process] | None = None

    def _known(self, pid: int) -> psutil.Process:
        """A process object is kept, since it counts the load since it was last asked."""
        import psutil

        if self._processes is None:
            self._processes = {}
        if pid not in self._processes:
            self._processes[pid] = psutil.Process(pid)
        return self._processes[pid]

    def _conclude(self, code: int) -> None:
        outcome = files.outcome_of(self._folder)
        lost = outcome is not None and outcome.error is not None and outcome.error.kind == "lost"
        if outcome is not None and not lost and not self._forsaken(outcome, code):
            state = store.settled(self._state, outcome, time.time())
            self._end(state.status, state.error)
            return
        self._end("died", self._why(code))

    def _forsaken(self, outcome: files.Outcome, code: int) -> bool:
        """Whether several processes stopped only because their launcher was killed."""
        return (
            outcome.status == "stopped"
            and code == -signal.SIGKILL
            and not (self._folder / files.STOP).exists()
            and files.read_recipe_of(self._folder).training.processes > 1
        )

    def _why(self, code: int) -> RunFailure:
        if (self._folder / files.KILLED).exists():
            return RunFailure("died", "It was killed from hfterm.", store.GO_ON)
        if code > 0:
            code = self._of_several(code)
        if code >= 0:
            why = f"The process ended with exit code {code} and no word; see its log."
            return RunFailure("died", why, store.GO_ON)
        name = signal.Signals(-code).name
        if name == "SIGKILL" and _oom_kills() > self._ooms:
            why = "The system killed the process: memory ran out (SIGKILL by the OOM killer)."
            return RunFailure("out-of-memory", why, LESS)
        if name == "SIGKILL":
            share = f"{100 * self._memory_at_end:.0f} % of the memory was in use just before"
            why = f"The process was killed from outside (SIGKILL); {share}."
            if self._memory_at_end > NEARLY_ALL:
                return RunFailure("out-of-memory", why, LESS)
            return RunFailure("died", why, store.GO_ON)
        return RunFailure("died", f"The process was ended by {name}.", store.GO_ON)

    def _of_several(self, code: int) -> int:
        """What ended a process of several: their launcher itself ends with 1, and logs it."""
        with suppress(OSError), (self._folder / files.LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
            codes = [int(found) for found in EXIT_CODE.findall(log.read())]
            # the launcher itself ends the others by SIGTERM
            return next((found for found in codes if found < 0 and found != -15), code)
        return code

    def _end(self, status: RunStatus, error: RunFailure | None) -> None:
        (self._folder / files.STOP).unlink(missing_ok=True)
        progress = files.progress_of(self._folder)
        if error is not None:
            text = error.message
        else:
            seconds = time.time() - self._began
            text = f"step {progress.step:,} of {progress.total_steps:,}, {files.took(seconds)}"
        files.release(self._folder)
        with suppress(OSError):
            files.add_event(self._folder, status, text, progress.step)
        self._change(status=status, error=error, ended=time.time())

    def _change(self, **changes: object) -> None:
        now = time.time()
        self._state = msgspec.structs.replace(
            self._state, beat=now, seconds=self._before + now - self._began, **changes
        )
        with suppress(OSError):  # a full disk; at the end there is room that was kept
            files.write_struct(self._folder / files.STATE, self._state)


def _oom_kills() -> int:
    """How often the system killed a process of this container, or machine, for its memory."""
    for place in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        with suppress(OSError):
            words = Path(place).read_text().split()
            if "oom_kill" in words:
                return int(words[words.index("oom_kill") + 1])
    return 0


def main() -> None:
    """Fork, watch, and start the next of the queue."""
    folder = Path(sys.argv[1]).absolute()
    # the lock on the run comes with it, and is let go when this process is no more
    lock = int(sys.argv[2]) if len(sys.argv) > 2 else -1
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        # the starter waits until somebody watches, so that no run is left between two
        os._exit(0 if os.read(reader, 1) else 1)
    os.close(reader)
    os.setsid()

    def ready() -> None:
        os.write(writer, b"1")
        os.close(writer)

    Supervisor(folder).run(ready)
    if lock >= 0:
        os.close(lock)
    with suppress(HftermError, OSError):
        run_control.next_of_queue()


if __name__ == "__main__":
    main()
