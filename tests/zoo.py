"""A zoo of small tokenizers, one of every kind, trained on the test corpus.

Only `tokenizers` is imported: building the zoo takes under a second, opening it is
the business of the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from corpus import HOSTILE, training_texts

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SENTENCEPIECE = ["<unk>", "<s>", "</s>", "<pad>", "<mask>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PYTHON_BACKENDS = frozenset({"byt5", "bert-legacy", "canine"})
"""Members that `AutoTokenizer` opens with a Python backend."""

Config = dict[str, object]


def _train_bpe(
    pre_tokenizer: pre_tokenizers.PreTokenizer, size: int, specials: list[str], **options: object
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**options))  # pyright: ignore[reportArgumentType]
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        if isinstance(pre_tokenizer, pre_tokenizers.ByteLevel)
        else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    return tokenizer


def _train_wordpiece(lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=BERT, show_progress=False)
    tokenizer.train_from_iterator(training_texts()[:-30], trainer)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _bert_config(**more: object) -> Config:
    roles = ("pad", "unk", "cls", "sep", "mask")
    return {f"{role}_token": token for role, token in zip(roles, BERT, strict=True)} | more


def _gpt2() -> tuple[Tokenizer, Config]:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = _train_bpe(byte_level, 700, ["<|endoftext|>"])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    end = "<|endoftext|>"
    return tokenizer, {
        "tokenizer_class": "GPT2Tokenizer",
        "bos_token": end,
        "eos_token": end,
        "unk_token": end,
        "model_max_length": 1024,
    }


def _roberta() -> tuple[Tokenizer, Config]:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer = _train_bpe(byte_level, 700, ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True
    )
    return tokenizer, {
        "tokenizer_class": "RobertaTokenizer",
        "add_prefix_space": True,
        "trim_offsets": True,
        "cls_token": "<s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }


def _no_pad() -> tuple[Tokenizer, Config]:
    """As Llama 3 and SmolLM: a regex split before byte-level, roles for bos and eos only."""
    tokenizer = _train_bpe(
        pre_tokenizers.ByteLevel(add_prefix_space=False), 700, ["<|begin|>", "<|end|>"]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin|> $A", pair="<|begin|> $A $B:1", special_tokens=[("<|begin|>", 0)]
            ),
        ]
    )
    return tokenizer, {"bos_token": "<|begin|>", "eos_token": "<|end|>"}


def _sentencepiece_bpe() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a BPE model as SentencePiece exports it: specials, bytes, pieces."""
    trained = _train_bpe(pre_tokenizers.Metaspace(), 600, SENTENCEPIECE, unk_token="<unk>")
    model = json.loads(trained.to_str())["model"]
    pieces = [p for p in model["vocab"] if p not in SENTENCEPIECE and p not in BYTES]
    # a third of the single characters is left out, so that the byte fallback has work to do
    needed = {half for merge in model["merges"] for half in merge}
    pieces = [p for i, p in enumerate(pieces) if len(p) > 1 or p in needed or i % 3]
    vocab = {piece: index for index, piece in enumerate([*SENTENCEPIECE, *BYTES, *pieces])}
    return vocab, [(left, right) for left, right in model["merges"]]


