"""The script that gives the answer that is shown, without hfterm."""

from __future__ import annotations

from collections.abc import Sequence

from hfterm.chat.types import LlmInfo, Message, Sampling
from hfterm.inference.code_opening import opened
from hfterm.paths import expanded


def chat_code(info: LlmInfo, messages: Sequence[Message], sampling: Sampling) -> str:
    """A script that loads the model as it is loaded, and answers `messages`.

    Greedy answers, and sampled ones with a seed on the same machine, are the same to the token,
    as long as no keys and values were kept from an earlier turn: those are the same to rounding.
    """
    if info.base is None:
        return _server_code(info, messages, sampling)
    parts = [opened(info.base)]
    if info.spec.adapter:
        folder = str(expanded(info.spec.adapter))
        parts.append("from peft import PeftModel\n\n")
        parts.append(f"model = PeftModel.from_pretrained(model, {folder!r})\n")
    said = "".join(
        f"    {{'role': {each.role!r}, 'content': {each.content!r}}},\n" for each in messages
    )
    parts.append(f"\nmessages = [\n{said}]\n")
    if info.has_template:
        parts.append(
            "prompt = tokenizer.apply_chat_template(\n"
            "    messages, tokenize=False, add_generation_prompt=True\n"
            ")\n"
            "inputs = tokenizer(prompt, add_special_tokens=False, return_tensors='pt')\n"
        )
    else:
        parts.append(
            "prompt = '\\n'.join(message['content'] for message in messages)\n"
            "inputs = tokenizer(prompt, return_tensors='pt')\n"
        )
    if sampling.seed is not None:
        parts.append(f"torch.manual_seed({sampling.seed})\n")
    arguments = "".join(f"    {line},\n" for line in _arguments(info, sampling))
    parts.append(
        "with torch.no_grad():\n    output = model.generate(\n"
        + "".join(f"    {line}\n" for line in arguments.splitlines())
        + "    )\n"
        "answer = output[0, inputs['input_ids'].shape[1] :]\n"
        "print(tokenizer.decode(answer, skip_special_tokens=True))\n"
    )
    return "".join(parts)


def _arguments(info: LlmInfo, sampling: Sampling) -> list[str]:
    lines = [
        "input_ids=inputs['input_ids'].to(model.device)",
        "attention_mask=inputs['attention_mask'].to(model.device)",
        f"max_new_tokens={sampling.max_new_tokens}",
    ]
    if info.ends:
        lines += [f"eos_token_id={list(info.ends)}", f"pad_token_id={info.ends[0]}"]
    lines.append(f"do_sample={sampling.temperature > 0}")
    if sampling.temperature > 0:
        lines += [
            f"temperature={sampling.temperature}", f"top_k={sampling.top_k}",
            f"top_p={sampling.top_p}",
        ]  # fmt: skip
        if sampling.min_p > 0:
            lines.append(f"min_p={sampling.min_p}")
    if sampling.repetition_penalty != 1:
        lines.append(f"repetition_penalty={sampling.repetition_penalty}")
    if sampling.stop:
        lines += [f"stop_strings={list(sampling.stop)!r}", "tokenizer=tokenizer"]
    return lines


def _server_code(info: LlmInfo, messages: Sequence[Message], sampling: Sampling) -> str:
    said = [{"role": message.role, "content": message.content} for message in messages]
    return (
        "from openai import OpenAI\n\n"
        f"client = OpenAI(base_url={info.spec.url!r}, api_key='…')\n"
        "answer = client.chat.completions.create(\n"
        f"    model={info.spec.ref!r},\n    messages={said!r},\n"
        f"    temperature={sampling.temperature},\n    max_tokens={sampling.max_new_tokens},\n"
        ")\n"
        "print(answer.choices[0].message.content)\n"
    )
