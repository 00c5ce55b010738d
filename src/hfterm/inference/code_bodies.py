"""What a script does with an open model, by task: the same steps as the task's own function.

Nothing heavy is imported here: scripts are text.
"""

from __future__ import annotations

from hfterm.inference.code_calls import (
    ACCEPTED,
    INPUTS,
    MULTI,
    PADDING,
    Body,
    call,
    cut,
    indented,
    probabilities,
    slides,
    windows,
)
from hfterm.inference.code_decoding import generation, seq2seq
from hfterm.inference.options import ANSWER_EDGES, LONGEST_ANSWER, OVERLAP, TaskOptions
from hfterm.models.types import LoadedInfo


def body_of(info: LoadedInfo, options: TaskOptions) -> Body:
    """The parts of a task's script."""
    return {
        "text-classification": _classification,
        "token-classification": _tagging,
        "question-answering": _answering,
        "fill-mask": _filling,
        "text-generation": generation,
        "feature-extraction": _embedding,
        "zero-shot": _zero_shot,
        "multiple-choice": _choosing,
        "seq2seq": seq2seq,
    }[options.task](info, options)


def _classification(info: LoadedInfo, options: TaskOptions) -> Body:
    told = ["text"] + ["pair"] * (options.pair is not None) + ['return_tensors="pt"']
    told += cut(info, options)
    if slides(info, options):
        told += windows(info)
    each = (
        call("encoding", *told) + INPUTS + "with torch.no_grad():\n"
        "    logits = model(**inputs).logits\n"
        "mean = logits.float().mean(dim=0)\n" + probabilities("mean")
    )
    show = (
        "for id_ in probabilities.argsort(descending=True, stable=True).tolist():\n"
        "    label = model.config.id2label[id_]\n"
        '    print(id_, label, f"{mean[id_]:.4f}", f"{probabilities[id_]:.4f}")\n'
    )
    row = (
        "id_ = int(mean.argmax())\n"
        "found = model.config.id2label[id_]\n"
        'print(found, f"{probabilities[id_]:.4f}")\n'
    )
    once = PADDING + ACCEPTED
    if options.pair is not None:
        once += f"pair = {options.pair!r}\n"
    if options.label is not None:
        show += _loss(info, options)
    return Body(once, each, show, row)


def _loss(info: LoadedInfo, options: TaskOptions) -> str:
    backward = options.backward and info.spec.quantization == "none"
    script = (
        f"labels = torch.full((len(logits),), {options.label}, device=model.device)\n"
        f'if model.config.problem_type == "{MULTI}":\n'
        "    function = torch.nn.functional.binary_cross_entropy_with_logits\n"
        "    labels = torch.nn.functional.one_hot(labels, model.config.num_labels).float()\n"
        "elif model.config.num_labels == 1:\n"
        "    labels = labels.float()\n"
        "    function = lambda x, y: torch.nn.functional.mse_loss(x.squeeze(-1), y)\n"
        'elif model.config.problem_type == "regression":\n'
        "    labels = torch.nn.functional.one_hot(labels, model.config.num_labels).float()\n"
        "    function = torch.nn.functional.mse_loss\n"
        "else:\n"
        "    function = torch.nn.functional.cross_entropy\n"
        f"with torch.set_grad_enabled({backward}):\n"
        "    output = model(**inputs, labels=labels)\n"
        "    loss = function(output.logits.float(), labels)\n"
        'print("loss", f"{output.loss:.6f}", f"{loss:.6f}")\n'
    )
    if backward:
        script += (
            "import re\n"
            "\n"
            "loss.backward()\n"
            "squares = {}\n"
            "for name, weight in model.named_parameters():\n"
            r'    layer = re.match(r"^(.*?\.\d+)(\.|$)", name)'
            "\n"
            '    module = layer[1] if layer else ".".join(name.split(".")[:-1][:2]) or name\n'
            "    norm = weight.grad.float().norm() if weight.grad is not None else 0.0\n"
            "    squares[module] = squares.get(module, 0.0) + float(norm) ** 2\n"
            "for module, square in squares.items():\n"
            '    print(module, f"{square ** 0.5:.6f}")\n'
        )
    return script


