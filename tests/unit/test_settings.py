from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hfterm.errors import HftermError
from hfterm.settings import (
    FIELDS,
    Settings,
    environment,
    keymap_problems,
    load,
)
from hfterm.settings_edit import documented_toml, save_value
from hfterm.settings_fields import defect

NO_ENV: dict[str, str] = {}

CHANGED = Settings(
    theme="nord",
    color="256",
    mouse=False,
    animations="full",
    model='a "quoted" \\ path\x7f\t',
    live_delay_ms=0,
    max_editor_chars=1_000,
    logs_lines=100,
    hub_endpoint="https://mirror.example/hf",
    keymap={"copy": "y,f5", "app.quit": "ctrl+x"},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def load_text(file: Path, text: str) -> tuple[Settings, list[str]]:
    file.write_bytes(text.encode())
    return load(file, NO_ENV)


def test_every_field_is_documented_and_its_default_is_allowed() -> None:
    assert list(FIELDS) == list(Settings.__struct_fields__)
    assert all(field.doc for field in FIELDS.values())
    assert [
        key for key, value in msgspec.to_builtins(Settings()).items() if defect(key, value)
    ] == []


def test_no_file_is_the_defaults(file: Path) -> None:
    assert load(file, NO_ENV) == (Settings(), [])


@pytest.mark.parametrize("settings", [Settings(), CHANGED])
def test_the_documented_file_reads_back(file: Path, settings: Settings) -> None:
    text = documented_toml(settings)
    assert load_text(file, text) == (settings, [])
    for key in FIELDS:
        assert f"HFTERM_{key.upper()}" in text


def test_the_commented_defaults_of_the_documented_file_are_right(file: Path) -> None:
    lines = documented_toml(Settings()).splitlines()
    live = [line[2:] for line in lines if line[2:].split(" = ")[0] in FIELDS]
    assert len(live) == len(FIELDS)
    assert load_text(file, "\n".join(live)) == (Settings(), [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('colour = "16"', "line 2: unknown key 'colour'. Did you mean 'color'?"),
        ("zzz = 1", "line 2: unknown key 'zzz'. hfterm has no such setting."),
        ('animations = "ful"', 'line 2: animations = "ful": must be one of "none", "basic", '),
        ("color = 256", 'line 2: color = 256: must be one of "auto", "truecolor", "256"'),
        ("live_delay_ms = true", "line 2: live_delay_ms = true: must be a whole number from 0"),
        ("live_delay_ms = 1.5", "live_delay_ms = 1.5: must be a whole number"),
        ("logs_lines = 99", "logs_lines = 99: must be a whole number from 100 to 1000000"),
        ('animations = ["x"]', "animations = ['x']: must be one of"),
        ('hub_endpoint = "hf.co"', 'hub_endpoint = "hf.co": must be an address that begins'),
        ('theme = ""', 'theme = "": must be the name of a theme'),
        ("keymap = { copy = 1 }", "'copy' has no keys"),
        ('keymap = "y"', "must be a table of binding ids"),
        ('model = "unclosed', 'line 2: not TOML: model = "unclosed'),
        ("model = ", "line 2: not TOML: model ="),
        ("model", "line 2: not TOML: model"),
        ("logs_lines = " + "9" * 5000, "line 2: logs_lines"),
        ("mouse = false\nmouse = true", "line 3: not TOML: mouse = true"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_is_wrong_is_said_and_what_is_right_applies(
    file: Path, line: str, expected: str, ending: str
) -> None:
    text = f'theme = "nord"\n{line}\nmax_editor_chars = 5000\n'.replace("\n", ending)
    if line.startswith("theme"):
        text = text.replace('theme = "nord"', "mouse = false")
    settings, problems = load_text(file, text)
    assert len(problems) == 1, problems
    assert problems[0].startswith(str(file))
    if not line.startswith("logs_lines = 9999"):
        assert expected in problems[0]
        assert settings.max_editor_chars == 5000
        assert settings.theme == "nord" or not settings.mouse


def test_a_broken_table_header_takes_its_table_with_it(file: Path) -> None:
    settings, problems = load_text(file, 'theme = "nord"\n[keymap\ncopy = "y"\nmouse = "z"\n')
    assert settings == Settings(theme="nord")
    assert len(problems) == 1 and "line 2" in problems[0]


def test_good_keys_of_the_keymap_stay(file: Path) -> None:
    settings, problems = load_text(file, '[keymap]\ncopy = "y"\nexport = 3\n')
    assert settings.keymap == {"copy": "y"}
    assert len(problems) == 1 and "line 1" in problems[0] and "'export'" in problems[0]


@pytest.mark.parametrize("kind", ["folder", "fifo", "utf8", "long", "nul", "deep"])
def test_a_file_that_cannot_be_read_is_a_message(file: Path, kind: str) -> None:
    path = file
    if kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "utf8":
        file.write_bytes(b'theme = "nord"\nmodel = "\xff"\n')
    elif kind == "long":
        file.write_bytes(b"#" * (1 << 21))
    elif kind == "deep":
        file.write_text("a = " + "[" * 100_000)
    else:
        path = Path("/a\0b")
    settings, problems = load(path, NO_ENV)
    assert settings == Settings()
    assert len(problems) == 1
    assert problems[0].isprintable()
    if kind == "utf8":
        assert "line 2" in problems[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read(file: Path) -> None:
    file.write_text('theme = "nord"')
    file.chmod(0)
    assert "Permission denied" in load(file, NO_ENV)[1][0]


toml_like = st.lists(
    st.one_of(
        st.sampled_from([*FIELDS, "[keymap]", "[", "'''", '"""', "=", '"', "{", "}", "#", "\\"]),
        st.sampled_from(["\n", "\r\n", " = ", ".", "true", "1e9", "nan", "2020-13-01", "0x", "_"]),
        st.text(max_size=8),
    ),
    max_size=40,
).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass"))


@given(content=st.one_of(st.binary(max_size=300), toml_like))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_content_ever_raises(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    settings, problems = load(file, NO_ENV)
    assert msgspec.convert(msgspec.to_builtins(settings), Settings) == settings
    assert all(problem.isprintable() for problem in problems)


@given(values=st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=30)))
def test_no_variable_ever_raises(values: dict[str, str]) -> None:
    environ = {f"HFTERM_{key.upper()}": value for key, value in values.items()}
    settings, problems = load(Path("/nonexistent/settings.toml"), environ)
    assert msgspec.convert(msgspec.to_builtins(settings), Settings) == settings
    assert all(problem.isprintable() for problem in problems)


def test_variables_go_before_the_file(file: Path) -> None:
    file.write_text('theme = "nord"\nmouse = true\n')
    environ = {
        "HFTERM_THEME": "dracula",
        "HFTERM_MOUSE": "off",
        "HFTERM_LOGS_LINES": "500",
        "HFTERM_COLOR": "16",
        "HFTERM_MODEL": "",
        "HFTERM_KEYMAP": '{ copy = "c" }',
        "HFTERM_SETTINGS": "is no setting",
        "HFTERM_LIVE_DELAY_MS": "soon",
    }
    settings, problems = load(file, environ)
    assert settings == Settings(
        theme="dracula", mouse=False, logs_lines=500, color="16", keymap={"copy": "c"}
    )
    assert problems == ["HFTERM_LIVE_DELAY_MS=soon: must be a whole number from 0 to 5000"]


def test_what_others_are_told() -> None:
    settings = Settings(hub_endpoint="https://mirror.example")
    assert environment(settings, {}) == {
        "TEXTUAL_ANIMATIONS": "none",
        "HF_ENDPOINT": "https://mirror.example",
    }
    assert environment(settings, {"HF_ENDPOINT": "https://x", "TEXTUAL_ANIMATIONS": "full"}) == {}
    assert environment(Settings(), {}) == {"TEXTUAL_ANIMATIONS": "none"}


def test_unknown_ids_of_the_keymap() -> None:
    problems = keymap_problems({"copy": "y", "exprot": "e"}, ["copy", "export"])
    assert problems == ["keymap: no binding has the id 'exprot'. Did you mean 'export'?"]


MINE = """\
# my settings
  theme   = 'nord' # the blue one

# mouse = false
model = "a # b" # keep
[keymap]
theme = "t"  # a binding that is called theme
"""


def test_a_saved_value_changes_its_line_and_nothing_else(file: Path) -> None:
    file.write_text(MINE)
    save_value(file, "theme", "hfterm-light")
    assert file.read_text() == MINE.replace("'nord'", '"hfterm-light"')
    save_value(file, "model", "x")
    assert '\nmodel = "x" # keep\n' in file.read_text()
    save_value(file, "mouse", False)
    assert "\n# mouse = false\nmouse = false\nmodel" in file.read_text()
    save_value(file, "logs_lines", 300)
    settings, problems = load(file, NO_ENV)
    assert problems == []
    assert settings == Settings(
        theme="hfterm-light", model="x", mouse=False, logs_lines=300, keymap={"theme": "t"}
    )


def test_line_endings_stay(file: Path) -> None:
    file.write_bytes(b'mouse = false\r\ntheme = "nord"\r\n')
    save_value(file, "theme", "x")
    save_value(file, "logs_lines", 300)
    assert file.read_bytes() == b'logs_lines = 300\r\nmouse = false\r\ntheme = "x"\r\n'


def test_saving_without_a_file_writes_the_documented_one(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "settings.toml"
    save_value(file, "theme", "hfterm-light")
    assert load(file, NO_ENV) == (Settings(theme="hfterm-light"), [])
    assert file.read_text().count("\n# Default:") == len(FIELDS)


@given(
    st.sampled_from(["theme", "model"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_that_is_saved_comes_back(file: Path, key: str, value: str) -> None:
    file.write_text(MINE)
    try:
        save_value(file, key, value)
    except HftermError:
        assert key == "theme" and "\n" in value
    else:
        assert tomllib.loads(file.read_bytes().decode())[key] == value


@pytest.mark.parametrize(
    ("content", "key", "value", "message"),
    [
        ("theme = ", "theme", "nord", "line 1: not TOML"),
        ("", "them", "nord", "Did you mean 'theme'?"),
        ("", "mouse", "yes", "must be true or false"),
        ("", "logs_lines", 1, "must be a whole number"),
        ('theme = """\nx\n"""', "theme", "nord", "not written on a line of its own"),
        ('model = """\ntheme = "a"\n"""', "theme", "nord", "not written on a line of its own"),
    ],
)
def test_what_cannot_be_saved_leaves_the_file_alone(
    file: Path, content: str, key: str, value: str | int, message: str
) -> None:
    file.write_text(content)
    with pytest.raises(HftermError) as caught:
        save_value(file, key, value)
    assert caught.value.kind == "settings"
    assert message in caught.value.message
    assert file.read_text() == content
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_a_link_and_rights_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.toml", tmp_path / "settings.toml"
    real.write_text('theme = "a"\n')
    real.chmod(0o640)
    link.symlink_to(real)
    save_value(link, "theme", "b")
    assert link.is_symlink()
    assert real.read_text() == 'theme = "b"\n'
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_full_disk_is_an_error_for_people(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    file.write_text('theme = "a"\n')
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HftermError, match="No space left on device"):
        save_value(file, "theme", "b")
    assert file.read_text() == 'theme = "a"\n'
    assert list(file.parent.iterdir()) == [file]
