"""The tabs of the Tokenize screen, in order. A tab's module is imported when it is first opened."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from hfterm.screens.tokenize.page import TokenizePage


@dataclass(frozen=True)
class PageEntry:
    """A tab.

    Attributes:
        title: its word in the line of tabs.
        name: module and class.
        uses_text: whether the text panel belongs to it.
        uses_strip: whether the token strip does.
    """

    title: str
    name: str
    uses_text: bool = True
    uses_strip: bool = False

    def load(self) -> type[TokenizePage]:
        """Its class."""
        module, _, name = self.name.partition(":")
        return cast(
            "type[TokenizePage]",
            getattr(import_module(f"hfterm.screens.tokenize.{module}"), name),
        )


PAGES: tuple[PageEntry, ...] = (
    PageEntry("Table", "table:TablePage", uses_strip=True),
    PageEntry("Steps", "steps:StepsPage"),
    PageEntry("Batch", "batch:BatchPage", uses_text=False),
    PageEntry("Vocabulary", "vocabulary:VocabularyPage", uses_text=False),
    PageEntry("Template", "template:TemplatePage", uses_text=False),
    PageEntry("Compare", "compare:ComparePage"),
    PageEntry("Config", "config:ConfigPage", uses_text=False),
    PageEntry("Train", "train:TrainPage", uses_text=False),
    PageEntry("Audit", "audit:AuditPage", uses_strip=True),
)
