"""Whole numbers typed into fields."""

from __future__ import annotations

from hfterm.widgets.notice import Notice


def whole_number(notice: Notice, label: str, text: str, least: int = 1) -> int | None:
    """The number in a field; None when there is none, and the notice then says so."""
    plain = text.strip().replace(",", "").replace("_", "")
    if plain.isdecimal() and int(plain) >= least:
        return int(plain)
    notice.show(f"“{label}” is {text!r}, which is no whole number from {least}.", "Type one.")
    return None
