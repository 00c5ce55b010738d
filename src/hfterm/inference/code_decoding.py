"""Scripts of the tasks that write: generation, and encoder–decoders by hand."""

from __future__ import annotations

from hfterm.inference.code_calls import (
    ACCEPTED,
    INPUTS,
    PADDING,
    Body,
    call,
    cut,
)
from hfterm.inference.options import TaskOptions
from hfterm.models.types import LoadedInfo


def generation(info: LoadedInfo, options: TaskOptions) -> Body:
    """Text generation, with every token's probability."""
    encode = ""
    name, special = "text", ""
    if options.chat:
        encode = (
            "prompt = tokenizer.apply_chat_template(\n"
            '    [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True\n'
            ")\n"
        )
        name, special = "prompt", ", add_special_tokens=False"
    encode += f'encoding = tokenizer({name}, return_tensors="pt"{special})\n'
    once = PADDING
    if options.long != "ask" and info.limit:
        once += 'tokenizer.truncation_side = "left"\n'
        room = info.limit - max(1, min(options.new_tokens, info.limit // 2))
        encode += (
            f"if encoding.input_ids.shape[1] >= {info.limit}:\n"
            "    encoding = tokenizer(\n"
            f'        {name}, return_tensors="pt"{special}, truncation=True, max_length={room}\n'
            "    )\n"
        )
    how = "do_sample=False"
    if options.temperature > 0:
        how = (
            f"do_sample=True, temperature={options.temperature!r}, top_p={options.top_p!r}, top_k=0"
        )
    most = str(options.new_tokens)
    if info.limit:
        most = f"min({most}, {info.limit} - ids.shape[1])"
    each = (
        encode + "ids = encoding.input_ids.to(model.device)\n"
        f"torch.manual_seed({options.seed})\n"
        "with torch.no_grad():\n"
        "    output = model.generate(\n"
        "        input_ids=ids,\n"
        "        attention_mask=torch.ones_like(ids),\n"
        f"        max_new_tokens={most},\n"
        "        output_logits=True,\n"
        "        return_dict_in_generate=True,\n"
        f"        {how},\n"
        "    )\n"
        "new = output.sequences[0, ids.shape[1]:].tolist()\n"
        "found = tokenizer.decode(new, skip_special_tokens=True)\n"
    )
    show = (
        "print(found)\n"
        "for index, id_ in enumerate(new):\n"
        "    row = output.logits[index][0].float()\n"
        "    share = torch.softmax(row, dim=-1)[id_]\n"
        '    token = tokenizer.convert_ids_to_tokens(id_) or f"id {id_}"\n'
        '    print(index, id_, token, f"{row[id_]:.4f}", f"{share:.4f}")\n'
    )
    return Body(once, each, show, "print(repr(found), len(new))\n")


def seq2seq(info: LoadedInfo, options: TaskOptions) -> Body:
    """The encoder once, then the decoder a token at a time."""
    most = min(options.new_tokens, info.limit) if info.limit else options.new_tokens
    once = (
        "from transformers.modeling_outputs import BaseModelOutput\n\n"
        + ACCEPTED
        # an attribute that the configs of some architectures lack
        + 'start = getattr(model.config, "decoder_start_token_id", None)\n'
        "if start is None:\n"
        "    start = model.generation_config.decoder_start_token_id\n"
        "if start is None:\n"
        "    start = tokenizer.pad_token_id\n"
        "stops = model.generation_config.eos_token_id\n"
        "stops = {stops} if isinstance(stops, int) else set(stops or ())\n"
        "# what generate() puts at the first and the last place whatever the logits say\n"
        'forced = {0: getattr(model.generation_config, "forced_bos_token_id", None)}\n'
        f'last = getattr(model.generation_config, "forced_eos_token_id", None)\n'
        f"forced[{most - 1}] = forced.get({most - 1}) if last is None else last\n"
    )
    each = (
        call("encoding", "text", 'return_tensors="pt"', *cut(info, options)) + INPUTS
        + 'mask = inputs.get("attention_mask")\n'
        "decoded = torch.tensor([[start]], device=model.device)\n"
        "steps = []\n"
        "with torch.no_grad():\n"
        "    encoder = model.get_encoder()\n"
        '    output = encoder(input_ids=inputs["input_ids"], attention_mask=mask)\n'
        "    states = output.last_hidden_state\n"
        f"    for index in range({most}):\n"
        "        logits = model(\n"
        "            encoder_outputs=BaseModelOutput(last_hidden_state=states),\n"
        "            attention_mask=mask,\n"
        "            decoder_input_ids=decoded,\n"
        "        ).logits[0, -1].float()\n"
        "        id_ = int(logits.argmax())\n"
        "        if forced.get(index) is not None:\n"
        "            id_ = forced[index]\n"
        "        share = float(torch.softmax(logits, dim=-1)[id_])\n"
        "        steps.append((id_, float(logits[id_]), share))\n"
        "        new = torch.tensor([[id_]], device=model.device)\n"
        "        decoded = torch.cat([decoded, new], dim=1)\n"
        "        if id_ in stops:\n"
        "            break\n"
        "found = tokenizer.decode(decoded[0, 1:], skip_special_tokens=True)\n"
    )  # fmt: skip
    show = (
        "print(list(states.shape))\n"
        "for index, (id_, logit, share) in enumerate(steps):\n"
        '    token = tokenizer.convert_ids_to_tokens(id_) or f"id {id_}"\n'
        '    print(index, id_, token, f"{logit:.4f}", f"{share:.4f}")\n'
        "print(found)\n"
        'names = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())\n'
        "for index, norm in enumerate(states[0].float().norm(dim=1).tolist()):\n"
        '    print(index, names[index], f"{norm:.4f}")\n'
    )
    return Body(once, each, show, "print(repr(found), len(steps))\n")
