"""All keys there are: for remapping by id, and for the help."""

from __future__ import annotations

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from hfterm.screens.attention.figure import FigureModal
from hfterm.screens.attention.screen import AttentionScreen
from hfterm.screens.chat.history import HistoryPage
from hfterm.screens.chat.lab import LabPage
from hfterm.screens.chat.load_modal import ChatLoadModal
from hfterm.screens.chat.screen import ChatScreen
from hfterm.screens.chat.side import SidePage
from hfterm.screens.chat.talk import TalkPage
from hfterm.screens.chat.tokens import TokensPage
from hfterm.screens.library.data import DataRowsPage
from hfterm.screens.library.download import DownloadPage
from hfterm.screens.library.screen import LibraryScreen
from hfterm.screens.library.things import ThingsPage
from hfterm.screens.load_modal import LoadModal
from hfterm.screens.models.model_list import ModelList
from hfterm.screens.models.screen import ModelsScreen
from hfterm.screens.predict.screen import PredictScreen
from hfterm.screens.tokenize.pages import PAGES
from hfterm.screens.tokenize.screen import TokenizeScreen
from hfterm.screens.train.compare import ComparePage
from hfterm.screens.train.monitor import MonitorPage
from hfterm.screens.train.run_actions import RunPage
from hfterm.screens.train.runs import RunsPage
from hfterm.screens.train.screen import TrainScreen
from hfterm.widgets import modals
from hfterm.widgets.chart import Chart
from hfterm.widgets.composer import Composer
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.link_lines import LinkLines
from hfterm.widgets.recipe_form import RecipeForm
from hfterm.widgets.scatter import Scatter
from hfterm.widgets.starter_offer import StarterOffer
from hfterm.widgets.tab_line import TabLine
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.token_strip import TokenStrip
from hfterm.widgets.transcript import Transcript

OWNERS: tuple[type[DOMNode], ...] = (
    TokenizeScreen,
    ModelsScreen,
    ModelList,
    PredictScreen,
    AttentionScreen,
    ChatScreen,
    TalkPage,
    TokensPage,
    LabPage,
    SidePage,
    HistoryPage,
    ChatLoadModal,
    Transcript,
    Composer,
    TrainScreen,
    RunPage,
    RunsPage,
    MonitorPage,
    ComparePage,
    LibraryScreen,
    ThingsPage,
    DataRowsPage,
    DownloadPage,
    LoadModal,
    FigureModal,
    Confirm,
    *(page.load() for page in PAGES),
    DataGrid,
    TextEditor,
    TabLine,
    TokenStrip,
    Choice,
    HeadGrid,
    Heatmap,
    LinkLines,
    Scatter,
    Chart,
    RecipeForm,
    StarterOffer,
    modals.Modal,
    modals.CodeModal,
    modals.HelpModal,
    modals.LogsModal,
    modals.ModelPicker,
)
"""Everything of hfterm's own that has keys."""


def all_bindings(app: type[App[None]]) -> list[Binding]:
    """The bindings of the application and of `OWNERS`, each id once."""
    found: dict[str, Binding] = {}
    for owner in (app, *OWNERS):
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id:
                found.setdefault(binding.id, binding)
    return list(found.values())


def help_text(screen: Screen[object]) -> str:
    """Markdown: help of the focused field, the screen, and what has the focus and holds it."""
    parts: list[str] = []
    field = screen.focused.tooltip if screen.focused else None
    if isinstance(field, str):
        parts.append("## This field\n" + "\n\n".join(field.splitlines()))
    chain = list(screen.focused.ancestors_with_self) if screen.focused else [screen]
    for node in reversed(chain):
        if node.HELP:
            parts.append(node.HELP)
    return "\n\n".join(parts)


def keys_here(screen: Screen[object]) -> list[tuple[str, str]]:
    """(key, what it does) of every key that acts now."""
    rows: list[tuple[str, str]] = []
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id and not binding.system:
            key = screen.app.get_key_display(binding)
            rows.append((key, active.tooltip or binding.description))
    return list(dict.fromkeys(rows))
