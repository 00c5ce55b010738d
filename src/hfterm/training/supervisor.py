"""The process that watches over a run: ``python -m hfterm.training.supervisor RUN_DIR``.

It forks into a session of its own and ends for its caller; what stays starts the training
process, beats, samples the machine, writes down how it ended, and starts the next of the queue.
Only this process writes ``state.json`` of an active run. No torch here: it takes 20 MB.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hfterm.errors import HftermError
from hfterm.system.samples import Sampler
from hfterm.training import run_files as files
from hfterm.training import store
from hfterm.training.launching import worker_command
from hfterm.training.run_types import RunFailure, RunStatus, SystemRow

if TYPE_CHECKING:
    import psutil

LOOK_EVERY = 0.25
"""Seconds between two looks at the training process."""

SAMPLE_EVERY = 2.0
BEAT_EVERY = 5.0


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

    def run(self) -> None:
        """Start the training process, and stay with it."""
        files.reserve(self._folder)
        self._change(
            status="starting", supervisor=files.mark_of(os.getpid()), started=self._began,
            attempts=self._state.attempts + 1, host=files.this_host(),
        )  # fmt: skip
        # nothing may end the watch but the end of the run
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminated)
        try:
            worker = self._start()
        except HftermError as error:
            self._end("failed", RunFailure(error.kind, error.message, error.remedy))
            return
        except OSError as error:
            self._end("failed", RunFailure("unstartable", f"No process: {error.strerror}.", ""))
            return
        self._change(worker=files.mark_of(worker.pid))
        self._watch(worker)
        self._conclude(worker.returncode)

    def _start(self) -> subprocess.Popen[bytes]:
        recipe = files.read_recipe_of(self._folder)
        return subprocess.Popen(
            worker_command(self._folder, recipe),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=str(self._folder),
        )

    def _terminated(self, *_: object) -> None:
        (self._folder / files.STOP).touch()

    def _watch(self, worker: subprocess.Popen[bytes]) -> None:
        sampled = beaten = 0.0
        while True:
            try:
                worker.wait(LOOK_EVERY)
                return
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

    def _status(self) -> RunStatus:
        if (self._folder / files.STOP).exists():
            return "stopping"
        if self._state.status == "starting":
            progress = files.progress_of(self._folder)
            ready = progress.phase in ("training", "evaluating", "saving", "done")
            return "running" if ready and progress.time >= self._began else "starting"
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
        if memory > self._state.peak_memory:
            self._state = msgspec.structs.replace(self._state, peak_memory=memory)

    _processes: dict[int, psutil.Process] | None = None

    def _known(self, pid: int) -> psutil.Process:
        """A process object is kept, since it counts the load since it was last asked."""
        import psutil

        if self._processes is None:
            self._processes = {}
        return self._processes.setdefault(pid, psutil.Process(pid))

    def _conclude(self, code: int) -> None:
        outcome = files.read_struct(self._folder / files.OUTCOME, files.Outcome)
        if outcome is not None:
            state = store.settled(self._state, outcome, time.time())
            self._end(state.status, state.error)
            return
        failure = RunFailure(
            "died", self._why(code), "Resume it: it goes on from the last whole checkpoint."
        )
        self._end("died", failure)

    def _why(self, code: int) -> str:
        if (self._folder / files.KILLED).exists():
            return "It was killed from hfterm."
        if code >= 0:
            return f"The process ended with exit code {code} and no word; see its log."
        name = signal.Signals(-code).name
        if name == "SIGKILL" and _oom_kills() > self._ooms:
            return "The system killed the process: memory ran out (SIGKILL by the OOM killer)."
        if name == "SIGKILL":
            share = f"{100 * self._memory_at_end:.0f} % of the memory was in use"
            return f"The process was killed from outside (SIGKILL); {share} just before."
        return f"The process was ended by {name}."

    def _end(self, status: RunStatus, error: RunFailure | None) -> None:
        (self._folder / files.STOP).unlink(missing_ok=True)
        self._change(status=status, error=error, ended=time.time())
        files.release(self._folder)
        self._change()
        text = error.message if error is not None else ""
        with suppress(OSError):
            files.add_event(self._folder, status, text, files.progress_of(self._folder).step)

    def _change(self, **changes: object) -> None:
        now = time.time()
        self._state = msgspec.structs.replace(
            self._state, beat=now, seconds=self._before + now - self._began, **changes
        )
        with suppress(OSError):  # a full disk; at the end there is room that was kept
            files.write_struct(self._folder / files.STATE, self._state)


def _oom_kills() -> int:
    """How often the system killed a process of this container for its memory."""
    try:
        lines = Path("/sys/fs/cgroup/memory.events").read_text().split()
    except OSError:
        return 0
    return int(lines[lines.index("oom_kill") + 1]) if "oom_kill" in lines else 0


def main() -> None:
    """Fork, watch, and start the next of the queue."""
    folder = Path(sys.argv[1]).absolute()
    if os.fork():
        os._exit(0)
    os.setsid()
    Supervisor(folder).run()
    with suppress(HftermError, OSError):
        store.next_of_queue()


if __name__ == "__main__":
    main()
