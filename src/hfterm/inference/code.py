"""Show code for the Predict screen: scripts that run as they are and print what it shows.

Nothing heavy is imported here: the scripts are text, and the UI process makes them.
"""

from __future__ import annotations

from hfterm.inference.batch_code import batch_code
from hfterm.inference.options import ANSWER_EDGES, LONGEST_ANSWER, OVERLAP, TaskOptions
from hfterm.models.code_parts import imports, load_imports, load_lines, tokenizer_lines
from hfterm.models.types import LoadedInfo

__all__ = ["batch_code", "opened", "predict_code"]

PADDING = """\
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
if model.config.pad_token_id is None:
    model.config.pad_token_id = tokenizer.pad_token_id
"""


def opened(info: LoadedInfo) -> str:
    """Imports, tokenizer and model."""
    names = [*load_imports(info.source, info.spec), "AutoTokenizer", "logging"]
    base = info.source.base if info.source.base and not info.spec.tokenizer else ""
    return (
        imports(*names)
        + "logging.set_verbosity_error()\n"
        + tokenizer_lines(info.source, info.spec, base)
        + load_lines(info.source, info.spec, info.skipped)
    )


def encode_lines(info: LoadedInfo, options: TaskOptions, *texts: str, extra: str = "") -> str:
    """``inputs = tokenizer(…)`` with what is done about a text that does not fit."""
    told = [*texts, 'return_tensors="pt"', *([extra] if extra else [])]
    if options.long != "ask" and info.limit:
        told += ["truncation=True", f"max_length={info.limit}"]
        if options.long == "window":
            told += [
                f"stride={info.limit // OVERLAP}", "return_overflowing_tokens=True", "padding=True",
            ]  # fmt: skip
    lines = "".join(f"    {part},\n" for part in told)
    drop = ""
    if "return_overflowing_tokens=True" in told:
        drop = 'inputs.pop("overflow_to_sample_mapping", None)\n'
    return f"inputs = tokenizer(\n{lines}){'.to(model.device)'}\n{drop}"


