"""The documentation says what the code says: keys, tabs, messages, settings, commands, pictures."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from textual.binding import Binding

from hfterm.app import HftermApp
from hfterm.doctor import PACKAGES, examine
from hfterm.job import Job
from hfterm.screens.bindings import OWNERS
from hfterm.screens.registry import SCREENS
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.training.recipe_text import fields, parse_recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = DOCS / "guide"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *GUIDE.glob("*.md")])
PICTURES = sorted(DOCS.glob("*.svg"))
MODES = [entry.mode for entry in SCREENS]
RETAKE = "python docs/make_screenshots.py"

OF_TEXTUAL = {"Tab", "Shift+Tab", "Alt+Enter"}
"""Keys that are no binding of hfterm's own: the focus, and a new line in a message."""

NOT_PICTURED = {"open-in": "models", "chat-tokens": "chat", "train-new": "train"}
"""Pictures that are not called like their screen, and the screen they show."""


@pytest.fixture(scope="module", autouse=True)
def docs_importable() -> Iterator[None]:
    """The scripts of docs/ are modules while these tests run."""
    sys.path.insert(0, str(DOCS))
    yield
    sys.path.remove(str(DOCS))


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


# -- generated pages ---------------------------------------------------------------------------


def test_generated_pages_are_what_the_code_says() -> None:
    generate = script("generate")
    assert not generate.stale(), f"stale; write them anew: {generate.COMMAND}"


def test_every_key_of_a_recipe_is_explained() -> None:
    page = script("recipe_page")
    assert parse_recipe(page.EXAMPLE).method.name == "lora"
    assert [key for key, field in fields().items() if not field.about] == []


def test_every_key_is_listed() -> None:
    generate = script("generate")
    listed = [binding.id for _, bindings in generate.owned() for binding in bindings]
    assert listed == [binding.id for binding in HftermApp.every_binding()]
    page = (DOCS / "keys.md").read_text(encoding="utf-8")
    missing = [name for name in listed if f"| `{name}` |" not in page]
    assert not missing


def test_every_check_of_the_doctor_has_a_heading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", page, re.M)
    for check in examine(Job()).checks:
        name = "a package" if check.name in PACKAGES else re.sub(r" \d+$", "", check.name)
        assert name in headings, f"no heading for the check {check.name!r}"


# -- links and pictures ------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{named(page)} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(file), f"{named(page)}: {target} has no such heading"


def test_every_picture_is_used() -> None:
    used = {Path(name).name for page in PAGES for name in re.findall(r"\]\(([^)]+\.svg)\)",
            page.read_text(encoding="utf-8"))}  # fmt: skip
    assert {picture.name for picture in PICTURES} == used


def screen_class(mode: str) -> type[WorkbenchScreen]:
    found = [o for o in OWNERS if issubclass(o, WorkbenchScreen) and mode == o.MODE]
    assert len(found) == 1
    return found[0]


def titles(mode: str) -> tuple[str, ...]:
    """The titles of a screen's tabs, as the code has them."""
    if mode == "tokenize":
        from hfterm.screens.tokenize.pages import PAGES as TOKENIZE_PAGES

        return tuple(page.title for page in TOKENIZE_PAGES)
    where = "pages" if mode == "attention" else "screen"
    return importlib.import_module(f"hfterm.screens.{mode}.{where}").TITLES


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_pictures_show_the_screens_as_they_are(picture: Path) -> None:
    """Tabs, screens and keys. What is in the picture beyond them, `--check` of the script says."""
    lines = script("picture_text").lines_of(picture.read_text(encoding="utf-8"))
    again = f"take it anew: {RETAKE} {picture.stem}"
    mode = NOT_PICTURED.get(picture.stem, picture.stem)
    words = " ".join(f"{number} {entry.title}" for number, entry in enumerate(SCREENS, 1))
    assert words in " ".join(lines[0].split()), f"{lines[0]!r}; {again}"
    tabs = " ".join(titles(mode))
    assert any(tabs in " ".join(line.split()) for line in lines), f"no line has {tabs!r}; {again}"
    if picture.stem == "open-in":
        return  # a window has its own footer
    foot = lines[-1]
    for binding in own_bindings(screen_class(mode)):
        if binding.show and not binding.id.endswith("-letter"):  # type: ignore[union-attr]
            said = f"{binding.key_display or ''} {binding.description}".strip()
            if len(" ".join(foot.split())) < 100 or said in foot:
                assert said in foot, f"the footer lacks {said!r}: {foot!r}; {again}"


def test_comparing_pictures_sees_words_and_not_figures() -> None:
    difference = script("picture_text").difference
    svg = (DOCS / "tokenize.svg").read_text(encoding="utf-8")
    assert not difference(svg, svg)
    assert not difference(svg, svg.replace(">1067&#160;", ">1068&#160;"))
    assert "Tabel" in difference(svg, svg.replace(">Table<", ">Tabel<"))


