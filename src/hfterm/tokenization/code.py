"""Show code: short scripts, in today's API, that print what each tab shows.

Nothing heavy is imported here: the scripts are text, and the UI process makes them. A
`source` is what goes into ``from_pretrained``: a folder or a hub id. A text that is a
`Path` is read from that file by the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hfterm.tokenization.code_parts import AUTO, list_lines, opened, text_line
from hfterm.tokenization.code_tokenizers import (
    audit_code,
    compare_code,
    config_code,
    train_code,
)
from hfterm.tokenization.steps_script import IMPORTS, PIPELINE, STEPS_LIMIT, TUTORIAL
from hfterm.tokenization.views import BatchOptions, Message

__all__ = [
    "audit_code",
    "batch_code",
    "compare_code",
    "config_code",
    "decode_code",
    "steps_code",
    "table_code",
    "template_code",
    "train_code",
    "vocabulary_code",
]

Mode = Literal["text", "regex", "id", "all"]


def table_code(
    source: str,
    text: str | Path,
    pair: str | None = None,
    add_special_tokens: bool = True,
    *,
    fast: bool = True,
) -> str:
    """The Table tab: one line a token, in the order of the fields of `types.Token`.

    Args:
        source: what to open.
        text: the text itself, or the file that holds it.
        pair: the second sequence, None for a single text.
        add_special_tokens: as in the tokenizer's own call.
        fast: whether the tokenizer has the Rust backend, which knows offsets and words.
    """
    known = ["token", "type_id", "mask", "special"]
    columns = {
        "token": "tokenizer.convert_ids_to_tokens(ids)",
        "type_id": 'batch["token_type_ids"][0]',
        "mask": 'batch["attention_mask"][0]',
        "special": 'batch["special_tokens_mask"][0]',
    }
    if fast:
        known[1:1] = ["start, end", "word", "sequence"]
        columns |= {
            "token": "batch.tokens(0)",
            "start, end": 'batch["offset_mapping"][0]',
            "word": "batch.word_ids(0)",
            "sequence": "batch.sequence_ids(0)",
        }
    names = ", ".join(f"({name})" if "," in name else name for name in known)
    printed = ", ".join("repr(token)" if name == "token" else name for name in known)
    asked = [
        "truncation=False",
        "padding=False",
        f"add_special_tokens={add_special_tokens}",
        "return_token_type_ids=True",
        "return_attention_mask=True",
        "return_special_tokens_mask=True",
        *(["return_offsets_mapping=True"] if fast else []),
    ]
    return (
        opened(source, text)
        + text_line(text)
        + (f"pair = {pair!r}\n" if pair is not None else "")
        + f"\nbatch = tokenizer(\n    [text],{' [pair],' if pair is not None else ''}\n"
        + "".join(f"    {argument},\n" for argument in asked)
        + ')\nids = batch["input_ids"][0]\ncolumns = zip(\n    ids,\n'
        + "".join(f"    {columns[name]},\n" for name in known)
        + f")\nfor index, (id_, {names}) in enumerate(columns):\n"
        + f"    print(index, id_, {printed})\n"
    )


def steps_code(source: str, text: str | Path, pair: str | None = None, *, fast: bool = True) -> str:
    """The Steps tab: the whole pipeline (Rust backend only), then the tutorial's stages."""
    sequences = f"[text[:{STEPS_LIMIT}]" + ("" if pair is None else f", pair[:{STEPS_LIMIT}]") + "]"
    start = opened(source, text)
    return (
        (start.replace(AUTO, IMPORTS) if fast else start)
        + text_line(text)
        + (f"pair = {pair!r}\n" if pair is not None else "")
        + f"sequences = {sequences}\n"
        + (PIPELINE if fast else "")
        + TUTORIAL
    )


