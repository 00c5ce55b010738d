"""Show code for the tabs about whole tokenizers: Compare, Config, Train, Audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hfterm.tokenization.code_parts import AUTO, list_lines, opened, text_line
from hfterm.tokenization.views import TrainOptions


def compare_code(sources: Sequence[str], text: str | Path) -> str:
    """The Compare tab: for each tokenizer its tokens, characters and bytes a token, round trip."""
    path = "from pathlib import Path\n\n" if isinstance(text, Path) else ""
    return (
        f"{path}{AUTO}\n"
        + text_line(text)
        + list_lines("sources", sources)
        + """
for source in sources:
    tokenizer = AutoTokenizer.from_pretrained(source)
    batch = tokenizer([text], truncation=False, return_special_tokens_mask=True)
    ids, special = batch["input_ids"][0], batch["special_tokens_mask"][0]
    count = max(len(ids), 1)
    characters, size = len(text) / count, len(text.encode()) / count
    inner = [id_ for id_, added in zip(ids, special) if not added]
    same = tokenizer.decode(inner, clean_up_tokenization_spaces=False) == text
    print(source, len(ids), f"{characters:.3f} {size:.3f}", same)
"""
    )


def config_code(source: str) -> str:
    """The Config tab: class, backend, sizes, sides, special tokens and pipeline."""
    return opened(source) + (
        """
print("class", type(tokenizer).__name__)
print("backend", tokenizer.backend)
print("vocabulary", len(tokenizer))
print("added tokens", len(tokenizer.added_tokens_decoder))
print("model_max_length", tokenizer.model_max_length)
print("padding_side", tokenizer.padding_side)
print("truncation_side", tokenizer.truncation_side)
for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
    token = getattr(tokenizer, f"{role}_token")
    if token is not None:
        print(f"{role}_token", repr(token), getattr(tokenizer, f"{role}_token_id"))
if tokenizer.is_fast:
    backend = tokenizer.backend_tokenizer
    for stage in ("normalizer", "pre_tokenizer", "model", "post_processor", "decoder"):
        component = getattr(backend, stage)
        print(stage, type(component).__name__ if component else "none")
"""
    )


def audit_code(source: str, text: str | Path, *, add_special_tokens: bool = True) -> str:
    """The Audit tab's numbers: unknown tokens, characters in no token, round trip, limits."""
    return (
        opened(source, text)
        + text_line(text)
        + f"""
batch = tokenizer(
    [text], add_special_tokens={add_special_tokens}, truncation=False,
    return_offsets_mapping=tokenizer.is_fast,
)
ids = batch["input_ids"][0]
print("tokens", len(ids), "of at most", tokenizer.model_max_length)
print("unknown", sum(id_ == tokenizer.unk_token_id for id_ in ids))
decoded = tokenizer.decode(ids, skip_special_tokens=True)
print("round trip", decoded == text, repr(decoded))
if tokenizer.is_fast:
    covered = set()
    spans = zip(batch["offset_mapping"][0], batch.sequence_ids(0))
    for (start, end), sequence in spans:
        if sequence == 0:
            covered.update(range(start, end))
    print("characters in no token", len(text) - len(covered))
"""
    )


def train_code(
    options: TrainOptions, files: Sequence[str], out: str, *, column: str = "text"
) -> str:
    """The Train tab: a new tokenizer from the texts of `files`, saved into the folder `out`.

    Args:
        options: what to train.
        files: paths of one kind: .csv, .tsv, .json, .jsonl, or texts read line by line.
        out: the folder to write.
        column: where the text of a row stands, in tables and JSON.
    """
    suffix = Path(files[0]).suffix.lower() if files else ""
    imports, reading = _READING.get(suffix, _READING[".txt"])
    head = (
        f"{imports}from pathlib import Path\n\n{_TRAIN_IMPORTS[options.algorithm]}\n"
        f"{list_lines('files', files)}\n\n"
        "def texts():\n    for file in files:\n        "
        f"{reading.format(column=column)}\n\n"
    )
    if options.algorithm == "parent":
        body = _PARENT.format(
            parent=options.parent, size=options.vocab_size, frequency=options.min_frequency
        )
    else:
        body = _TRAIN_BODIES[options.algorithm].format(
            size=options.vocab_size,
            frequency=options.min_frequency,
            lowercase=options.lowercase,
        )
    return f"{head}{body}trained.save_pretrained({out!r})\nprint(len(trained))\n"


