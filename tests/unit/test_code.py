"""Show code: every script runs unchanged and prints what the screen shows."""

from __future__ import annotations

import ast
import csv
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from corpus import CORPUS, PROSE, TEXTS
from hfterm.hub.texts import iter_texts
from hfterm.job import Job
from hfterm.tokenization import code
from hfterm.tokenization.batch import encode_batch
from hfterm.tokenization.compare import compare
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer, load
from hfterm.tokenization.stages import steps
from hfterm.tokenization.template import render
from hfterm.tokenization.training import train
from hfterm.tokenization.views import BatchOptions, Message, TrainOptions
from hfterm.tokenization.vocabulary import decode_ids, search
from zoo import NAMES

Opened = Callable[[str], LoadedTokenizer]

RUNNER = """
import contextlib, io, json, sys
scripts = json.load(sys.stdin)
printed = {}
for name, script in scripts.items():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        scope = {"__name__": "__main__"}
        exec(compile(script, name, "exec"), scope)
    printed[name] = out.getvalue()
    if "texts" in scope and callable(scope["texts"]):
        printed["texts of " + name] = json.dumps(list(scope["texts"]()))
json.dump(printed, sys.stdout)
"""

FAST = ["gpt2", "roberta", "llama-rebuilt", "wordpiece-uncased", "stored", "t5", "pair-template"]
SLOW = ["bert-legacy", "byt5"]
TEXT = TEXTS["emoji zwj"] + " [MASK] Hugging Face </s> Cádiz, <mask> 'quoted'\n\\ " + '"'
PAIR = "Second: 第二 \x1b[31m"
CHAT = [Message("user", 'He said "hi"\n'), Message("assistant", "It's {{ fine }}")]
OPTIONS = {
    "pad": BatchOptions(),
    "cut": BatchOptions(truncation="longest_first", max_length=9, padding_side="left"),
    "windows": BatchOptions(truncation="longest_first", max_length=9, stride=2, overflow=True),
    "ragged": BatchOptions(padding="none", add_special_tokens=False),
}
SEARCHES = [("text", "HE"), ("regex", "^[a-c].$"), ("id", "10-20, 30"), ("all", "")]
TRAIN = {
    "BPE": TrainOptions(algorithm="BPE", vocab_size=400),
    "WordPiece": TrainOptions(algorithm="WordPiece", vocab_size=300, lowercase=True),
    "Unigram": TrainOptions(algorithm="Unigram", vocab_size=700),
}


DOCUMENT = "text ' file.txt"
TABLES = ["csv", "tsv", "json", "jsonl"]


def training(key: str, folder: Path, zoo: dict[str, Path]) -> tuple[TrainOptions, Path]:
    """What is trained under `key`, and on which file."""
    if key in TABLES:
        file = folder / f"rows.{key}"
        rows = [{"number": n, "text": text} for n, text in enumerate(PROSE.splitlines() * 3)]
        if key in ("csv", "tsv"):
            with file.open("w", encoding="utf-8", newline="") as out:
                delimiter = "," if key == "csv" else "\t"
                writer = csv.DictWriter(out, ["number", "text"], delimiter=delimiter)
                writer.writeheader()
                writer.writerows(rows)
        else:
            lines = "\n".join(json.dumps(row) for row in rows)
            file.write_text(lines if key == "jsonl" else json.dumps({"rows": rows}))
        return TrainOptions(algorithm="WordPiece", vocab_size=200), file
    if key == "parent":
        options = TrainOptions(algorithm="parent", parent=str(zoo["stored"]), vocab_size=300)
        return options, folder / DOCUMENT
    return TRAIN[key], folder / DOCUMENT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("code")