def batch_code(
    source: str,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    options: BatchOptions,
    *,
    tensors: bool = False,
) -> str:
    """The Batch tab: ids, mask and text of each row, and the shape.

    Args:
        source: what to open.
        texts: the first sequences.
        pairs: the second sequences, or None.
        options: how to pad and to cut.
        tensors: ask for ``return_tensors="pt"``, which only rows of one length can be made into.
    """
    truncate = options.truncation != "none"
    asked = {
        "padding": False if options.padding == "none" else options.padding,
        "padding_side": options.padding_side,
        "truncation": options.truncation if truncate else False,
        "max_length": options.max_length,
        "stride": options.stride or None,
        "pad_to_multiple_of": options.pad_to_multiple_of,
        "add_special_tokens": options.add_special_tokens,
        "return_attention_mask": True,
        "return_overflowing_tokens": True if options.overflow and truncate else None,
        "return_tensors": "pt" if tensors else None,
    }
    script = opened(source) + list_lines("texts", texts)
    if pairs is not None:
        script += list_lines("pairs", pairs)
    script += f"\nbatch = tokenizer(\n    texts,{' pairs,' if pairs is not None else ''}\n"
    script += "".join(f"    {k}={v!r},\n" for k, v in asked.items() if v is not None)
    script += ")\n"
    if tensors:
        script += 'print("shape", tuple(batch["input_ids"].shape))\n'
    rows = ('batch["input_ids"]', 'batch["attention_mask"]')
    ids, mask = (f"{row}.tolist()" for row in rows) if tensors else rows
    return script + (
        'print("pad", tokenizer.pad_token, tokenizer.pad_token_id)\n'
        f"for ids, mask in zip({ids}, {mask}):\n"
        "    print(ids, mask)\n"
        "    print(repr(tokenizer.decode(ids)))\n"
        "    print(repr(tokenizer.decode(ids, skip_special_tokens=True)))\n"
    )


def vocabulary_code(
    source: str,
    query: str,
    mode: Mode = "text",
    offset: int = 0,
    limit: int = 100,
    *,
    fast: bool = True,
) -> str:
    """The Vocabulary tab's search: how many entries match, and a page of them."""
    script = opened(source)
    if mode == "regex":
        script = "import regex\n" + script
    script += (
        "names = {id_: token for token, id_ in tokenizer.get_vocab().items()}\n"
        "names |= {id_: t.content for id_, t in tokenizer.added_tokens_decoder.items()}\n"
        "entries = sorted(names.items())\n"
    )
    if mode == "all" or not query:
        script += "found = entries\n"
    elif mode == "regex":
        script += f"pattern = regex.compile({query!r})\n"
        script += "found = [entry for entry in entries if pattern.search(entry[1])]\n"
    elif mode == "id":
        script += f"wanted = {query!r}.replace(',', ' ').split()\n"
        script += (
            "spans = [[int(end) for end in part.split('-')] for part in wanted]\n"
            "found = [e for e in entries if any(s[0] <= e[0] <= s[-1] for s in spans)]\n"
        )
    elif fast:
        script += f"wanted = {query!r}.casefold()\n"
        script += (
            "backend = tokenizer.backend_tokenizer\n"
            "ids = [[id_] for id_, _ in entries]\n"
            "texts = backend.decode_batch(ids, skip_special_tokens=False)\n"
            "found = [\n"
            "    entry\n"
            "    for entry, text in zip(entries, texts)\n"
            "    if wanted in entry[1].casefold() or wanted in text.casefold()\n"
            "]\n"
        )
    else:
        script += f"wanted = {query!r}.casefold()\n"
        script += "found = [entry for entry in entries if wanted in entry[1].casefold()]\n"
    return script + (
        'print(len(found), "of", len(entries))\n'
        f"for id_, token in found[{offset}:{offset + limit}]:\n"
        "    print(id_, repr(token), repr(tokenizer.decode([id_])))\n"
    )


def decode_code(source: str, ids: Sequence[int]) -> str:
    """The Vocabulary tab's decoding of any ids."""
    return opened(source) + (
        f"ids = {list(ids)}\n"
        "print(tokenizer.convert_ids_to_tokens(ids))\n"
        "print(repr(tokenizer.decode(ids)))\n"
        "print(repr(tokenizer.decode(ids, skip_special_tokens=True)))\n"
    )


def template_code(
    source: str,
    messages: Sequence[Message],
    add_generation_prompt: bool = False,
    continue_final_message: bool = False,
    name: str | None = None,
) -> str:
    """The Template tab: what the template gives, and its ids."""
    items = [f'{{"role": {m.role!r}, "content": {m.content!r}}}' for m in messages]
    return (
        opened(source)
        + "messages = [\n"
        + "".join(f"    {item},\n" for item in items)
        + "]\n\ntext = tokenizer.apply_chat_template(\n    messages,\n"
        + (f"    chat_template={name!r},\n" if name else "")
        + "    tokenize=False,\n"
        + f"    add_generation_prompt={add_generation_prompt},\n"
        + f"    continue_final_message={continue_final_message},\n)\n"
        + "print(repr(text))\n"
        + 'print(tokenizer(text, add_special_tokens=False)["input_ids"])\n'
    )