def predict_code(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    """One text, any task: the same rows that the Result tab shows.

    Args:
        info: the model that was loaded.
        text: the text whole.
        options: the task and what it needs besides.
    """
    body = {
        "text-classification": _classification,
        "token-classification": _tagging,
        "question-answering": _answering,
        "fill-mask": _filling,
        "text-generation": _generation,
        "feature-extraction": _embedding,
        "zero-shot": _zero_shot,
        "multiple-choice": _choosing,
        "seq2seq": _seq2seq,
    }[options.task]
    return opened(info) + body(info, text, options)


def _classification(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    texts = ["text", "pair"] if options.pair is not None else ["text"]
    multi = "multi_label_classification"
    script = (
        PADDING
        + f"text = {text!r}\n"
        + (f"pair = {options.pair!r}\n" if options.pair is not None else "")
        + encode_lines(info, options, *texts)
        + "with torch.no_grad():\n"
        "    logits = model(**inputs).logits\n"
        "mean = logits.float().mean(dim=0)\n"
        f'if model.config.problem_type == "{multi}":\n'
        "    probabilities = torch.sigmoid(mean)\n"
        "elif model.config.num_labels == 1:\n"
        "    probabilities = mean\n"
        "else:\n"
        "    probabilities = torch.softmax(mean, dim=-1)\n"
        "for id_ in probabilities.argsort(descending=True, stable=True).tolist():\n"
        "    label = model.config.id2label[id_]\n"
        '    print(id_, label, f"{mean[id_]:.4f}", f"{probabilities[id_]:.4f}")\n'
    )
    if options.label is None:
        return script
    script += (
        f"labels = torch.full((len(logits),), {options.label}, device=model.device)\n"
        f'if model.config.problem_type == "{multi}":\n'
        "    function = torch.nn.functional.binary_cross_entropy_with_logits\n"
        "    labels = torch.nn.functional.one_hot(labels, model.config.num_labels).float()\n"
        "elif model.config.num_labels == 1:\n"
        "    labels = labels.float()\n"
        "    function = lambda x, y: torch.nn.functional.mse_loss(x.squeeze(-1), y)\n"
        "else:\n"
        "    function = torch.nn.functional.cross_entropy\n"
        "output = model(**inputs, labels=labels)\n"
        "loss = function(output.logits.float(), labels)\n"
        'print("loss", f"{output.loss:.6f}", f"{loss:.6f}")\n'
    )
    if options.backward and info.spec.quantization == "none":
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


def _tagging(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    return (
        PADDING
        + f"text = {text!r}\n"
        + encode_lines(info, options, "text", extra="return_offsets_mapping=True")
        + 'offsets = inputs.pop("offset_mapping")\n'
        "with torch.no_grad():\n"
        "    logits = model(**inputs).logits\n"
        "best = torch.softmax(logits.float(), dim=-1).max(dim=-1)\n"
        "found = {}\n"
        "for window, ids in enumerate(inputs.input_ids.tolist()):\n"
        "    for position, id_ in enumerate(ids):\n"
        "        if id_ in tokenizer.all_special_ids:\n"
        "            continue\n"
        "        span = tuple(offsets[window][position].tolist())\n"
        "        # of two windows, the one that shows more of a token's surroundings\n"
        "        room = min(position, len(ids) - position)\n"
        "        if span not in found or found[span][0] < room:\n"
        "            label = model.config.id2label[int(best.indices[window, position])]\n"
        "            share = float(best.values[window, position])\n"
        "            found[span] = (room, tokenizer.convert_ids_to_tokens(id_), label, share)\n"
        "for (start, end), (_, token, label, share) in found.items():\n"
        '    print(token, f"{start}:{end}", label, f"{share:.4f}")\n'
    )


def _answering(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    told = ["question", "context", 'return_tensors="pt"', "return_offsets_mapping=True"]
    if info.limit:
        told += ['truncation="only_second"', f"max_length={info.limit}"]
        if options.long != "truncate":
            told += [
                f"stride={info.limit // OVERLAP}", "return_overflowing_tokens=True", "padding=True",
            ]  # fmt: skip
    lines = "".join(f"    {part},\n" for part in told)
    return (
        PADDING + f"question = {options.question!r}\n"
        f"context = {text!r}\n"
        f"encoding = tokenizer(\n{lines})\n"
        "accepted = tokenizer.model_input_names\n"
        "inputs = {k: v.to(model.device) for k, v in encoding.items() if k in accepted}\n"
        "with torch.no_grad():\n"
        "    output = model(**inputs)\n"
        "spans, no_answer = {}, float('inf')\n"
        "for window, ids in enumerate(encoding.input_ids.tolist()):\n"
        "    first, last = output.start_logits[window].float(), output.end_logits[window].float()\n"
        "    cls = tokenizer.cls_token_id\n"
        "    place = ids.index(cls) if cls in ids else 0\n"
        "    no_answer = min(no_answer, float(first[place] + last[place]))\n"
        "    inside = torch.tensor([s == 1 for s in encoding.sequence_ids(window)])\n"
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
        "rows = [(context[s:e], f'{s}:{e}', score) for (s, e), score in best]\n"
        "rows.append(('no answer', '-', no_answer))\n"
        "order = sorted(range(len(rows)), key=lambda index: -rows[index][2])\n"
        "for index in order:\n"
        "    text, span, score = rows[index]\n"
        '    print(repr(text), span, f"{score:.4f}", f"{shares[index]:.4f}")\n'
    )


def _filling(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    cut = f", truncation=True, max_length={info.limit}" if options.long != "ask" else ""
    return (
        f"text = {text!r}\n"
        'for mask in ("[MASK]", "<mask>"):\n'
        "    text = text.replace(mask, tokenizer.mask_token)\n"
        f'inputs = tokenizer(text, return_tensors="pt"{cut}).to(model.device)\n'
        "with torch.no_grad():\n"
        "    logits = model(**inputs).logits\n"
        "masks = (inputs.input_ids[0] == tokenizer.mask_token_id).nonzero().flatten().tolist()\n"
        "for number, position in enumerate(masks):\n"
        "    row = logits[0, position].float()\n"
        f"    best = torch.softmax(row, dim=-1).topk({options.top})\n"
        "    for share, id_ in zip(best.values.tolist(), best.indices.tolist()):\n"
        "        token = tokenizer.convert_ids_to_tokens(id_)\n"
        '        print(number, id_, token, f"{row[id_]:.4f}", f"{share:.4f}")\n'
    )


def _generation(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    if options.chat:
        encode = (
            "prompt = tokenizer.apply_chat_template(\n"
            '    [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True\n'
            ")\n"
            'inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)\n'
        )
    elif options.long != "ask" and info.limit:
        encode = (
            'tokenizer.truncation_side = "left"\n'
            f'inputs = tokenizer(text, return_tensors="pt", truncation=True, '
            f"max_length={info.limit})\n"
        )
    else:
        encode = 'inputs = tokenizer(text, return_tensors="pt")\n'
    how = "do_sample=False"
    if options.temperature > 0:
        how = (
            f"do_sample=True, temperature={options.temperature!r}, top_p={options.top_p!r}, top_k=0"
        )
    return (
        PADDING + f"text = {text!r}\n" + encode + "ids = inputs.input_ids.to(model.device)\n"
        f"torch.manual_seed({options.seed})\n"
        "with torch.no_grad():\n"
        "    output = model.generate(\n"
        "        input_ids=ids,\n"
        "        attention_mask=torch.ones_like(ids),\n"
        f"        max_new_tokens={options.new_tokens},\n"
        "        output_logits=True,\n"
        "        return_dict_in_generate=True,\n"
        f"        {how},\n"
        "    )\n"
        "new = output.sequences[0, ids.shape[1]:].tolist()\n"
        "print(tokenizer.decode(new, skip_special_tokens=True))\n"
        "for index, id_ in enumerate(new):\n"
        "    row = output.logits[index][0].float()\n"
        "    share = torch.softmax(row, dim=-1)[id_]\n"
        "    token = tokenizer.convert_ids_to_tokens(id_)\n"
        '    print(index, id_, token, f"{row[id_]:.4f}", f"{share:.4f}")\n'
    )


def _embedding(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    texts = [line for line in text.splitlines() if line.strip()]
    cut = f", truncation=True, max_length={info.limit}" if options.long != "ask" else ""
    pooled = {
        "mean": "pooled = (hidden * wide).sum(dim=1) / wide.sum(dim=1)\n",
        "max": "pooled = hidden.masked_fill(wide == 0, -torch.inf).amax(dim=1)\n",
        "cls": "pooled = hidden[torch.arange(len(hidden)), mask.argmax(dim=1)]\n",
        "last": "positions = torch.arange(mask.shape[1])\n"
        "pooled = hidden[torch.arange(len(hidden)), (mask * positions).argmax(dim=1)]\n",
    }[options.pooling]
    return (
        PADDING + "texts = [\n" + "".join(f"    {line!r},\n" for line in texts) + "]\n"
        f'inputs = tokenizer(texts, padding=True, return_tensors="pt"{cut}).to(model.device)\n'
        "mask = inputs.attention_mask\n"
        "encoder = model.get_encoder() if model.config.is_encoder_decoder else model\n"
        "with torch.no_grad():\n"
        "    hidden = encoder(**inputs).last_hidden_state.float()\n"
        "wide = mask.unsqueeze(-1).to(hidden.dtype)\n"
        + pooled
        + "unit = torch.nn.functional.normalize(pooled, dim=1)\n"
        "similarity = unit @ unit.T\n"
        "for text, norm, row in zip(texts, pooled.norm(dim=1).tolist(), similarity.tolist()):\n"
        '    print(repr(text), f"{norm:.4f}", *(f"{value:.4f}" for value in row))\n'
    )


def _zero_shot(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    names = [label.lower() for label in info.labels]
    entailment = next((i for i, n in enumerate(names) if n.startswith("entail")), len(names) - 1)
    opposite = next((i for i, n in enumerate(names) if n.startswith("contra")), 0)
    cut = f", truncation=True, max_length={info.limit}" if options.long != "ask" else ""
    share = (
        f"torch.softmax(logits[:, [{opposite}, {entailment}]], dim=1)[:, 1]"
        if options.multi_label or len(options.labels) == 1
        else f"torch.softmax(logits[:, {entailment}], dim=0)"
    )
    return (
        f"text = {text!r}\n"
        f"labels = {list(options.labels)!r}\n"
        f"template = {options.template!r}\n"
        "rows = []\n"
        "for label in labels:\n"
        '    hypothesis = template.replace("{}", label)\n'
        f'    inputs = tokenizer(text, hypothesis, return_tensors="pt"{cut}).to(model.device)\n'
        "    with torch.no_grad():\n"
        "        rows.append(model(**inputs).logits[0].float())\n"
        "logits = torch.stack(rows)\n"
        f"shares = {share}\n"
        "for index in shares.argsort(descending=True, stable=True).tolist():\n"
        f'    print(labels[index], f"{{logits[index, {entailment}]:.4f}}", '
        'f"{shares[index]:.4f}")\n'
    )


def _choosing(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    cut = f', truncation="only_first", max_length={info.limit}' if options.long != "ask" else ""
    return (
        PADDING + f"text = {text!r}\n"
        f"choices = {list(options.labels)!r}\n"
        f"encoding = tokenizer([text] * len(choices), choices, padding=True, "
        f'return_tensors="pt"{cut})\n'
        "inputs = {k: v.unsqueeze(0).to(model.device) for k, v in encoding.items()}\n"
        "with torch.no_grad():\n"
        "    logits = model(**inputs).logits[0].float()\n"
        "shares = torch.softmax(logits, dim=0)\n"
        "for index in shares.argsort(descending=True, stable=True).tolist():\n"
        '    print(index, choices[index], f"{logits[index]:.4f}", f"{shares[index]:.4f}")\n'
    )


def _seq2seq(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    cut = (
        f", truncation=True, max_length={info.limit}"
        if options.long != "ask" and info.limit
        else ""
    )
    return (
        "from transformers.modeling_outputs import BaseModelOutput\n\n"
        f"text = {text!r}\n"
        f'inputs = tokenizer(text, return_tensors="pt"{cut}).to(model.device)\n'
        "start = model.config.decoder_start_token_id\n"
        "if start is None:\n"
        "    start = tokenizer.pad_token_id\n"
        "stops = model.generation_config.eos_token_id\n"
        "stops = {stops} if isinstance(stops, int) else set(stops or ())\n"
        "decoded = torch.tensor([[start]], device=model.device)\n"
        "mask = inputs.attention_mask\n"
        "with torch.no_grad():\n"
        "    encoder = model.get_encoder()\n"
        "    states = encoder(input_ids=inputs.input_ids, attention_mask=mask).last_hidden_state\n"
        "    print(list(states.shape))\n"
        f"    for index in range({options.new_tokens}):\n"
        "        logits = model(\n"
        "            encoder_outputs=BaseModelOutput(last_hidden_state=states),\n"
        "            attention_mask=mask,\n"
        "            decoder_input_ids=decoded,\n"
        "        ).logits[0, -1].float()\n"
        "        id_ = int(logits.argmax())\n"
        "        share = torch.softmax(logits, dim=-1)[id_]\n"
        "        token = tokenizer.convert_ids_to_tokens(id_)\n"
        '        print(index, id_, token, f"{logits[id_]:.4f}", f"{share:.4f}")\n'
        "        new = torch.tensor([[id_]], device=model.device)\n"
        "        decoded = torch.cat([decoded, new], dim=1)\n"
        "        if id_ in stops:\n"
        "            break\n"
        "print(tokenizer.decode(decoded[0, 1:], skip_special_tokens=True))\n"
    )