_OPEN = 'with Path(file).open(encoding="utf-8-sig", errors="replace", newline={newline}) as'
_ROW = "row if isinstance(row, str) else row[{column!r}]"
_TABLE = (
    _OPEN.format(newline='""')
    + """ rows:
            yield from (row[{{column!r}}] for row in csv.DictReader(rows, delimiter={delimiter!r}))
"""
)
_JSON_LINES = (
    "import json\n",
    _OPEN.format(newline='"\\n"')
    + f""" lines:
            rows = (json.loads(line) for line in lines if line.strip())
            yield from ({_ROW} for row in rows)
""",
)
_READING = {
    ".csv": ("import csv\n", _TABLE.format(delimiter=",")),
    ".tsv": ("import csv\n", _TABLE.format(delimiter="\t")),
    ".jsonl": _JSON_LINES,
    ".ndjson": _JSON_LINES,
    ".json": (
        "import json\n",
        f"""rows = json.loads(Path(file).read_text(encoding="utf-8-sig", errors="replace"))
        if isinstance(rows, dict):  # the list is one of its values
            rows = next(value for value in rows.values() if isinstance(value, list))
        yield from ({_ROW} for row in rows)
""",
    ),
    ".txt": (
        "",
        _OPEN.format(newline='"\\n"')
        + """ lines:
            whole = (line.removesuffix("\\n").removesuffix("\\r") for line in lines)
            yield from (line for line in whole if line.strip())
""",
    ),
}
"""By suffix: what to import, and how the texts of one file are read."""

_PARENT = """\
parent = AutoTokenizer.from_pretrained({parent!r})
more = {{"show_progress": False}}
if type(parent.backend_tokenizer.model).__name__ != "Unigram":
    more["min_frequency"] = {frequency}
trained = parent.train_new_from_iterator(texts(), {size}, **more)
trained.backend_tokenizer.no_truncation()
trained.backend_tokenizer.no_padding()
"""
_TOKENIZERS = """\
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers
from transformers import PreTrainedTokenizerFast
"""
_TRAIN_IMPORTS = {
    "BPE": _TOKENIZERS,
    "WordPiece": _TOKENIZERS,
    "Unigram": _TOKENIZERS,
    "parent": AUTO,
}
_TRAIN_BODIES = {
    "BPE": """\
tokenizer = Tokenizer(models.BPE())
if {lowercase}:
    tokenizer.normalizer = normalizers.Lowercase()
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size={size},
    min_frequency={frequency},
    special_tokens=["<|endoftext|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator(texts(), trainer)
end = "<|endoftext|>"
roles = dict(bos_token=end, eos_token=end, unk_token=end)
trained = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)
""",
    "WordPiece": """\
specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase={lowercase})
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.decoder = decoders.WordPiece()
trainer = trainers.WordPieceTrainer(
    vocab_size={size},
    min_frequency={frequency},
    special_tokens=specials,
    show_progress=False,
)
tokenizer.train_from_iterator(texts(), trainer)
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS]:0 $A:0 [SEP]:0",
    pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
    special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
)
names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
trained = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, specials)))
""",
    "Unigram": """\
specials = ["<pad>", "</s>", "<unk>"]
tokenizer = Tokenizer(models.Unigram())
steps = [normalizers.NFKC()] + ([normalizers.Lowercase()] if {lowercase} else [])
tokenizer.normalizer = normalizers.Sequence(steps)
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
tokenizer.decoder = decoders.Metaspace()
trainer = trainers.UnigramTrainer(
    vocab_size={size}, special_tokens=specials, unk_token="<unk>", show_progress=False
)
tokenizer.train_from_iterator(texts(), trainer)
tokenizer.post_processor = processors.TemplateProcessing(
    single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
)
names = ("pad_token", "eos_token", "unk_token")
trained = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, specials)))
""",
}
