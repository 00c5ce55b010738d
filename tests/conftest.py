"""What every test directory shares: the zoo of tokenizers. Makes `zoo` and `corpus` importable."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoo import build_zoo

if TYPE_CHECKING:
    from hfterm.tokenization.loading import LoadedTokenizer


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → folder of every zoo member, built once a session. Read only."""
    return build_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def opened(zoo: dict[str, Path]) -> Callable[[str], LoadedTokenizer]:
    """Open a zoo member through AutoTokenizer, each once a session. Imports transformers."""
    from hfterm.tokenization.loading import load

    @cache
    def open_member(name: str) -> LoadedTokenizer:
        return load(str(zoo[name]))

    return open_member
