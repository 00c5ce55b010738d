"""The commands, run as a user runs them: the installed script, its output and exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli_here import hfterm_here, shared_engine
from hfterm import __version__
from hfterm.cli_work import failed
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError

if TYPE_CHECKING:
    from hfterm.tokenization.loading import LoadedTokenizer

HFTERM = Path(sys.executable).with_name("hfterm")
_ = shared_engine  # a fixture

FIELDS = ["index", "id", "token", "start", "end", "word", "sequence", "type_id", "mask", "special"]


def hfterm(
    *arguments: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [HFTERM, *arguments],
        input=stdin,
        capture_output=True,
        env=None if env is None else {**os.environ, **env},
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def assert_two_lines(stderr: str) -> tuple[str, str]:
    """What went wrong and what to do: nothing else."""
    lines = stderr.splitlines()
    assert len(lines) == 2, stderr
    assert lines[0].startswith("hfterm: ")
    assert lines[1].startswith("  ")
    assert "Traceback" not in stderr
    return lines[0], lines[1]


@pytest.fixture(scope="module")
def model(zoo: dict[str, Path]) -> str:
    return str(zoo["pair-template"])


def test_a_command_names_no_key_for_the_details(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    error = HftermError("internal", "X failed: KeyError: 'y'", "The Logs panel (F8) has it.")
    assert failed(error).exit_code == 1
    what, remedy = assert_two_lines(capsys.readouterr().err)
    assert what == "hfterm: X failed: KeyError: 'y'"
    assert "hfterm doctor" in remedy
    assert "Logs panel" not in remedy
    log = EngineClient("cli", warm=False).log_file
    log.parent.mkdir(parents=True)
    log.write_text("Traceback")
    failed(error)
    _, remedy = assert_two_lines(capsys.readouterr().err)
    assert remedy == f"  {log} has the details."


# -- tokenize --------------------------------------------------------------------------------


def test_json_is_what_auto_tokenizer_gives(
    starter_kit: Path, opened: Callable[[str], LoadedTokenizer]
) -> None:
    from hfterm.tokenization.loading import load

    text, pair = "Hello 🤗 world", "Is it?"
    done = hfterm("tokenize", "minilm", text, "--pair", pair, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["model", "backend", "tokens"]
    assert (answer["model"], answer["backend"]) == ("minilm", "tokenizers")
    assert all(list(token) == FIELDS for token in answer["tokens"])

    auto = load("minilm").transformers()
    expected = auto(text, pair, return_offsets_mapping=True, return_special_tokens_mask=True)
    tokens = answer["tokens"]
    assert [t["index"] for t in tokens] == list(range(len(expected["input_ids"])))
    assert [t["id"] for t in tokens] == expected["input_ids"]
    assert [t["token"] for t in tokens] == expected.tokens()
    assert [(t["start"], t["end"]) for t in tokens] == expected["offset_mapping"]
    assert [t["word"] for t in tokens] == expected.word_ids()
    assert [t["sequence"] for t in tokens] == expected.sequence_ids()
    assert [t["type_id"] for t in tokens] == expected["token_type_ids"]
    assert [t["mask"] for t in tokens] == expected["attention_mask"]
    assert [t["special"] for t in tokens] == expected["special_tokens_mask"]


def test_a_python_backend_says_null_for_what_it_does_not_know(zoo: dict[str, Path]) -> None:
    done = hfterm("tokenize", str(zoo["byt5"]), "hé", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["backend"] != "tokenizers"
    assert len(answer["tokens"]) == 4
    for token in answer["tokens"]:
        assert list(token) == FIELDS
        assert (token["start"], token["end"], token["word"], token["sequence"]) == (None,) * 4


@pytest.mark.usefixtures("shared_engine")
def test_csv_has_a_header_and_exact_values(model: str) -> None:
    done = hfterm_here("tokenize", model, 'say "hi",\nyou', "--csv")
    assert (done.exit_code, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == FIELDS
    assert [row["index"] for row in rows] == [str(number) for number in range(len(rows))]
    assert rows[0]["token"] == "[CLS]"
    assert rows[0]["word"] == ""
    assert any(row["token"] == '"' for row in rows)


@pytest.mark.usefixtures("shared_engine")
def test_csv_of_no_tokens_still_has_its_header(model: str) -> None:
    done = hfterm_here("tokenize", model, "", "--csv", "--no-special")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == ",".join(FIELDS)


def test_standard_input_and_no_special(model: str) -> None:
    done = hfterm("tokenize", model, "-", "--no-special", "--json", stdin="日 x\n".encode())
    assert (done.returncode, done.stderr) == (0, "")
    tokens = json.loads(done.stdout)["tokens"]
    assert tokens
    assert not any(token["special"] for token in tokens)
    assert tokens[-1]["end"] == 3


@pytest.mark.usefixtures("shared_engine")
def test_the_table_is_aligned_and_harmless(model: str) -> None:
    done = hfterm_here("tokenize", model, "quick \x1b]52;c;aGk=\x07 \x9b2J \u202e日本")
    assert (done.exit_code, done.stderr) == (0, "")
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.stdout)
    header, *rows = done.stdout.splitlines()
    assert header.split()[:3] == ["#", "id", "token"]
    assert [row.split()[0] for row in rows] == [str(number) for number in range(len(rows))]
    assert rows[0].split()[2] == "[CLS]"
    assert rows[0].endswith("special")


def test_json_and_csv_exclude_each_other(model: str) -> None:
    done = hfterm_here("tokenize", model, "x", "--json", "--csv")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "can't both be" in done.stderr


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("/nowhere/at/all", "no file or folder"),
        ("reviews", "data set"),
        ("minilim", "minilim"),
        ("not a name", "neither a path"),
        ("", "No model"),
    ],
)
@pytest.mark.usefixtures("shared_engine")
def test_a_bad_model_is_two_lines_and_exit_1(starter_kit: Path, ref: str, words: str) -> None:
    done = hfterm_here("tokenize", ref, "x", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    what, _ = assert_two_lines(done.stderr)
    assert words in what


@pytest.mark.usefixtures("shared_engine")
def test_a_misspelt_starter_is_suggested() -> None:
    _, remedy = assert_two_lines(hfterm_here("tokenize", "minilim", "x").stderr)
    assert remedy.strip() == "Did you mean 'minilm'?"


@pytest.mark.parametrize("where", ["model", "text"])
def test_arguments_that_are_not_utf8(model: str, where: str) -> None:
    arguments = (b"/tmp/caf\xe9", b"x") if where == "model" else (model.encode(), b"caf\xe9")
    done = hfterm("tokenize", *arguments, env={"LC_ALL": "C.UTF-8"})
    assert done.returncode == 1
    what, _ = assert_two_lines(done.stderr)
    assert "not UTF-8" in what


@pytest.mark.usefixtures("shared_engine")
def test_a_hostile_name_is_harmless_in_the_error() -> None:
    done = hfterm_here("tokenize", "./\x1b]0;owned\x07\x9b2J", "x")
    assert done.exit_code == 1
    assert_two_lines(done.stderr)
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stderr)


@pytest.mark.parametrize("option", ["--json", "--csv", None])
def test_a_full_disk_is_two_lines(model: str, option: str | None) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("wb") as output:
        done = subprocess.run(
            [HFTERM, "tokenize", model, "x", *([option] if option else [])],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    what, _ = assert_two_lines(done.stderr)
    assert "No space left" in what


def test_a_reader_that_leaves_is_no_error(model: str) -> None:
    process = subprocess.Popen(
        [HFTERM, "tokenize", model, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"word " * 50_000)
    process.stdin.close()
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_a_closed_standard_input_is_bad_usage(model: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "{HFTERM}" tokenize "{model}" - <&-'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "standard input, which is closed" in done.stderr
    assert "Traceback" not in done.stderr


# -- starter ---------------------------------------------------------------------------------


def test_the_list_of_the_starter_kit(starter_kit: Path) -> None:
    done = hfterm("starter", "--list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    items = json.loads(done.stdout)
    assert [list(item) for item in items] == [["name", "kind", "package", "installed", "path"]] * 4
    assert {item["name"]: item["kind"] for item in items} == {
        "minilm": "model",
        "smollm2": "model",
        "reviews": "dataset",
        "sms-spam": "dataset",
    }
    assert all(item["installed"] is True and Path(item["path"]).exists() for item in items)


def test_what_is_not_installed_says_how(tmp_path: Path) -> None:
    env = {"HFTERM_STARTER": str(tmp_path)}
    items = json.loads(hfterm("starter", "--list", "--json", env=env).stdout)
    assert [item["installed"] for item in items] == [False] * 4
    table = hfterm("starter", "--list", env=env).stdout
    assert "hfterm starter minilm" in table
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_item_is_bad_usage() -> None:
    done = hfterm("starter", "minilm", "gpt5", "--list")
    assert (done.returncode, done.stdout) == (2, "")
    assert "gpt5" in done.stderr
    assert "minilm, smollm2, reviews, sms-spam" in done.stderr


def test_no_registry_is_two_lines_and_nothing_is_kept(tmp_path: Path) -> None:
    env = {
        "HFTERM_STARTER": str(tmp_path / "kit"),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    done = hfterm("starter", "minilm", env=env)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("hfterm: ")]
    assert len(said) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "kit" / "minilm").exists()


# -- the rest --------------------------------------------------------------------------------


def test_doctor_in_json(starter_kit: Path) -> None:
    done = hfterm("doctor", "--json", env={"TERM": "xterm-256color", "COLORTERM": ""})
    assert (done.returncode, done.stderr) == (0, "")
    checks = json.loads(done.stdout)["checks"]
    assert all(list(check) == ["name", "status", "value", "detail"] for check in checks)
    found = {check["name"]: check for check in checks}
    assert found["hfterm"]["value"] == __version__
    assert found["hub"]["value"] == "offline"
    assert found["colours"]["value"] == "256"
    assert found["starter kit"]["value"] == "4 of 4 installed"
    assert {"Python", "torch", "transformers", "copy", "GPU", "hub cache", "runs folder"} <= {
        *found,
        *(["GPU"] if "GPU 0" in found else []),
    }


def test_doctor_for_people_names_a_typo_in_the_settings() -> None:
    settings = Path(os.environ["XDG_CONFIG_HOME"]) / "hfterm" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('theem = "nord"\n')
    done = hfterm("doctor")
    assert done.returncode == 0
    assert "unknown key 'theem'" in done.stdout
    assert "Did you mean 'theme'?" in done.stdout


def test_version() -> None:
    done = hfterm("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hfterm {__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--screen", "tokenize"), ("--model", "minilm")])
def test_without_a_terminal_it_says_so(arguments: tuple[str, ...]) -> None:
    done = hfterm(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "terminal" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--screen", "nope"), ("--color", "pink"), ("tokenise",), ("--nope",)]
)
def test_bad_usage(arguments: tuple[str, ...]) -> None:
    done = hfterm_here(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert arguments[-1] in done.stderr


def test_help_names_every_command() -> None:
    done = hfterm("--help")
    assert done.returncode == 0
    for command in ("tokenize", "starter", "doctor", "settings", "keys"):
        assert f"\n  {command}" in done.stdout


def test_the_settings_are_a_valid_settings_file(tmp_path: Path) -> None:
    done = hfterm("settings", env={"HFTERM_THEME": "nord"})
    assert (done.returncode, done.stderr) == (0, "")
    assert '\ntheme = "nord"' in done.stdout
    file = tmp_path / "settings.toml"
    file.write_text(done.stdout)
    again = hfterm("settings", env={"HFTERM_SETTINGS": str(file)})
    assert again.stderr == ""
    assert '\ntheme = "nord"' in again.stdout


def test_keys_lists_every_id_once(starter_kit: Path) -> None:
    done = hfterm("keys", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert {"help", "copy", "export", "restart", "quit", "grid.down", "tokenize.next-tab"} <= {*ids}
    assert all(row["keys"] and row["what"] for row in rows)
    table = hfterm("keys").stdout.splitlines()
    assert [line.split()[0] for line in table] == ids
