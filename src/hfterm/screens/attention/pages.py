"""The tabs' pages, each imported when it is first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hfterm.screens.attention.sight import AttentionPage

TITLES = ("Heads", "Ranking", "Lines", "Hidden", "Lens", "Compare")


def page_class(title: str) -> type[AttentionPage]:
    """The page of a tab."""
    match title:
        case "Heads":
            from hfterm.screens.attention.heads import HeadsPage

            return HeadsPage
        case "Ranking":
            from hfterm.screens.attention.ranking import RankingPage

            return RankingPage
        case "Lines":
            from hfterm.screens.attention.lines import LinesPage

            return LinesPage
        case "Hidden":
            from hfterm.screens.attention.hidden import HiddenPage

            return HiddenPage
        case "Lens":
            from hfterm.screens.attention.lens import LensPage

            return LensPage
        case _:
            from hfterm.screens.attention.compare import ComparePage

            return ComparePage