def _llama() -> tuple[Tokenizer, Config]:
    """Llama 2: no pre-tokenizer, the normalizer puts the metaspace in, bytes as a fallback."""
    vocab, merges = _sentencepiece_bpe()
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens(SENTENCEPIECE[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s>:0 $A:0", pair="<s>:0 $A:0 <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def _llama_rebuilt() -> tuple[Tokenizer, Config]:
    """The same, named LlamaTokenizer: transformers replaces normalizer and pre-tokenizer."""
    tokenizer, config = _llama()
    return tokenizer, config | {"tokenizer_class": "LlamaTokenizer", "pad_token": "<pad>"}


def _wordpiece_cased() -> tuple[Tokenizer, Config]:
    return _train_wordpiece(False), _bert_config(
        tokenizer_class="BertTokenizer", do_lower_case=False, model_max_length=64
    )


def _wordpiece_uncased() -> tuple[Tokenizer, Config]:
    return _train_wordpiece(True), _bert_config(
        tokenizer_class="BertTokenizer", do_lower_case=True, model_max_length=512
    )


def _stored() -> tuple[Tokenizer, Config]:
    """A file that stores padding and truncation, as sentence-transformers write it."""
    tokenizer = _train_wordpiece(True)
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16, pad_id=0, pad_token="[PAD]")
    return tokenizer, _bert_config(tokenizer_class="BertTokenizer", model_max_length=16)


def _unigram(specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    # without the last texts some characters stay unknown
    tokenizer.train_from_iterator(training_texts()[:-30], trainer)
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _t5() -> tuple[Tokenizer, Config]:
    tokenizer = _unigram(["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer, {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


def _xlnet() -> tuple[Tokenizer, Config]:
    """Specials at the end, type id 2 for the last of them, padding on the left."""
    tokenizer = _unigram(["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2",
        pair="$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        special_tokens=[("<sep>", 4), ("<cls>", 3)],
    )
    return tokenizer, {
        "unk_token": "<unk>",
        "cls_token": "<cls>",
        "sep_token": "<sep>",
        "pad_token": "<pad>",
        "padding_side": "left",
    }


def _word_level() -> tuple[Tokenizer, Config]:
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=300, special_tokens=BERT, show_progress=False)
    tokenizer.train_from_iterator(training_texts(), trainer)
    return tokenizer, {"unk_token": "[UNK]", "pad_token": "[PAD]"}


def _characters() -> tuple[Tokenizer, Config]:
    characters = sorted(set("".join(training_texts()[:60])))
    vocab = {token: index for index, token in enumerate([*BERT, *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(BERT)
    return tokenizer, {"unk_token": "[UNK]", "pad_token": "[PAD]"}


def _no_pre_tokenizer() -> tuple[Tokenizer, Config]:
    """Merges over spaces: a whole text is one word to the model."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>", "<pad>"], show_progress=False
    )
    tokenizer.train_from_iterator(training_texts()[:60], trainer)
    tokenizer.decoder = decoders.Fuse()
    return tokenizer, {"unk_token": "<unk>", "pad_token": "<pad>"}


def _pair_template() -> tuple[Tokenizer, Config]:
    """Two separators between the sequences; added tokens that strip, and that match words."""
    tokenizer = _train_wordpiece(True)
    tokenizer.add_tokens(
        [
            AddedToken("quick", single_word=True),
            AddedToken("Hugging Face", normalized=True),
            AddedToken("<sep2>", lstrip=True, rstrip=True),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 [SEP]:1 $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer, _bert_config(model_input_names=["input_ids", "token_type_ids"])


def _hostile() -> tuple[Tokenizer, Config]:
    """A vocabulary that attacks the terminal: added tokens, special tokens and plain pieces."""
    byte_level = pre_tokenizers.WhitespaceSplit()
    tokenizer = _train_bpe(byte_level, 400, ["<unk>", "<pad>"], unk_token="<unk>")
    half = len(HOSTILE) // 2
    tokenizer.add_special_tokens(list(HOSTILE.values())[:half])
    tokenizer.add_tokens(list(HOSTILE.values())[half:])
    tokenizer.add_special_tokens(["[bold]<eos>[/bold]"])
    return tokenizer, {
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "eos_token": "[bold]<eos>[/bold]",
        "chat_template": "{{ messages[0]['content'] }}\x1b]0;owned\x07[@click=app.quit]",
    }


FAST: dict[str, Callable[[], tuple[Tokenizer, Config]]] = {
    "gpt2": _gpt2,
    "roberta": _roberta,
    "no-pad": _no_pad,
    "llama": _llama,
    "llama-rebuilt": _llama_rebuilt,
    "wordpiece-cased": _wordpiece_cased,
    "wordpiece-uncased": _wordpiece_uncased,
    "stored": _stored,
    "t5": _t5,
    "xlnet": _xlnet,
    "word-level": _word_level,
    "characters": _characters,
    "no-pre-tokenizer": _no_pre_tokenizer,
    "pair-template": _pair_template,
    "hostile": _hostile,
}
"""Makers of the members with a Rust pipeline."""

NAMES: tuple[str, ...] = (*FAST, *sorted(PYTHON_BACKENDS))
"""Every member of the zoo, for parametrizing."""


def _write_config(folder: Path, config: Config) -> None:
    full = {"tokenizer_class": "PreTrainedTokenizerFast"} | config
    (folder / "tokenizer_config.json").write_text(json.dumps(full), encoding="utf-8")


def _build_python_backends(root: Path, wordpiece: Tokenizer) -> dict[str, Path]:
    folders = {name: root / name for name in sorted(PYTHON_BACKENDS)}
    for folder in folders.values():
        folder.mkdir(parents=True)
    _write_config(folders["byt5"], {"tokenizer_class": "ByT5Tokenizer", "extra_ids": 5})
    _write_config(folders["canine"], {"tokenizer_class": "CanineTokenizer"})
    vocab = wordpiece.get_vocab()
    lines = sorted(vocab, key=lambda token: vocab[token])
    (folders["bert-legacy"] / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_config(
        folders["bert-legacy"],
        _bert_config(tokenizer_class="BertTokenizerLegacy", do_lower_case=True),
    )
    return folders


def build_zoo(root: Path) -> dict[str, Path]:
    """Write every member into a folder of its own under `root`; name → folder."""
    folders: dict[str, Path] = {}
    wordpiece: Tokenizer | None = None
    for name, make in FAST.items():
        tokenizer, config = make()
        if name == "wordpiece-uncased":
            wordpiece = tokenizer
        folder = root / name
        folder.mkdir(parents=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        _write_config(folder, config)
        folders[name] = folder
    assert wordpiece is not None
    return folders | _build_python_backends(root, wordpiece)
