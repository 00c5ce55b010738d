"""On a GPU hfterm computes what it computes on the processor. The GPU is `pretend_gpu`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[1] / "gpu_cases.py"


@pytest.mark.parametrize("group", ["predict", "attention", "chat"])
def test_the_results_are_the_processors(model_zoo: dict[str, Path], group: str) -> None:
    folders = [f"{name}={folder}" for name, folder in model_zoo.items()]
    told = subprocess.run(
        [sys.executable, CASES, group, *folders], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout.splitlines()[-1])
    assert len(found) >= 3
    for name, trouble in found.items():
        assert not trouble, f"{name}:\n{trouble}"