def _tagging(info: LoadedInfo, options: TaskOptions) -> Body:
    told = [
        "text", 'return_tensors="pt"', "return_special_tokens_mask=True",
        "return_offsets_mapping=tokenizer.is_fast", *cut(info, options),
    ]  # fmt: skip
    once = PADDING + ACCEPTED
    step = "0"
    if slides(info, options):
        told += windows(info)
        once += 'tokenizer.truncation_side = "right"\n'
        step = f"special[0].count(0) - {(info.limit or 0) // OVERLAP}"
    each = (
        call("encoding", *told) + INPUTS + "with torch.no_grad():\n"
        "    logits = model(**inputs).logits\n"
        "best = torch.softmax(logits.float(), dim=-1).max(dim=-1)\n"
        'special = encoding["special_tokens_mask"].tolist()\n'
        f"step = {step}  # tokens from the start of a window to that of the next\n"
        "tokens = {}\n"
        'for window, ids in enumerate(encoding["input_ids"].tolist()):\n'
        "    positions = [p for p in range(len(ids)) if not special[window][p]]\n"
        "    for number, position in enumerate(positions):\n"
        "        index = window * step + number\n"
        "        # of two windows, the one that shows more of a token's surroundings\n"
        "        room = min(number, len(positions) - 1 - number)\n"
        "        if index not in tokens or tokens[index][0] < room:\n"
        "            span = (None, None)\n"
        '            if "offset_mapping" in encoding:\n'
        '                span = tuple(encoding["offset_mapping"][window][position].tolist())\n'
        "            label = model.config.id2label[int(best.indices[window, position])]\n"
        "            share = float(best.values[window, position])\n"
        "            name = tokenizer.convert_ids_to_tokens(ids[position])\n"
        "            tokens[index] = (room, name, *span, label, share)\n"
        "entities, before = [], None\n"
        "for _, name, start, end, label, share in tokens.values():\n"
        '    if label == "O" or start is None:\n'
        "        before = None\n"
        "        continue\n"
        '    kind = label[2:] if label[:2] in ("B-", "I-") else label\n'
        '    if kind != before or label.startswith("B-"):\n'
        "        entities.append((kind, start, [], []))\n"
        "    entities[-1][2].append(end)\n"
        "    entities[-1][3].append(share)\n"
        "    before = kind\n"
    )
    show = (
        "for _, name, start, end, label, share in tokens.values():\n"
        '    span = "-" if start is None else f"{start}:{end}"\n'
        '    print(name, span, label, f"{share:.4f}")\n'
        "for kind, start, ends, shares in entities:\n"
        "    mean = sum(shares) / len(shares)\n"
        '    print(kind, repr(text[start:ends[-1]]), f"{start}:{ends[-1]}", f"{mean:.4f}")\n'
    )
    row = (
        'found = "; ".join(f"{kind}: {text[s:ends[-1]]}" for kind, s, ends, _ in entities)\n'
        "print(repr(found), len(entities))\n"
    )
    return Body(once, each, show, row)


