"""Untrained pipelines: byte-level BPE as GPT-2 has it, WordPiece as BERT, Unigram as T5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from hfterm.tokenization.views import TrainOptions

Algorithm = Literal["BPE", "WordPiece", "Unigram"]

END_OF_TEXT = "<|endoftext|>"
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
T5 = ("<pad>", "</s>", "<unk>")

ROLES: dict[Algorithm, dict[str, str]] = {
    "BPE": {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT},
    "WordPiece": dict(
        zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), BERT, strict=True)
    ),
    "Unigram": dict(zip(("pad_token", "eos_token", "unk_token"), T5, strict=True)),
}
"""The special tokens of each, by their role. GPT-2 has no padding token."""


@dataclass(frozen=True)
class Recipe:
    """A pipeline without vocabulary and the trainer that makes one."""

    algorithm: Algorithm
    tokenizer: Tokenizer
    trainer: trainers.Trainer

    def finish(self) -> None:
        """Set the post-processor, which needs the ids of the special tokens."""
        tokenizer = self.tokenizer
        if self.algorithm == "BPE":
            tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
            return
        names = ("[CLS]", "[SEP]") if self.algorithm == "WordPiece" else ("</s>",)
        ids = [(name, tokenizer.token_to_id(name)) for name in names]
        specials = [(name, id_) for name, id_ in ids if id_ is not None]
        if self.algorithm == "WordPiece":
            single = "[CLS]:0 $A:0 [SEP]:0"
            pair = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
        else:
            single, pair = "$A </s>", "$A </s> $B </s>"
        tokenizer.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=specials
        )


def blank(options: TrainOptions) -> Recipe:
    """The pipeline of `options.algorithm`; ``parent`` has none of its own."""
    if options.algorithm == "WordPiece":
        return _wordpiece(options)
    if options.algorithm == "Unigram":
        return _unigram(options)
    return _bpe(options)


def _bpe(options: TrainOptions) -> Recipe:
    tokenizer = Tokenizer(models.BPE())
    if options.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options.vocab_size,
        min_frequency=options.min_frequency,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return Recipe("BPE", tokenizer, trainer)


def _wordpiece(options: TrainOptions) -> Recipe:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=options.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=options.vocab_size,
        min_frequency=options.min_frequency,
        special_tokens=list(BERT),
        show_progress=False,
    )
    return Recipe("WordPiece", tokenizer, trainer)


def _unigram(options: TrainOptions) -> Recipe:
    tokenizer = Tokenizer(models.Unigram())
    steps: list[normalizers.Normalizer] = [normalizers.NFKC()]
    if options.lowercase:
        steps.append(normalizers.Lowercase())
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=options.vocab_size,
        special_tokens=list(T5),
        unk_token="<unk>",
        show_progress=False,
    )
    return Recipe("Unigram", tokenizer, trainer)
