"""The screens' stylesheets: Textual applies all of them to every screen."""

from __future__ import annotations

from pathlib import Path

import pytest

import hfterm

SHEETS = sorted((Path(hfterm.__file__).parent / "screens").glob("*/*.tcss"))


@pytest.mark.parametrize("sheet", SHEETS, ids=[sheet.parent.name for sheet in SHEETS])
def test_a_rule_for_an_id_names_its_screen(sheet: Path) -> None:
    """Else one screen's rule lays out a widget of another that has the same id."""
    rules = [line for line in sheet.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
    assert not rules


def test_there_is_a_sheet_for_every_screen() -> None:
    assert {sheet.parent.name for sheet in SHEETS} >= {
        "tokenize", "models", "predict", "attention",
    }  # fmt: skip