def _answering(info: LoadedInfo, options: TaskOptions) -> Body:
    told = ["question", "context", 'return_tensors="pt"', "return_offsets_mapping=True"]
    if info.limit:
        told += ['truncation="only_second"', f"max_length={info.limit}"]
        if options.long != "truncate":
            told += windows(info)
    each = (
        call("encoding", *told) + INPUTS + "with torch.no_grad():\n"
        "    output = model(**inputs)\n"
        "spans, no_answer = {}, float('inf')\n"
        "for window, ids in enumerate(encoding.input_ids.tolist()):\n"
        "    first, last = output.start_logits[window].float(), output.end_logits[window].float()\n"
        "    cls = tokenizer.cls_token_id\n"
        "    place = ids.index(cls) if cls in ids else 0\n"
        "    no_answer = min(no_answer, float(first[place] + last[place]))\n"
        "    inside = torch.tensor([s == 1 for s in encoding.sequence_ids(window)])\n"
        "    inside = inside.to(first.device)\n"
        f"    count = min({ANSWER_EDGES}, int(inside.sum()))\n"
        "    first = first.masked_fill(~inside, -float('inf'))\n"
        "    last = last.masked_fill(~inside, -float('inf'))\n"
        "    for start in first.topk(count).indices.tolist():\n"
        "        for end in last.topk(count).indices.tolist():\n"
        f"            if start <= end < start + {LONGEST_ANSWER}:\n"
        "                offsets = encoding.offset_mapping[window]\n"
        "                span = (int(offsets[start][0]), int(offsets[end][1]))\n"
        "                score = float(first[start] + last[end])\n"
        "                spans[span] = max(score, spans.get(span, score))\n"
        f"best = sorted(spans.items(), key=lambda item: -item[1])[:{options.top}]\n"
        "scores = torch.tensor([score for _, score in best] + [no_answer])\n"
        "shares = torch.softmax(scores, dim=0).tolist()\n"
        "answers = [(context[s:e], f'{s}:{e}', score) for (s, e), score in best]\n"
        "answers.append(('', '-', no_answer))  # no answer\n"
        "order = sorted(range(len(answers)), key=lambda index: -answers[index][2])\n"
    )
    show = (
        "for index in order:\n"
        "    answer, span, score = answers[index]\n"
        '    print(repr(answer), span, f"{score:.4f}", f"{shares[index]:.4f}")\n'
    )
    row = 'found = answers[order[0]][0]\nprint(repr(found), f"{answers[order[0]][2]:.4f}")\n'
    once = PADDING + ACCEPTED + f"question = {options.question!r}\n"
    return Body(once, each, show, row, "context")


def _filling(info: LoadedInfo, options: TaskOptions) -> Body:
    each = (
        'for mask in ("[MASK]", "<mask>"):\n'
        "    text = text.replace(mask, tokenizer.mask_token)\n"
        + call("encoding", "text", 'return_tensors="pt"', *cut(info, options))
        + INPUTS
        + "with torch.no_grad():\n"
        "    logits = model(**inputs).logits\n"
        'ids = inputs["input_ids"][0]\n'
        "masks = (ids == tokenizer.mask_token_id).nonzero().flatten().tolist()\n"
        "fillings = []\n"
        "for number, position in enumerate(masks):\n"
        "    row = logits[0, position].float()\n"
        f"    best = torch.softmax(row, dim=-1).topk(min({options.top}, len(row)))\n"
        "    for share, id_ in zip(best.values.tolist(), best.indices.tolist()):\n"
        "        filled = ids.clone()\n"
        "        filled[position] = id_\n"
        "        whole = tokenizer.decode(filled, skip_special_tokens=True)\n"
        '        token = tokenizer.convert_ids_to_tokens(id_) or f"id {id_}"\n'
        "        fillings.append((number, id_, token, float(row[id_]), share, whole))\n"
    )
    show = (
        "for number, id_, token, logit, share, whole in fillings:\n"
        '    print(number, id_, token, f"{logit:.4f}", f"{share:.4f}", whole)\n'
    )
    row = 'found = fillings[0][2]\nprint(found, f"{fillings[0][4]:.4f}", fillings[0][5])\n'
    return Body(ACCEPTED, each, show, row)


def pooled(info: LoadedInfo, options: TaskOptions, texts: str) -> str:
    """``pooled = …``: one vector for each of the texts that a list of this name holds."""
    how = {
        "mean": "pooled = (hidden * wide).sum(dim=1) / wide.sum(dim=1)\n",
        "max": "pooled = hidden.masked_fill(wide == 0, -torch.inf).amax(dim=1)\n",
        "cls": "pooled = hidden[torch.arange(len(hidden)), mask.argmax(dim=1)]\n",
        "last": "positions = torch.arange(mask.shape[1], device=mask.device)\n"
        "pooled = hidden[torch.arange(len(hidden)), (mask * positions).argmax(dim=1)]\n",
    }[options.pooling]
    told = (texts, "padding=True", 'return_tensors="pt"', "return_attention_mask=True")
    return (
        call("encoding", *told, *cut(info, options)) + "mask = encoding.attention_mask\n"
        "mask = mask.to(model.device)\n" + INPUTS + "encoder = model\n"
        "if model.config.is_encoder_decoder:\n"
        "    encoder = model.get_encoder()\n"
        '    inputs = {"input_ids": inputs["input_ids"], "attention_mask": mask}\n'
        "with torch.no_grad():\n"
        "    hidden = encoder(**inputs).last_hidden_state.float()\n"
        "wide = mask.unsqueeze(-1).to(hidden.dtype)\n" + how
    )


