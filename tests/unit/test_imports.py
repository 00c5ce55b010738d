"""Who may import what, and that every key and every focusable thing explains itself."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from textual.screen import Screen
from textual.widget import Widget

import hfterm
from hfterm.app import HftermApp
from hfterm.screens.bindings import OWNERS, all_bindings

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "datasets", "peft", "bitsandbytes"}
DRAWING = {"textual", "rich"}


def modules(*packages: str) -> list[str]:
    """Every module of hfterm under some packages, themselves included."""
    names = [found.name for found in pkgutil.walk_packages(hfterm.__path__, f"{hfterm.__name__}.")]
    return [name for name in names if any(f"{name}.".startswith(f"{p}.") for p in packages)]


def loaded_after(*names: str) -> set[str]:
    """Top-level packages in a fresh process that imported `names`."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_interface_imports_nothing_heavy() -> None:
    names = ["hfterm.app", "hfterm.launch", *modules("hfterm.screens", "hfterm.widgets")]
    assert "hfterm.screens.tokenize.train" in names
    assert {"hfterm.screens.models.memory", "hfterm.screens.predict.batch"} <= set(names)
    loaded = loaded_after(*names, "hfterm.engine.client")
    assert "textual" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_the_first_frame_imports_no_tab() -> None:
    code = (
        "import sys\nimport hfterm.app\n"
        "print([m for m in sys.modules if m.startswith('hfterm.screens.tokenize.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for tab in ("train", "batch", "compare", "audit"):
        assert f"tokenize.{tab}'" not in done.stdout


@pytest.mark.parametrize(
    "package",
    [
        "hfterm.tokenization",
        "hfterm.models",
        "hfterm.inference",
        "hfterm.hub",
        "hfterm.system",
        "hfterm.engine",
        "hfterm.job",
    ],
)
def test_the_domain_never_imports_textual(package: str) -> None:
    names = [name for name in modules(package) if not name.endswith("__main__")]
    assert names
    loaded = loaded_after(*names)
    assert DRAWING.isdisjoint(loaded)
    assert HEAVY.isdisjoint(loaded), "heavy libraries are imported by the functions that need them"


def test_import_contracts_are_kept() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


# -- keys and help -----------------------------------------------------------------------------


def own_widgets() -> list[type[Widget]]:
    """Every widget and screen class that hfterm defines."""
    found: dict[str, type[Widget]] = {}
    for name in modules("hfterm.widgets", "hfterm.screens"):
        for _, cls in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if issubclass(cls, Widget) and cls.__module__.startswith("hfterm."):
                found[f"{cls.__module__}.{cls.__qualname__}"] = cls
    return list(found.values())


def test_every_binding_explains_itself() -> None:
    bindings = all_bindings(HftermApp)
    assert len(bindings) > 30
    for binding in bindings:
        assert binding.description, binding
        assert binding.tooltip, binding
        assert not binding.tooltip[0].islower(), binding
        assert not binding.tooltip.endswith("."), binding


def test_every_binding_can_be_remapped() -> None:
    """Each class with keys is in the list of owners, and each key has an id."""
    for cls in [*own_widgets(), HftermApp]:
        bindings = cls.__dict__.get("BINDINGS", ())
        if bindings:
            assert cls in (*OWNERS, HftermApp), f"{cls.__qualname__} is not in OWNERS"
        for binding in bindings:
            assert getattr(binding, "id", None), f"{cls.__qualname__}: {binding} has no id"


def test_binding_ids_are_unique() -> None:
    ids = [
        binding.id
        for owner in (HftermApp, *OWNERS)
        for binding in owner.__dict__.get("BINDINGS", ())
    ]
    assert sorted(ids) == sorted(set(ids))


def test_every_letter_has_a_twin_that_always_works() -> None:
    """A letter or digit is only a key while no text is typed, so another key does the same."""
    actions: dict[str, list[str]] = {}
    for binding in all_bindings(HftermApp):
        actions.setdefault(binding.action, []).extend(binding.key.split(","))
    lonely = {
        action: keys
        for action, keys in actions.items()
        if all(len(key) == 1 for key in keys) and action not in BUTTONS
    }
    assert not lonely


BUTTONS = {"start", "install_first"}
"""Actions that a button, or Enter, does too."""

FORBIDDEN_KEYS = {"ctrl+b", "ctrl+a", "ctrl+s", "ctrl+enter", "alt+b", "alt+f"}
"""Taken by tmux, screen, flow control, sent by few terminals, or taken by Textual for a word back
and a word forth, as readline has them."""


def test_no_key_that_terminals_take() -> None:
    for binding in all_bindings(HftermApp):
        assert FORBIDDEN_KEYS.isdisjoint(binding.key.split(",")), binding


def focusable(cls: type[Widget]) -> bool:
    return bool(cls.__dict__.get("can_focus", False)) or issubclass(cls, Screen)


GROUNDS = {
    "Modal", "WorkbenchScreen", "TabPage", "TokenizePage", "ModelPage", "PredictPage",
    "AttentionPage", "AttentionDesk", "Drawn", "ModelScreen",
}  # fmt: skip
"""Classes that others stand on."""


def test_every_screen_and_focusable_widget_has_help() -> None:
    checked = [
        cls
        for cls in own_widgets()
        if (focusable(cls) or cls.__name__.endswith("Page")) and cls.__name__ not in GROUNDS
    ]
    names = {cls.__name__ for cls in checked}
    assert {"TokenizeScreen", "DataGrid", "TokenStrip", "CodeModal", "TrainPage"} <= names
    for cls in checked:
        assert cls.HELP, f"{cls.__qualname__} has no HELP"
        assert cls.HELP.startswith("#"), cls
        # a sign that begins a line would be drawn as a list's bullet
        assert "\n+ " not in cls.HELP, cls
