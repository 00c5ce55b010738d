"""Show code of the Attention screen: scripts that run as they are and print what it shows.

Nothing heavy is imported here: the scripts are text, and the UI process makes them.
"""

from __future__ import annotations

from hfterm.attention.types import METRICS, CaptureOptions, Looked, Side, Which
from hfterm.inference.code import opened
from hfterm.inference.code_calls import ACCEPTED, call
from hfterm.inference.options import OVERLAP
from hfterm.models.types import LoadedInfo

PICTURE = "attention.png"
"""What the script of a head draws."""

FEW_TOKENS = 16
"""Up to which the grid's small maps have room for labels."""

_WEIGHTS: dict[Side, str] = {
    "self": "attentions", "encoder": "encoder_attentions", "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}  # fmt: skip

_STATES: dict[Side, str] = {
    "self": "hidden_states", "encoder": "encoder_hidden_states",
    "decoder": "decoder_hidden_states", "cross": "decoder_hidden_states",
}  # fmt: skip


def attention_code(
    info: LoadedInfo, looked: Looked, page: str, which: Which, side: Side, *, token: int = 0,
    incoming: bool = False, top: int = 200, start: int = 0, count: int = 64, other: Other = None,
) -> str:  # fmt: skip
    """The script of a page.

    Args:
        info: the model that was loaded.
        looked: the text, and how it is fed.
        page: ``heads``, ``head``, ``ranking``, ``hidden``, ``lens`` or ``compare``.
        which: the map of ``head``.
        side: which attention.
        token: of ``ranking``.
        incoming: of ``ranking``: who looks at the token.
        top: links of ``ranking``.
        start: the first position of ``lens``.
        count: positions of ``lens``.
        other: the second side of ``compare``; without one, it is compared with itself.
    """
    if page == "compare":
        return _compared(info, looked, side, other or (info, looked))
    paired = side != "self"
    begin = opened(info) + ('model.set_attn_implementation("eager")\n') + ACCEPTED
    run = _pass(info, looked.text, looked.options, paired)
    if page == "hidden":
        return begin + run + _hidden(side)
    if page == "lens":
        return begin + run + _lens(start, count)
    run += f"attentions = output.{_WEIGHTS[side]}  # of each layer, [1, heads, queries, keys]\n"
    if page == "head":
        return begin + run + _names(side) + _map(which) + _GRID
    if page == "ranking":
        return begin + run + _names(side) + _ranking(token, incoming, top)
    tokens = _tokens(side)
    return f"import math\n{begin}{MEASURE}{run}{tokens}{_measured(side)}{_SHOW}"


Other = tuple[LoadedInfo, Looked] | None
"""A second model and text."""


def _pass(info: LoadedInfo, text: str, options: CaptureOptions, paired: bool) -> str:
    """``encoding`` with one row of ids, ``inputs`` and ``output``."""
    told = ["text", 'return_tensors="pt"', "return_offsets_mapping=tokenizer.is_fast"]
    if not options.special:
        told.append("add_special_tokens=False")
    script = f"text = {text!r}\n"
    if options.long != "ask" and info.limit:
        told += ["truncation=True", f"max_length={info.limit}"]
    if options.long == "window" and info.limit:
        told[1] = f"stride={info.limit // OVERLAP}"
        told.append("return_overflowing_tokens=True")
        script += (
            'tokenizer.truncation_side = "right"\n'
            + call("windows", *told)
            + f"window = min({options.window}, len(windows.input_ids) - 1)\n"
            "encoding = {name: torch.tensor([rows[window]]) for name, rows in windows.items()\n"
            '            if name != "overflow_to_sample_mapping"}\n'
        )
    else:
        script += call("encoding", *told)
    script += (
        "inputs = {name: encoding[name].to(model.device) for name in encoding"
        " if name in accepted}\n"
    )
    if paired:
        more = ["truncation=True", f"max_length={info.limit}"] if info.limit is not None else []
        target = f"target = {options.target!r}\n" if options.target else "target = text\n"
        script += (
            target
            + call("labels", "target", 'return_tensors="pt"', *more)
            + "labels = labels.input_ids.to(model.device)\n"
            "# the decoder reads its target shifted right, as in training\n"
            # attributes that the configs of some architectures lack
            'names = ("decoder_start_token_id", "bos_token_id", "pad_token_id")\n'
            "known = [getattr(model.config, name, None) for name in names]\n"
            "first = next((id_ for id_ in known if id_ is not None), 0)\n"
            "model.config.decoder_start_token_id = first\n"
            'if hasattr(model, "prepare_decoder_input_ids_from_labels"):\n'
            "    shifted = model.prepare_decoder_input_ids_from_labels(labels)\n"
            '    inputs["decoder_input_ids"] = shifted\n'
            "else:\n"
            "    first = torch.full_like(labels[:, :1], first)\n"
            '    inputs["decoder_input_ids"] = torch.cat([first, labels[:, :-1]], dim=1)\n'
        )
    return script + (
        "with torch.no_grad():\n"
        "    output = model(\n"
        "        **inputs, output_attentions=True, output_hidden_states=True, use_cache=False\n"
        "    )\n"
        if info.model_type not in _NO_CACHE
        else "with torch.no_grad():\n"
        "    output = model(**inputs, output_attentions=True, output_hidden_states=True)\n"
    )


_NO_CACHE = frozenset({"distilbert"})


def _ids(side: Side, *, rows: bool) -> str:
    target = side == "decoder" or (side == "cross" and rows)
    return f'inputs["{"decoder_input_ids" if target else "input_ids"}"][0].tolist()'


def _names(side: Side) -> str:
    """``queries`` and ``keys``: tokens of the rows and the columns."""
    script = f"queries = tokenizer.convert_ids_to_tokens({_ids(side, rows=True)})\n"
    if side != "cross":
        return script + "keys = queries\n"
    return script + f"keys = tokenizer.convert_ids_to_tokens({_ids(side, rows=False)})\n"


def _tokens(side: Side) -> str:
    """``ids`` and ``texts`` of the keys."""
    script = (
        f"ids = {_ids(side, rows=False)}\n"
        "special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}\n"
        "texts = [tokenizer.decode([id_]) for id_ in ids]\n"
    )
    if side == "decoder":
        return script
    return script + (
        'if "offset_mapping" in encoding:\n'
        '    texts = [text[start:end] for start, end in encoding["offset_mapping"][0].tolist()]\n'
    )


_ALL = ", ".join(f'"{name}"' for name in METRICS)

MEASURE = """

def measure(weights, ids, texts, special, cross):
    \"\"\"The metrics of a layer's heads, from [heads, queries, keys]: means over the queries.\"\"\"
    nan = torch.full(weights.shape[:1], math.nan)
    marks = [
        id_ not in special and bool(text.strip()) and not any(map(str.isalnum, text.strip()))
        for id_, text in zip(ids, texts)
    ]
    separators = [place > 0 and id_ in special for place, id_ in enumerate(ids)]
    rest = weights if cross else weights[:, 1:]  # the first query may have no choice
    found = {
        "entropy": torch.special.entr(weights).sum(-1).mean(-1) / math.log(2),
        "top": weights.amax(-1).mean(-1),
        "first": rest[:, :, 0].mean(-1),
        "separator": weights[:, :, torch.tensor(separators)].sum(-1).mean(-1),
        "punctuation": rest[:, :, torch.tensor(marks)].sum(-1).mean(-1),
    }
    if cross:
        return {name: found.get(name, nan) for name in names}
    places = torch.arange(len(ids))
    # the key stands behind an earlier occurrence of the query's token
    again = torch.tensor(ids)[:, None] == torch.tensor(ids).roll(1)
    again &= (places <= places[:, None]) & (places > 0)
    found |= {
        "self": weights.diagonal(0, 1, 2).mean(-1),
        "previous": weights.diagonal(-1, 1, 2).mean(-1),
        "next": weights.diagonal(1, 1, 2).mean(-1),
        "distance": (weights * (places[:, None] - places).abs()).sum(-1).mean(-1),
        "induction": (weights * again).sum(-1)[:, again.any(-1)].mean(-1),
    }
    return {name: found[name] for name in names}


"""


def _measured(side: Side) -> str:
    cross = side == "cross"
    return (
        f"names = [{_ALL}]\n"
        "layers = [\n"
        f"    measure(weights[0].float().cpu(), ids, texts, special, {cross})\n"
        "    for weights in attentions\n"
        "]\n"
    )


_SHOW = """\
print("layer", "head", *names)
for layer, found in enumerate(layers):
    for head in range(len(found["top"])):
        print(layer, head, *(f"{found[name][head]:.6f}" for name in names))
"""


def _map(which: Which) -> str:
    """``shown``: one map, printed with its tokens."""
    if which.rollout:
        last = "None" if which.layer is None else str(which.layer + 1)
        made = (
            f"shown = torch.eye(len(queries))\n"
            f"for weights in attentions[:{last}]:  # the residual connection counts as half\n"
            "    mean = weights[0].float().mean(0).cpu()\n"
            "    shown = (0.5 * mean + 0.5 * torch.eye(len(queries))) @ shown\n"
        )
    elif which.layer is None:
        one = "[0].float().mean(0)" if which.head is None else f"[0, {which.head}].float()"
        made = f"shown = torch.stack([weights{one} for weights in attentions]).mean(0)\n"
    elif which.head is None:
        made = f"shown = attentions[{which.layer}][0].float().mean(0)\n"
    else:
        made = f"shown = attentions[{which.layer}][0, {which.head}].float()\n"
    return (
        f"{made}"
        "print(*map(repr, keys))\n"
        "for query, row in zip(queries, shown.tolist()):\n"
        '    print(repr(query), *(f"{weight:.6f}" for weight in row))\n'
    )


_GRID = f"""
# the tutorial's grid
from matplotlib.figure import Figure

layers, heads = len(attentions), attentions[0].shape[1]
figure = Figure(figsize=(1.6 * heads, 1.6 * layers))
axes = figure.subplots(layers, heads, squeeze=False)
for layer in range(layers):
    for head in range(heads):
        one = axes[layer, head]
        one.imshow(attentions[layer][0, head].float().cpu() ** 0.5, vmin=0, vmax=1, cmap="cividis")
        one.set(xticks=[], yticks=[])
        if len(queries) <= {FEW_TOKENS} and len(keys) <= {FEW_TOKENS}:
            one.set_xticks(range(len(keys)))
            one.set_xticklabels(keys, rotation="vertical", fontsize=5, parse_math=False)
            one.set_yticks(range(len(queries)))
            one.set_yticklabels(queries, fontsize=5, parse_math=False)
        if layer == layers - 1:
            one.set_xlabel(f"head={{head}}")
        if head == 0:
            one.set_ylabel(f"layer={{layer}}")
figure.savefig("{PICTURE}", bbox_inches="tight")
"""


def _ranking(token: int, incoming: bool, top: int) -> str:
    part = f"weights[0, :, :, {token}]" if incoming else f"weights[0, :, {token}]"
    ends = f"queries[other], keys[{token}]" if incoming else f"queries[{token}], keys[other]"
    place = f"other, {token}" if incoming else f"{token}, other"
    return (
        f"part = torch.stack([{part} for weights in attentions]).float()\n"
        f"best = part.flatten().topk(min({top}, part.numel()))\n"
        "places = torch.stack(torch.unravel_index(best.indices, part.shape), dim=1)\n"
        "for weight, (layer, head, other) in zip(best.values.tolist(), places.tolist()):\n"
        "    if weight > 0:\n"
        f'        print(layer, head, {place}, f"{{weight:.6f}}", *map(repr, ({ends})))\n'
    )


def _hidden(side: Side) -> str:
    return (
        f"states = output.{_STATES[side]}  # the embeddings, then after each layer\n"
        "print(len(states), tuple(states[0].shape))\n"
        "for layer, state in enumerate(states):\n"
        "    norms = state[0].float().norm(dim=-1)\n"
        '    print(layer, *(f"{norm:.6f}" for norm in norms.tolist()))\n'
    )


def _lens(start: int, count: int) -> str:
    return (
        "states = output.hidden_states\n"
        "head = model.get_output_embeddings()\n"
        'stack = getattr(model.base_model, "decoder", model.base_model)\n'
        'named = ("norm", "ln_f", "final_layernorm", "final_layer_norm", "final_norm")\n'
        "norm = next(getattr(stack, name) for name in named if hasattr(stack, name))\n"
        f"positions = range(len(states[0][0]))[{start}:{start + count}]\n"
        "with torch.no_grad():\n"
        "    # the last layer's states are already normed\n"
        "    read = [norm(state[0]) for state in states[:-1]] + [states[-1][0]]\n"
        "    read = [\n"
        "        head(state[positions.start : positions.stop]).float().log_softmax(-1)\n"
        "        for state in read\n"
        "    ]\n"
        "for layer, log in enumerate(read):\n"
        "    kl = (read[-1].exp() * (read[-1] - log)).sum(-1)\n"
        "    best = log.exp().max(-1)\n"
        "    for row, position in enumerate(positions):\n"
        "        said = tokenizer.decode([int(best.indices[row])])\n"
        '        print(layer, position, f"{best.values[row]:.6f}", f"{kl[row]:.6f}", repr(said))\n'
    )


def _compared(
    info: LoadedInfo, looked: Looked, side: Side, other: tuple[LoadedInfo, Looked]
) -> str:
    """Second minus first, a metric of a head each."""
    eager = 'model.set_attn_implementation("eager")\n' + ACCEPTED
    bring = f"attentions = output.{_WEIGHTS[side]}\n{_tokens(side)}{_measured(side)}"
    first = opened(info) + eager + MEASURE
    script = f"import math\n{first}{_pass(info, looked.text, looked.options, side != 'self')}"
    script += f"{bring}before = layers\n\n"
    second, again = other
    if second.spec != info.spec:
        lines = (opened(second) + eager).splitlines(keepends=True)
        script += "".join(line for line in lines if line not in first or "import" not in line)
    script += _pass(second, again.text, again.options, side != "self") + bring
    return script + (
        'print("layer", "head", *names)\n'
        "for layer, (one, two) in enumerate(zip(before, layers)):\n"
        '    for head in range(len(one["top"])):\n'
        "        changes = (two[name][head] - one[name][head] for name in names)\n"
        '        print(layer, head, *(f"{change:.6f}" for change in changes))\n'
    )
