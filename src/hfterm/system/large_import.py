"""Importing PyTorch and transformers without looking for garbage in them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def large_import(module: str) -> Generator[None]:
    """Look for no circular garbage meanwhile, and never again in what is there at the end.

    Of half a million new objects none is garbage, but Python goes over all of them again and
    again: a sixth of the time that the libraries of a run take to import.

    Args:
        module: what is imported; once it is there, nothing is done.
    """
    if module in sys.modules or not gc.isenabled():  # another thread imports, and ends it
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
