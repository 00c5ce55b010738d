"""Show code for a batch: read the file, predict its rows, and score them.

Nothing heavy is imported here: the script is text.
"""

from __future__ import annotations

from pathlib import Path

from hfterm.inference.options import BatchOptions, TaskOptions
from hfterm.models.code_parts import imports, load_imports, load_lines, tokenizer_lines
from hfterm.models.types import LoadedInfo

READERS = {
    ".csv": "import csv\n\nwith open(file, encoding='utf-8-sig', newline='') as opened:\n"
    "    rows = list(csv.DictReader(opened))\n",
    ".tsv": "import csv\n\nwith open(file, encoding='utf-8-sig', newline='') as opened:\n"
    "    rows = list(csv.DictReader(opened, delimiter='\\t'))\n",
    ".jsonl": "import json\n\nwith open(file, encoding='utf-8-sig') as opened:\n"
    "    rows = [json.loads(line) for line in opened if line.strip()]\n",
    ".json": "import json\n\nwith open(file, encoding='utf-8-sig') as opened:\n"
    "    rows = json.load(opened)\n",
    ".parquet": "import pyarrow.parquet\n\nrows = pyarrow.parquet.read_table(file).to_pylist()\n",
}
LINES = (
    "with open(file, encoding='utf-8-sig') as opened:\n"
    "    rows = [{'text': line.rstrip('\\r\\n')} for line in opened if line.strip()]\n"
)


def batch_code(info: LoadedInfo, file: str, options: TaskOptions, batch: BatchOptions) -> str:
    """The Batch tab for text classification: a label and its probability a row, and the accuracy.

    Other tasks take one row at a time: their script is that of one text, in a loop.
    """
    names = [*load_imports(info.source, info.spec), "AutoTokenizer", "logging"]
    reader = READERS.get(Path(file).suffix.lower(), LINES)
    most = f"[:{batch.most}]" if batch.most else ""
    column = batch.column or "text"
    label = batch.label_column or "label"
    head = (
        imports(*names)
        + "logging.set_verbosity_error()\n"
        + tokenizer_lines(info.source, info.spec, info.source.base)
        + load_lines(info.source, info.spec, info.skipped)
        + f"file = {file!r}\n"
        + reader
        + f"rows = rows{most}\n"
        f"texts = [row[{column!r}] for row in rows]\n"
    )
    if options.task == "feature-extraction":
        return head + _embeddings(info, options, batch)
    if options.task != "text-classification":
        from hfterm.inference.code import predict_code

        one = predict_code(info, "", options)
        body = one[one.index("text = ''\n") + len("text = ''\n") :] if "text = ''\n" in one else ""
        lines = body.replace("\n", "\n    ").rstrip()
        return f"{head}for text in texts:\n    {lines}\n" if lines else head
    cut = f", truncation=True, max_length={info.limit}" if options.long != "ask" else ""
    return (
        head + "if tokenizer.pad_token is None:\n"
        "    tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token\n"
        "    model.config.pad_token_id = tokenizer.pad_token_id\n"
        "labels = []\n"
        "with torch.inference_mode():\n"
        f"    for start in range(0, len(texts), {batch.size}):\n"
        f"        some = texts[start : start + {batch.size}]\n"
        f'        inputs = tokenizer(some, padding=True, return_tensors="pt"{cut})\n'
        "        logits = model(**inputs.to(model.device)).logits.float()\n"
        "        best = torch.softmax(logits, dim=-1).max(dim=-1)\n"
        "        for share, id_ in zip(best.values.tolist(), best.indices.tolist()):\n"
        "            labels.append(model.config.id2label[id_])\n"
        '            print(labels[-1], f"{share:.4f}")\n'
        f"if {label!r} in rows[0]:\n"
        "    names = model.config.id2label\n"
        f"    true = [row[{label!r}] for row in rows]\n"
        "    true = [names[int(t)] if str(t).isdigit() else str(t) for t in true]\n"
        "    right = sum(a == b for a, b in zip(true, labels))\n"
        '    print(f"accuracy {right / len(labels):.4f}")\n'
    )


def _embeddings(info: LoadedInfo, options: TaskOptions, batch: BatchOptions) -> str:
    from hfterm.inference.code import predict_code

    one = predict_code(info, "text", options)
    body = one[one.index("inputs = tokenizer(texts") :].split("unit = ")[0]
    lines = body.replace("texts", "some").replace("\n", "\n    ").rstrip()
    normal = (
        "    pooled = torch.nn.functional.normalize(pooled, dim=1)\n" if options.normalize else ""
    )
    return (
        "if tokenizer.pad_token is None:\n"
        "    tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token\n"
        f"for start in range(0, len(texts), {batch.size}):\n"
        f"    some = texts[start : start + {batch.size}]\n"
        f"    {lines}\n{normal}"
        "    for vector in pooled.tolist():\n"
        '        print(*(f"{value:.4f}" for value in vector))\n'
    )
