"""Sampling as people type it: a text for every field, and what is wrong with one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from hfterm.chat.types import Sampling
from hfterm.errors import HftermError

LIMITS: dict[str, tuple[float, float, str]] = {
    "temperature": (0, 100, "0 (greedy) to 100; 0.7 is usual"),
    "top_k": (0, 1_000_000, "0 (all) or a whole number; 50 is usual"),
    "top_p": (1e-6, 1, "above 0 and not above 1; 0.95 is usual"),
    "min_p": (0, 1, "0 (off) to 1; 0.05 is usual"),
    "repetition_penalty": (0.01, 10, "1 (off) to 10; 1.1 is usual"),
    "max_new_tokens": (1, 10_000_000, "1 or more"),
    "stop": (0, 0, "texts separated by commas; \\, is a comma, \\n a line feed"),
    "seed": (0, 2**63 - 1, "a whole number, or nothing"),
}
"""Lowest and highest value of each field, and what would be right."""

WHOLE = ("top_k", "max_new_tokens", "seed")


def sampling_texts(sampling: Sampling) -> dict[str, str]:
    """Every field as text, in the order of `LIMITS`."""
    values = msgspec.structs.asdict(sampling)
    values["stop"] = ",".join(_escaped(stop) for stop in sampling.stop)
    values["seed"] = "" if sampling.seed is None else sampling.seed
    return {
        name: str(values[name]).removesuffix(".0") if name != "stop" else values[name]
        for name in LIMITS
    }


def sampling_difference(sampling: Sampling, other: Sampling) -> str:
    """The fields that differ from another sampling's: ``temperature 0, top k 1``."""
    theirs = sampling_texts(other)
    return ", ".join(
        f"{name.replace('_', ' ')} {value or 'none'}"
        for name, value in sampling_texts(sampling).items()
        if value != theirs[name]
    )


def read_sampling(texts: Mapping[str, str]) -> Sampling:
    """The sampling that the texts say; `sampling_texts` the other way round.

    Raises:
        HftermError: a field holds what it can't; it is named, with what would be right.
    """
    found: dict[str, object] = {}
    for name, (low, high, right) in LIMITS.items():
        text = texts[name].strip() if name != "stop" else texts[name]
        if name == "stop":
            found[name] = _stops(text)
        elif name == "seed" and not text:
            found[name] = None
        else:
            found[name] = _number(name, text, low, high, right)
    return msgspec.convert(found, Sampling)


def _number(name: str, text: str, low: float, high: float, right: str) -> float:
    try:
        value = int(text) if name in WHOLE else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise HftermError("bad-field", f"“{name}” is {text!r}.", f"It takes {right}.")
    return value


def _escaped(text: str) -> str:
    for plain, escape in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), (",", "\\,")):
        text = text.replace(plain, escape)
    return text


def _stops(text: str) -> tuple[str, ...]:
    marks = {"n": "\n", "t": "\t", "\\": "\\", ",": ","}
    stops = [""]
    letters = iter(text)
    for letter in letters:
        if letter == ",":
            stops.append("")
        elif letter == "\\":
            after = next(letters, "")
            stops[-1] += marks.get(after, letter + after)
        else:
            stops[-1] += letter
    return tuple(stop for stop in stops if stop)