@pytest.fixture(scope="module")
def chat(zoo: dict[str, Path], folder: Path) -> Path:
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
    path = folder / "chat"
    path.mkdir()
    config = json.loads((zoo["gpt2"] / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    (path / "tokenizer.json").write_bytes((zoo["gpt2"] / "tokenizer.json").read_bytes())
    return path


@pytest.fixture(scope="module")
def document(folder: Path) -> Path:
    path = folder / DOCUMENT
    path.write_bytes(
        ("\ufeff" + "\r\n".join(CORPUS).replace("\0", "") + PROSE).encode() + b"\xff bad"
    )
    return path


@pytest.fixture(scope="module")
def printed(zoo: dict[str, Path], chat: Path, document: Path, folder: Path) -> dict[str, str]:
    """What every script prints, all run in one fresh interpreter with nothing of hfterm in it."""
    scripts: dict[str, str] = {}
    for name in (*FAST, *SLOW):
        source, fast = str(zoo[name]), name in FAST
        scripts[f"table {name}"] = code.table_code(source, TEXT, fast=fast)
        scripts[f"table pair {name}"] = code.table_code(source, TEXT, PAIR, False, fast=fast)
        scripts[f"steps {name}"] = code.steps_code(source, TEXT, fast=fast)
        scripts[f"steps pair {name}"] = code.steps_code(source, TEXT, PAIR, fast=fast)
        for mode, query in SEARCHES:
            scripts[f"search {mode} {name}"] = code.vocabulary_code(
                source,
                query,
                mode,  # pyright: ignore[reportArgumentType]
                2,
                20,
                fast=fast,
            )
        scripts[f"decode {name}"] = code.decode_code(source, [5, 3, 9, 9, 1])
        scripts[f"config {name}"] = code.config_code(source)
        scripts[f"audit {name}"] = code.audit_code(source, TEXT)
        scripts[f"audit alone {name}"] = code.audit_code(source, TEXT, add_special_tokens=False)
    for name, options in OPTIONS.items():
        source = str(zoo["wordpiece-uncased"])
        for pairs in (None, [PAIR, ""]):
            tensors = name == "pad"
            scripts[f"batch {name} {pairs is None}"] = code.batch_code(
                source, [TEXT, "short"], pairs, options, tensors=tensors
            )
    scripts["table file"] = code.table_code(str(zoo["gpt2"]), document)
    scripts["compare"] = code.compare_code([str(zoo[name]) for name in FAST], TEXT)
    scripts["template"] = code.template_code(str(chat), CHAT, continue_final_message=True)
    scripts["template prompt"] = code.template_code(str(chat), CHAT, True)
    for key in (*TRAIN, "parent", *TABLES):
        options, file = training(key, folder, zoo)
        scripts[f"train {key}"] = code.train_code(options, [str(file)], str(folder / f"new {key}"))
    environment = {**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    environment |= {"PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(scripts),
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", [*FAST, *SLOW])
@pytest.mark.parametrize("pair", [None, PAIR])
def test_table(name: str, pair: str | None, printed: dict[str, str], opened: Opened) -> None:
    key = f"table pair {name}" if pair else f"table {name}"
    rows: list[str] = []
    for t in encode(opened(name), TEXT, pair, add_special_tokens=pair is None).tokens():
        columns: list[object] = [t.index, t.id, repr(t.token)]
        if name in FAST:
            columns += [t.start, t.end, t.word, t.sequence]
        rows.append(" ".join(map(str, [*columns, t.type_id, t.mask, t.special])))
    assert printed[key].splitlines() == rows


def test_table_of_a_file(printed: dict[str, str], document: Path, opened: Opened) -> None:
    text = document.read_bytes().decode("utf-8-sig", "replace")
    rows = [line.split(" ", 2)[1] for line in printed["table file"].splitlines()]
    assert rows == [str(token.id) for token in encode(opened("gpt2"), text).tokens()]


@pytest.mark.parametrize("name", [*FAST, *SLOW])
@pytest.mark.parametrize("pair", [None, PAIR])
def test_steps(name: str, pair: str | None, printed: dict[str, str], opened: Opened) -> None:
    lines = printed[f"steps pair {name}" if pair else f"steps {name}"].splitlines()
    expected: list[tuple[str, object]] = []
    stages = steps(opened(name), TEXT, pair).stages
    for stage, following in itertools.zip_longest(stages, stages[1:]):
        pieces = stage.pieces
        if stage.name in ("text", "decoded", "decode"):
            expected.append((stage.name, stage.text))
        elif stage.name == "normalizer":
            if following is None or following.name != "normalizer":
                expected.append((stage.name, stage.text))
        elif stage.component == "AddedVocabulary":
            expected.append((stage.name, [(piece.text, piece.id) for piece in pieces]))
        elif stage.name == "pre-tokenizer":
            expected.append((stage.name, [(p.text, (p.start, p.end)) for p in pieces]))
        elif stage.name == "model":
            spans = [(p.text, p.id, (p.start, p.end)) for p in pieces]
            expected.append((stage.name, spans))
        elif stage.name in ("post-processor", "tokenize"):
            expected.append((stage.name, [piece.text for piece in pieces]))
        elif stage.name in ("ids", "convert_tokens_to_ids", "add specials"):
            expected.append((stage.name, [piece.id for piece in pieces]))
    names = [name for name, _ in expected]
    assert len(lines) == len(expected)
    for line, stage_name, (_, value) in zip(lines, names, expected, strict=True):
        assert line.startswith(stage_name + " ")
        assert ast.literal_eval(line.removeprefix(stage_name + " ")) == value


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("pairs", [None, [PAIR, ""]])
def test_batch(name: str, pairs: list[str] | None, printed: dict[str, str], opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    result = encode_batch(loaded, [TEXT, "short"], pairs, OPTIONS[name])
    lines = [f"shape {result.shape}"] if name == "pad" else []
    lines.append(f"pad {result.pad_token} {result.pad_id}")
    for row in result.rows:
        lines += [f"{list(row.ids)} {list(row.mask)}", repr(row.decoded), repr(row.decoded_clean)]
    assert printed[f"batch {name} {pairs is None}"].splitlines() == lines


@pytest.mark.parametrize("name", [*FAST, *SLOW])
@pytest.mark.parametrize(("mode", "query"), SEARCHES)
def test_vocabulary(
    name: str, mode: str, query: str, printed: dict[str, str], opened: Opened
) -> None:
    page = search(opened(name), query, mode, 2, 20)  # pyright: ignore[reportArgumentType]
    lines = [f"{page.total} of {page.vocab_size}"]
    lines += [f"{e.id} {e.token!r} {e.decoded!r}" for e in page.entries]
    assert printed[f"search {mode} {name}"].splitlines() == lines


@pytest.mark.parametrize("name", [*FAST, *SLOW])
def test_decode(name: str, printed: dict[str, str], opened: Opened) -> None:
    decoded = decode_ids(opened(name), [5, 3, 9, 9, 1])
    assert printed[f"decode {name}"].splitlines() == [
        str(list(decoded.tokens)),
        repr(decoded.text),
        repr(decoded.clean),
    ]


@pytest.mark.parametrize("key", ["template", "template prompt"])
def test_template(key: str, printed: dict[str, str], chat: Path) -> None:
    rendered = render(load(str(chat)), CHAT, key == "template prompt", key == "template")
    ids = list(rendered.encoding.column("ids"))
    assert printed[key].splitlines() == [repr(rendered.text), str(ids)]


def test_compare(printed: dict[str, str], zoo: dict[str, Path], opened: Opened) -> None:
    rows = compare([opened(name) for name in FAST], TEXT, Job()).rows
    lines = [
        f"{zoo[name]} {row.tokens} {row.characters_per_token:.3f} "
        f"{row.bytes_per_token:.3f} {row.roundtrip}"
        for name, row in zip(FAST, rows, strict=True)
    ]
    assert printed["compare"].splitlines() == lines


@pytest.mark.parametrize("name", [*FAST, *SLOW])
def test_config(name: str, printed: dict[str, str], opened: Opened) -> None:
    info = opened(name).info
    lines = printed[f"config {name}"].splitlines()
    for line in (
        f"class {info.cls}",
        f"backend {info.backend}",
        f"vocabulary {info.vocab_size}",
        f"added tokens {info.added_tokens}",
        f"padding_side {info.padding_side}",
        *(
            f"{special.role} {special.token!r} {special.id}"
            for special in info.special_tokens
            if special.role != "additional"
        ),
        *(
            f"{stage.replace('-', '_')} {component}"
            for stage, component in info.pipeline
            if stage != "class"
        ),
    ):
        assert line in lines


@pytest.mark.parametrize("name", [*FAST, *SLOW])
def test_audit(name: str, printed: dict[str, str], opened: Opened) -> None:
    encoding = encode(opened(name), TEXT)
    lines = printed[f"audit {name}"].splitlines()
    assert lines[0].startswith(f"tokens {len(encoding)} ")
    assert lines[1] == f"unknown {encoding.unknown()}"
    alone = encode(opened(name), TEXT, add_special_tokens=False)
    assert printed[f"audit alone {name}"].startswith(f"tokens {len(alone)} ")


@pytest.mark.parametrize("key", [*TRAIN, "parent", *TABLES])
def test_train(key: str, printed: dict[str, str], folder: Path, zoo: dict[str, Path]) -> None:
    options, file = training(key, folder, zoo)
    trained = train(str(file), options, folder / f"here {key}", Job())
    assert int(printed[f"train {key}"]) == len(load(str(folder / f"new {key}")).transformers())
    there, here = load(str(folder / f"new {key}")), load(trained.path)
    assert here.info.pipeline == there.info.pipeline
    assert [(s.role, s.token) for s in here.info.special_tokens] == [
        (s.role, s.token) for s in there.info.special_tokens
    ]
    assert json.loads(printed[f"texts of train {key}"]) == list(iter_texts(str(file), Job()))
    assert here.info.model == there.info.model
    if here.info.model == "BPE":
        assert here.rust().get_vocab() == there.rust().get_vocab()
    else:
        # these trainers break ties by hash: two runs on the same texts differ in a few pieces
        assert abs(here.info.vocab_size - there.info.vocab_size) <= 2


def test_scripts_name_no_part_of_hfterm() -> None:
    for script in (
        code.table_code("x/y", "t"),
        code.steps_code("x/y", "t"),
        code.vocabulary_code("x/y", "a"),
        code.train_code(TrainOptions(), ["f"], "o"),
    ):
        assert "hfterm" not in script


def test_code_imports_nothing_heavy() -> None:
    heavy = "import hfterm.tokenization.code, sys; print([m for m in sys.modules " + (
        "if m.split('.')[0] in ('torch', 'transformers', 'tokenizers', 'textual')])"
    )
    out = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_zoo_name_used_exists() -> None:
    assert {*FAST, *SLOW} <= set(NAMES)
