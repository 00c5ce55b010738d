"""The screens' stylesheets: Textual applies all of those it has read to every screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hfterm

SHEETS = sorted((Path(hfterm.__file__).parent / "screens").glob("*/*.tcss"))


def selectors(sheet: Path) -> list[str]:
    """What each rule of a sheet is for, a comma's parts by themselves."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"([^{}]+)\{", text)
    return [part.strip() for head in heads for part in head.split(",")]


@pytest.mark.parametrize("sheet", SHEETS, ids=[sheet.parent.name for sheet in SHEETS])
def test_a_rule_names_its_screen(sheet: Path) -> None:
    """Else it lays out a widget of another screen, and only once its own screen was made."""
    name = f"{sheet.parent.name.capitalize()}Screen"
    found = selectors(sheet)
    assert found
    assert [one for one in found if not one.startswith(name)] == []


def test_there_is_a_sheet_for_every_screen() -> None:
    assert {sheet.parent.name for sheet in SHEETS} >= {
        "tokenize", "models", "predict", "attention", "train", "chat",
    }  # fmt: skip
