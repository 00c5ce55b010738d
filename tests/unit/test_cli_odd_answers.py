"""Commands where there is nothing to list, nothing to bring, a no, or an error of its own kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_here import hfterm_here as hfterm
from hfterm import paths
from hfterm.cli_work import failed
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.hub import starter


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No starter kit, and an empty hub cache."""
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "starter"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def settings(*lines: str) -> None:
    file = paths.settings_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


# -- library -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing")
def test_an_empty_library_says_what_fills_it() -> None:
    settings('library_folders = "/nowhere/one:/nowhere/two"')
    done = hfterm("library")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "! There is no folder /nowhere/one.",
        "! There is no folder /nowhere/two.",
        "Nothing is here yet. hfterm starter brings the starter kit.",
    ]
    gone = hfterm("library", "verify", "nothing")
    assert gone.exit_code == 1
    assert "Nothing here is called 'nothing'.\n  hfterm starter brings" in gone.stderr


@pytest.mark.usefixtures("nothing")
def test_what_is_here_is_a_table_and_a_sum(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rows.csv").write_text("a\n1\n")
    settings(f'library_folders = "{tmp_path / "mine"}:/nowhere"')
    done = hfterm("library")
    assert done.exit_code == 0
    assert "rows.csv" in done.stdout
    assert "data set" in done.stdout
    assert "There is no folder /nowhere." in done.stderr
    assert "4 B, " in done.stderr
    assert done.stderr.rstrip().endswith("free")


@pytest.mark.usefixtures("nothing")
def test_what_is_checked_is_said_in_json_and_damage_ends_with_1(tmp_path: Path) -> None:
    model = tmp_path / "mine" / "one"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    settings(f'library_folders = "{tmp_path / "mine"}"')
    whole = hfterm("library", "verify", model, "--json")
    assert whole.exit_code == 0
    assert json.loads(whole.stdout) == {"right": 1, "unknown": 0, "wrong": []}
    told = hfterm("library", "verify", model).stdout
    assert told == "1 files as they should be, 0 without a hash.\n"
    (model / "config.json").write_text("{")
    wrong = hfterm("library", "verify", model, "--json")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout)["wrong"][0][0] == "config.json"
    assert "is damaged.\n  Write it again." in wrong.stderr
    told = hfterm("library", "verify", model)
    assert "config.json: it is not whole JSON" in told.stdout
    assert hfterm("library", "delete", model, "--yes").exit_code == 1
    assert model.is_dir()


@pytest.mark.usefixtures("nothing")
def test_a_no_deletes_nothing_and_a_yes_does() -> None:
    mine = paths.tokenizers_dir() / "mine"
    mine.mkdir(parents=True)
    (mine / "tokenizer.json").write_text("{}")
    for typed in ("n\n", "\n", ""):
        kept = hfterm("library", "delete", mine, typed=typed)
        assert kept.exit_code == 1
        assert "Delete " in kept.stderr
        assert mine.is_dir()
    gone = hfterm("library", "delete", mine, typed="y\n")
    assert gone.exit_code == 0
    assert "\nDeleted " in gone.stdout
    assert not mine.exists()


# -- the starter kit and the settings ------------------------------------------------------------


def test_a_kit_that_is_here_is_not_brought_again(starter_kit: Path) -> None:
    done = hfterm("starter", "minilm", "--json")
    assert done.exit_code == 0
    assert done.stderr == ""
    (minilm,) = [item for item in json.loads(done.stdout) if item["name"] == "minilm"]
    assert minilm["installed"]
    assert hfterm("starter", "minilm").stdout.count("✓") >= len(starter.STARTER)


def test_what_is_wrong_with_the_settings_is_said_beside_them() -> None:
    settings('mouse = "often"', "nonsense = 3")
    done = hfterm("settings")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"# {paths.settings_file()}")
    said = [line for line in done.stderr.splitlines() if line.startswith("hfterm: ")]
    assert len(said) == 2
    assert "mouse" in said[0] + said[1]
    assert "nonsense" in said[0] + said[1]


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "remedy", "said"),
    [
        ("engine-died", "F5 starts it again.", "hfterm: It ended.\n  Run the command again.\n"),
        ("disk", "", "hfterm: It ended.\n"),
        ("disk", "Free \x1b some space.", "hfterm: It ended.\n  Free ␛ some space.\n"),
    ],
)
def test_an_error_is_one_line_and_another_where_something_can_be_done(
    capsys: pytest.CaptureFixture[str], kind: str, remedy: str, said: str
) -> None:
    assert failed(HftermError(kind, "It ended.", remedy)).exit_code == 1
    assert capsys.readouterr().err == said


def test_a_fault_inside_names_where_the_details_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed(HftermError("internal", "It ended.", "F8 shows the details."))
    said = capsys.readouterr().err
    assert said.splitlines()[1] == "  Run hfterm doctor, or open it on screen and press F8."
    log = paths.logs_dir() / EngineClient("cli", warm=False).log_file.name
    log.parent.mkdir(parents=True)
    log.write_text("Traceback")
    failed(HftermError("internal", "It ended.", "F8 shows the details."))
    assert capsys.readouterr().err.splitlines()[1] == f"  {log} has the details."


# -- predictions ---------------------------------------------------------------------------------


def test_two_texts_are_named_before_what_is_said_of_each(model_zoo: dict[str, Path]) -> None:
    done = hfterm("predict", model_zoo["bert-labels"], "The fox", "A dog", "--task",
                  "text-classification")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines.index("The fox") < lines.index("A dog")