# -- the guide ---------------------------------------------------------------------------------


def test_every_screen_has_a_page_with_what_pages_have() -> None:
    index = (GUIDE / "index.md").read_text(encoding="utf-8")
    for number, entry in enumerate(SCREENS, 1):
        page = GUIDE / f"{entry.mode}.md"
        assert page.exists(), f"the screen {entry.title} has no page in docs/guide"
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {entry.title}\n")
        assert f"`Alt+{number}` | [{entry.title}]({page.name})" in index
        assert re.search(r"\]\(\.\./[\w-]+\.svg\)", text), f"{named(page)} has no picture"
        for heading in ("How do I …", "The tabs", "Messages", "On the command line"):
            assert f"## {heading}\n" in text, f"{named(page)} has no “{heading}”"


@pytest.mark.parametrize("mode", MODES)
def test_every_tab_is_in_its_page(mode: str) -> None:
    rows = re.findall(r"^\| (\w+) \| ", prose(GUIDE / f"{mode}.md"), re.M)
    assert tuple(row for row in rows if row in titles(mode)) == titles(mode)


def own_bindings(owner: type) -> list[Binding]:
    return [b for b in owner.__dict__.get("BINDINGS", ()) if isinstance(b, Binding) and b.id]


def known_keys(modes: Iterable[str]) -> set[str]:
    """The keys of the application, of parts that screens share, and of these screens."""
    generate = script("generate")
    names: set[str] = set(OF_TEXTUAL)
    for owner, bindings in generate.owned():
        if generate.screen_of(owner) in ("", *modes):
            names |= {name for binding in bindings for name in generate.key_names(binding)}
    return names


LOOKS_LIKE_A_KEY = re.compile(
    r"(?:(?:Ctrl|Alt|Shift)\+)+\S+|F\d{1,2}|Esc|Enter|Tab|Space|Del|Home|End|PgUp|PgDn"
    r"|[←→↑↓a-zA-Z0-9/<>+-]"
)


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.md")), ids=named)
def test_every_key_in_the_guide_is_a_key(page: Path) -> None:
    known = known_keys([page.stem] if page.stem in MODES else [])
    if page.stem == "index":
        known.add("Ctrl+C")  # of the shell, for hfterm serve
        known |= set.intersection(*(known_keys([mode]) for mode in MODES))
        known |= known_keys(MODES) & {"Ctrl+O", "F6"}  # most screens have these
    for line in prose(page).splitlines():
        for code in re.findall(r"`([^`]+)`", line):
            if LOOKS_LIKE_A_KEY.fullmatch(code):
                assert code in known, f"{named(page)}: no such key here: {code!r} in {line!r}"


# -- messages ----------------------------------------------------------------------------------


@cache
def said_in_code() -> str:
    """Every text in the source, with a gap where something is put in."""
    texts: list[str] = []
    for file in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "\0"
                                     for part in node.values))  # fmt: skip
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def messages(page: Path) -> list[str]:
    """The messages that a page explains: the first cells of its tables that are quoted."""
    return re.findall(r"^\| “(.+?)” \| ", prose(page), re.M)


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.md")), ids=named)
def test_messages_that_are_explained_exist(page: Path) -> None:
    explained = messages(page)
    assert len(explained) >= 5, f"{named(page)} explains too few messages"
    for message in explained:
        parts = [re.escape(part) for part in message.split("…")]
        pattern = re.compile("[^\n]*?".join(parts))
        assert pattern.search(said_in_code()), f"{named(page)}: nothing in src says “{message}”"


def test_commands_in_the_guide_exist() -> None:
    known = re.findall(r"^## `hfterm ?(.*)`$", (DOCS / "cli.md").read_text("utf-8"), re.M)
    things = {"minilm"}  # hfterm THING opens it
    for page in sorted(GUIDE.glob("*.md")):
        blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
        for line in re.findall(r"^hfterm +(\S.*)$", "\n".join(blocks), re.M):
            word = line.split()[0]
            if not word.startswith(("-", "#")):
                assert word in known or word in things, f"{named(page)}: no command {word!r}"


def test_the_first_steps_of_the_readme_are_those_that_the_tutorial_tests_press() -> None:
    def steps(page: Path) -> list[str]:
        lines = page.read_text("utf-8").splitlines()
        first = lines.index("| step | keys | what the screen shows |")
        table = list(itertools.takewhile(lambda line: line.startswith("|"), lines[first:]))
        file = lines.index("```jsonl pirate.jsonl")
        return lines[file : lines.index("```", file)] + table

    assert len(steps(ROOT / "README.md")) > 12
    assert steps(ROOT / "README.md") == steps(DOCS / "tutorial.md")
