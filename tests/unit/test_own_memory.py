"""What is freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from hfterm.system.own_memory import own_memory, trim

kept = [bytes(4_000) for _ in range(20_000)]
full = own_memory()
del kept[:-1]  # what is left holds the end of the heap
holes = own_memory()
trim()
print(full - own_memory(), full - holes)
"""


def test_freed_memory_between_what_is_kept_is_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    given, before = map(int, ran.stdout.split())
    assert given > 60e6 > before
