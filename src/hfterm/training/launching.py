"""The command that trains a run: alone, or by ``accelerate launch`` on several devices."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from hfterm.errors import HftermError
from hfterm.paths import expanded
from hfterm.training.recipe import Recipe
from hfterm.training.run_files import WORKER


def worker_command(folder: Path, recipe: Recipe) -> list[str]:
    """The command line.

    Raises:
        HftermError: accelerate's config file is not there.
    """
    training = recipe.training
    if training.processes == 1 and not training.accelerate_config:
        return [sys.executable, "-m", WORKER, str(folder)]
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    if training.accelerate_config:
        config = expanded(training.accelerate_config)
        if not config.is_file():
            raise HftermError(
                "not-found", f"There is no file {training.accelerate_config}.",
                "accelerate config writes one; name it in training.accelerate_config.",
            )  # fmt: skip
        command += ["--config_file", str(config)]
        if training.processes > 1:
            command += ["--num_processes", str(training.processes)]
    else:
        config = folder / "accelerate.yaml"
        config.write_text(accelerate_config(recipe))
        command += ["--config_file", str(config)]
    return [*command, "-m", WORKER, str(folder)]


def worker_environment() -> dict[str, str]:
    """The environment of that command: torch's launcher leaves SIGHUP alone, as it found it."""
    return {**os.environ, "PET_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT,SIGQUIT"}


def accelerate_config(recipe: Recipe) -> str:
    """A config of accelerate for the processors or the GPUs of one machine."""
    on_cpu = recipe.model.device == "cpu" or not _has_gpu()
    mixed = "no" if recipe.training.precision == "no" else recipe.training.precision
    return (
        "compute_environment: LOCAL_MACHINE\n"
        # of MULTI_CPU accelerate starts one process only, and leaves the others to MPI
        "distributed_type: MULTI_GPU\n"
        f"use_cpu: {'true' if on_cpu else 'false'}\n"
        f"num_processes: {recipe.training.processes}\n"
        "num_machines: 1\n"
        "machine_rank: 0\n"
        "main_process_ip: 127.0.0.1\n"
        f"main_process_port: {_free_port()}\n"
        f"mixed_precision: '{mixed}'\n"
        "main_training_function: main\n"
        "rdzv_backend: static\n"
        "same_network: true\n"
    )


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
