"""What is asked of a chat server: the fields of a request, and which of them a server knows."""

from __future__ import annotations

import json
import re
from typing import cast

from hfterm.chat.types import Ask, Sampling

OPTIONAL = ("stream_options", "top_logprobs", "logprobs", "top_k", "min_p", "repetition_penalty",
            "repeat_penalty", "seed", "generation_config")  # fmt: skip
"""Fields without which there is an answer too."""

PROBABILITIES = {"logprobs", "top_logprobs"}

CONTINUING = ("continue_final_message", "add_generation_prompt")

AS_CONFIG = ("top_k", "min_p", "repetition_penalty", "repeat_penalty")
"""Fields that a `generation_config` has in their place."""

TAKES_CONFIG = re.compile(r"Unexpected (fields|keys) in the request")
"""How `transformers serve` refuses a field: it takes them in a field of its own."""

_PATH = "/chat/completions"


def request_body(
    ask: Ask, model: str, unasked: set[str], *, stream: bool = True, config: bool = False
) -> dict[str, object]:
    """The request.

    Args:
        ask: the prompt.
        model: its name at the server.
        unasked: fields to leave out.
        stream: whether the answer is to come token by token.
        config: whether the server takes a `generation_config`.
    """
    sampling = ask.sampling
    messages = [{"role": said.role, "content": said.content} for said in ask.messages]
    body: dict[str, object] = {
        "model": model,
        "messages": messages,
        "stream": stream,
        "logprobs": True,
        "top_logprobs": 5,
        "temperature": sampling.temperature,
        **_sampled(sampling),
    }
    if stream:  # servers refuse it of an answer that is to come as one
        body["stream_options"] = {"include_usage": True}
    limit = "max_completion_tokens" if "max_tokens" in unasked else "max_tokens"
    body[limit] = sampling.max_new_tokens
    if sampling.repetition_penalty != 1:
        body["repetition_penalty"] = sampling.repetition_penalty
        body["repeat_penalty"] = sampling.repetition_penalty  # llama-server's name for it
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if ask.prefix:
        messages.append({"role": "assistant", "content": ask.prefix})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if config and (text := _config(sampling)):
        body["generation_config"] = text
    return {name: value for name, value in body.items() if name not in unasked}


def _sampled(sampling: Sampling) -> dict[str, object]:
    """What says how to choose among several tokens; nothing when it is always the best one."""
    if sampling.temperature == 0:
        return {}
    chosen: dict[str, object] = {"top_p": sampling.top_p}
    if sampling.top_k > 0:
        chosen["top_k"] = sampling.top_k
    if sampling.min_p > 0:
        chosen["min_p"] = sampling.min_p
    return chosen


def _config(sampling: Sampling) -> str:
    """The sampling as transformers' GenerationConfig; empty when the usual fields say it all.

    Without it `transformers serve` leaves it to the model's own configuration whether to sample at
    all: with most small models every answer is the greedy one, whatever the temperature.
    """
    config: dict[str, object] = {}
    if sampling.temperature > 0:
        # top_k is 50 where nobody says anything.
        config = {"do_sample": True, "top_k": max(sampling.top_k, 0), **_sampled(sampling)}
    if sampling.repetition_penalty != 1:
        config["repetition_penalty"] = sampling.repetition_penalty
    return json.dumps(config) if config else ""


def knows_field(document: dict[str, object], field: str) -> bool | None:
    """Whether a server's chat completions have a field, by its own OpenAPI document.

    None when the document does not say: it may take any field, or be that of something else.
    """
    paths = _dict(document.get("paths"))
    post = next((_dict(_dict(paths[path]).get("post")) for path in paths if path.endswith(_PATH)),
                {})  # fmt: skip
    content = _dict(_dict(post.get("requestBody")).get("content"))
    schema = _dict(_dict(content.get("application/json")).get("schema"))
    name = schema.get("$ref")
    if isinstance(name, str):
        schemas = _dict(_dict(document.get("components")).get("schemas"))
        schema = _dict(schemas.get(name.rpartition("/")[2]))
    fields = _dict(schema.get("properties"))
    if field in fields:
        return True
    # Fields that are in no schema may be read all the same where there is another sign of that.
    return False if "messages" in fields and not schema.get("additionalProperties") else None


def _dict(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
