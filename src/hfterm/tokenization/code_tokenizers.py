"""Show code for the tabs about whole tokenizers: Compare, Config, Train, Audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hfterm.tokenization.code_parts import AUTO, list_lines, opened, text_line
from hfterm.tokenization.types import TrainOptions


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
    ids = tokenizer(text, truncation=False)["input_ids"]
    count = max(len(ids), 1)
    characters, size = len(text) / count, len(text.encode()) / count
    same = tokenizer.decode(ids, skip_special_tokens=True) == text
    print(source, len(ids), round(characters, 3), round(size, 3), same)
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


def audit_code(source: str, text: str | Path, pair: str | None = None) -> str:
    """The Audit tab's numbers: unknown tokens, characters in no token, round trip, limits."""
    paired = "" if pair is None else ", [pair]"
    return (
        opened(source, text)
        + text_line(text)
        + ("" if pair is None else f"pair = {pair!r}\n")
        + f"""
batch = tokenizer([text]{paired}, truncation=False, return_offsets_mapping=tokenizer.is_fast)
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


def train_code(options: TrainOptions, files: Sequence[str], out: str) -> str:
    """The Train tab: a new tokenizer from the lines of `files`, saved into the folder `out`."""
    head = f"""\
from pathlib import Path

{_TRAIN_IMPORTS[options.algorithm]}
{list_lines("files", files)}

def texts():
    for file in files:
        with Path(file).open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            yield from (line.rstrip("\\r\\n") for line in lines)


"""
    if options.algorithm == "parent":
        body = f"""\
parent = AutoTokenizer.from_pretrained({options.parent!r})
trained = parent.train_new_from_iterator(texts(), vocab_size={options.vocab_size})
"""
    else:
        body = _TRAIN_BODIES[options.algorithm].format(
            size=options.vocab_size,
            frequency=options.min_frequency,
            lowercase=options.lowercase,
        )
    return f"""{head}{body}trained.save_pretrained({out!r})
print(len(trained))
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