def _embedding(info: LoadedInfo, options: TaskOptions) -> Body:
    each = (
        "texts = [line for line in text.splitlines() if line.strip()]\n"
        + pooled(info, options, "texts")
        + "unit = torch.nn.functional.normalize(pooled, dim=1)\n"
        "similarity = unit @ unit.T\n"
    )
    shown = "unit" if options.normalize else "pooled"
    show = (
        "for text, row in zip(texts, similarity.tolist()):\n"
        '    print(repr(text), *(f"{value:.4f}" for value in row))\n'
        "for index, norm in enumerate(pooled.norm(dim=1).tolist()):\n"
        "    tokens = int(mask[index].sum())\n"
        f"    vector = {shown}[index, :8].tolist()\n"
        '    print(index + 1, tokens, f"{norm:.4f}", *(f"{value:+.4f}" for value in vector))\n'
    )
    return Body(PADDING + ACCEPTED, each, show, "")


def _zero_shot(info: LoadedInfo, options: TaskOptions) -> Body:
    names = [label.lower() for label in info.labels]
    last = len(names) - 1
    entailment = next((i for i, n in enumerate(names) if n.startswith("entail")), last)
    named = any(n.startswith("entail") for n in names)
    opposite = 0 if entailment or not named else last
    if named:
        opposite = next((i for i, n in enumerate(names) if n.startswith("contra")), opposite)
    share = (
        f"torch.softmax(logits[:, [{opposite}, {entailment}]], dim=1)[:, 1]"
        if options.multi_label or len(options.labels) == 1
        else f"torch.softmax(logits[:, {entailment}], dim=0)"
    )
    told = call("encoding", "text", "hypothesis", 'return_tensors="pt"', *cut(info, options))
    each = (
        "said = []\n"
        "for label in labels:\n"
        '    hypothesis = template.replace("{}", label)\n'
        + indented(told + INPUTS)
        + "    with torch.no_grad():\n"
        "        said.append(model(**inputs).logits[0].float())\n"
        "logits = torch.stack(said)\n"
        f"shares = {share}\n"
        "order = shares.argsort(descending=True, stable=True).tolist()\n"
    )
    show = (
        "for index in order:\n"
        f'    print(labels[index], f"{{logits[index, {entailment}]:.4f}}", '
        'f"{shares[index]:.4f}")\n'
    )
    once = f"{ACCEPTED}labels = {list(options.labels)!r}\ntemplate = {options.template!r}\n"
    row = 'found = labels[order[0]]\nprint(found, f"{shares[order[0]]:.4f}")\n'
    return Body(once, each, show, row)


def _choosing(info: LoadedInfo, options: TaskOptions) -> Body:
    told = (
        "[text] * len(choices)", "choices", "padding=True", 'return_tensors="pt"',
        *cut(info, options, '"only_first"'),
    )  # fmt: skip
    each = (
        call("encoding", *told)
        + INPUTS
        + "inputs = {k: v.unsqueeze(0) for k, v in inputs.items()}\n"
        "with torch.no_grad():\n"
        "    logits = model(**inputs).logits[0].float()\n"
        "shares = torch.softmax(logits, dim=0)\n"
        "order = shares.argsort(descending=True, stable=True).tolist()\n"
    )
    show = (
        "for index in order:\n"
        '    print(index, choices[index], f"{logits[index]:.4f}", f"{shares[index]:.4f}")\n'
    )
    once = PADDING + ACCEPTED + f"choices = {list(options.labels)!r}\n"
    row = 'found = choices[order[0]]\nprint(found, f"{shares[order[0]]:.4f}")\n'
    return Body(once, each, show, row)
