"""One engine for all sections, in the folder that the walks are in: paths mean the same to both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilot_app import BackgroundEngine
from screen_fixtures import make_app

__all__ = ["make_app"]

KEPT = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HFTERM_STARTER")


@pytest.fixture(scope="module")
def walk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works."""
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def background_engine(
    starter_kit: Path, walk_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackgroundEngine]:
    """One warm engine process, started in the reader's folder."""
    with pytest.MonkeyPatch.context() as patch:  # a fixture of a module comes before `isolated`
        patch.chdir(walk_folder)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("tutorial-engine-home")))
        for name in [*os.environ]:
            if name.startswith(("XDG_", "HF_", "HFTERM_")) and name not in KEPT:
                patch.delenv(name)
        background = BackgroundEngine()
        background.warm()
    yield background
    background.close()
