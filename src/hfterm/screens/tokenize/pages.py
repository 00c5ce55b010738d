"""The tabs of the Tokenize screen, in order."""

from __future__ import annotations

from hfterm.screens.tokenize.audit import AuditPage
from hfterm.screens.tokenize.batch import BatchPage
from hfterm.screens.tokenize.compare import ComparePage
from hfterm.screens.tokenize.config import ConfigPage
from hfterm.screens.tokenize.page import TokenizePage
from hfterm.screens.tokenize.steps import StepsPage
from hfterm.screens.tokenize.table import TablePage
from hfterm.screens.tokenize.template import TemplatePage
from hfterm.screens.tokenize.train import TrainPage
from hfterm.screens.tokenize.vocabulary import VocabularyTab

PAGES: tuple[type[TokenizePage], ...] = (
    TablePage,
    StepsPage,
    BatchPage,
    VocabularyTab,
    TemplatePage,
    ComparePage,
    ConfigPage,
    TrainPage,
    AuditPage,
)
