"""The lines that Show code's scripts share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

AUTO = "from transformers import AutoTokenizer\n"


def opened(source: str, text: str | Path = "") -> str:
    """The imports, and the tokenizer opened from `source`."""
    path = "from pathlib import Path\n\n" if isinstance(text, Path) else ""
    return f"{path}{AUTO}\ntokenizer = AutoTokenizer.from_pretrained({source!r})\n"


def text_line(text: str | Path) -> str:
    """The text, written out or read from its file."""
    if isinstance(text, Path):
        return f"text = Path({str(text)!r}).read_bytes().decode('utf-8-sig', errors='replace')\n"
    return f"text = {text!r}\n"


def list_lines(name: str, values: Sequence[str]) -> str:
    """A list, one item a line."""
    return f"{name} = [\n" + "".join(f"    {value!r},\n" for value in values) + "]\n"
