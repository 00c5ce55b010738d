"""What hfterm computes with a model, by the processor and on `pretend_gpu`; run as a program.

    python gpu_cases.py GROUP NAME=FOLDER …

Prints as JSON, of each case of a group, what is wrong: an error, or a difference; empty where
nothing is.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from hfterm.attention import hidden
from hfterm.attention.capture import Capture
from hfterm.attention.comparing import Kept, compare
from hfterm.attention.types import CaptureOptions, Which
from hfterm.chat.quant_lab import measure_way
from hfterm.chat.transformers_backend import TransformersBackend
from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
from hfterm.inference.batch import predict_rows
from hfterm.inference.loading import OpenModel, load_model
from hfterm.inference.options import AUTO_OF, BatchOptions, TaskOptions
from hfterm.inference.predicting import predict
from hfterm.job import Job
from hfterm.models.types import ModelSpec
from pretend_gpu import GPU, Rules

GROUP = sys.argv[1]
FOLDERS = dict(one.split("=", 1) for one in sys.argv[2:])
TEXT = "The cat sat on the mat, and the dog sat on the rug."
LONG = " ".join(f"the quick brown fox {number} jumps over it" for number in range(40))
GREEDY = Sampling(temperature=0, max_new_tokens=8)
TIMES = ("seconds", "load_s", "tokens_per_s", "ttft_s", "ttft", "memory")

PREDICTED = {
    "text-classification": ("bert-labels", {"label": 1, "backward": True}),
    "text-classification, pair": ("bert-labels", {"pair": "Did it?"}),
    "text-classification, long": ("bert-labels", {"long": "window"}),
    "token-classification": ("bert-ner", {}),
    "token-classification, long": ("bert-ner", {"long": "window"}),
    "question-answering": ("bert-qa", {"question": "Who sat?"}),
    "question-answering, long": ("bert-qa", {"question": "Who sat?", "long": "window"}),
    "fill-mask": ("bert-mlm", {}),
    "zero-shot": ("bert-nli", {"labels": ("pets", "art"), "multi_label": True}),
    "multiple-choice": ("bert", {"labels": ("and slept.", "and ate.")}),
    "feature-extraction": ("bert", {}),
    "feature-extraction, cls": ("bert", {"pooling": "cls"}),
    "feature-extraction, max": ("bert", {"pooling": "max"}),
    "feature-extraction, last": ("bert", {"pooling": "last"}),
    "text-generation": ("gpt2", {"new_tokens": 8}),
    "text-generation, sampled": ("gpt2", {"new_tokens": 4, "temperature": 0.01, "top_p": 0.9}),
    "text-generation, llama": ("llama", {"new_tokens": 8}),
    "seq2seq, t5": ("t5", {"new_tokens": 8}),
    "seq2seq, bart": ("bart", {"new_tokens": 8}),
}


def opened_for(name: str, device: str) -> tuple[OpenModel, TaskOptions]:
    member, options = PREDICTED[name]
    told = TaskOptions(**({"task": name.partition(",")[0]} | options))  # pyright: ignore
    return load_model(ModelSpec(ref=FOLDERS[member], auto=AUTO_OF[told.task], device=device)), told


def predicted(name: str, device: str) -> object:
    opened, told = opened_for(name, device)
    text = LONG if told.long == "window" else TEXT
    text = text.replace("cat", "[MASK]") if name == "fill-mask" else text
    return predict(opened, text, told)


def predicted_rows(name: str, device: str) -> object:
    opened, told = opened_for(name, device)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "rows.csv")
        source.write_text("text\n" + "".join(f"{word} is here\n" for word in LONG.split()[:6]))
        return predict_rows(opened, str(source), told, BatchOptions(size=4))


def looked_at(member: str, device: str) -> object:
    opened = load_model(ModelSpec(ref=FOLDERS[member], auto="", device=device))
    capture = Capture(opened, TEXT, CaptureOptions())
    found: list[object] = [capture.summary]
    for axis in capture.summary.axes:
        side = axis.side
        for layer, head in ((0, 0), (1, None), (None, 1), (None, None)):
            found.append(capture.map(Which(side=side, layer=layer, head=head)))
        found.append(capture.weights(Which(side=side), bits=True).tolist())
        found += [capture.rank(side, 1), capture.rank(side, 1, incoming=True)]
        if side != "cross":
            found.append(capture.map(Which(side=side, layer=1, rollout=True)))
            found.append(hidden.views(capture, side, 1).similarity)
        found.append(capture.layer_weights(side, 1).numpy().tolist())
    first = capture.summary.axes[0].side
    kept = Kept.of(capture, Which(side=first), Job())
    found.append(compare(kept, kept, Which(side=first)).difference)
    if member in ("gpt2", "llama"):
        found.append(hidden.lens(capture, count=4))
    return found


def chatted(adapter: str, device: str) -> object:
    llm = TransformersBackend(LlmSpec(ref=FOLDERS["llama"], adapter=adapter, device=device), Job())
    found: list[object] = []
    messages = (Message("user", "What is the capital of France?"),)
    for sampling in (GREEDY, msgspec.structs.replace(GREEDY, repetition_penalty=1.3)):
        tokens: list[object] = []
        answer = llm.answer(
            Ask(messages=messages, sampling=sampling), Job(None, None, tokens.append)
        )
        found += [answer.text, list(answer.ids), tokens]
    again = Ask(messages=messages, sampling=GREEDY, prefix_ids=answer.ids[:3])
    found.append(llm.answer(again, Job()).text)
    longer = (*messages, Message("assistant", answer.text), Message("user", "And of Spain?"))
    found.append(llm.answer(Ask(messages=longer, sampling=GREEDY), Job()).text)
    sampled = Sampling(temperature=0.7, top_k=20, top_p=0.9, min_p=0.05, seed=1, max_new_tokens=4)
    llm.answer(Ask(messages=messages, sampling=sampled), Job())  # another generator draws
    found.append(llm.read(LONG, 60, Job())[1].tolist())
    return found


def measured(device: str) -> object:
    with tempfile.TemporaryDirectory() as folder:
        return measure_way(
            LlmSpec(ref=FOLDERS["llama"], device=device), LONG, "Who are you?", 4,
            Path(folder, "first"), Job(), is_reference=True,
        )  # fmt: skip


CASES: dict[str, Callable[[str], object]] = {
    **{f"predict {name}": partial(predicted, name) for name in PREDICTED},
    **{
        f"predict rows {name}": partial(predicted_rows, name)
        for name in ("text-classification", "token-classification", "feature-extraction")
    },
    **{
        f"attention {name}": partial(looked_at, name)
        for name in ("bert", "gpt2", "llama", "t5", "bart")
    },
    "chat": partial(chatted, ""),
    "chat with an adapter": partial(chatted, FOLDERS["lora-causal"]),
    "chat, quantization lab": measured,
}


def difference(one: object, two: object, where: str = "") -> str:
    """Where two results differ by more than rounding; empty where nowhere."""
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        pairs = [(f"{where}.{key}", one[key], two[key]) for key in one if key not in TIMES]
    elif isinstance(one, (list, tuple)) and isinstance(two, type(one)) and len(one) == len(two):
        pairs = [(f"{where}[{at}]", *both) for at, both in enumerate(zip(one, two, strict=True))]
    elif isinstance(one, float) and isinstance(two, float):
        near = math.isclose(one, two, rel_tol=1e-3, abs_tol=1e-4)
        near = near or (math.isnan(one) and math.isnan(two))
        return "" if near else f"{where}: {one} and {two}"
    else:
        return "" if one == two else f"{where}: {one!r:.200} and {two!r:.200}"
    return next(filter(None, (difference(*pair[1:], pair[0]) for pair in pairs)), "")


def trouble(case: Callable[[str], object]) -> str:
    """What is wrong with one."""
    try:
        here = msgspec.to_builtins(case("cpu"))
        with Rules():
            there = msgspec.to_builtins(case("auto"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        frames = traceback.format_tb(error.__traceback__)[-8:]
        return f"{''.join(frames)}{type(error).__name__}: {str(error)[:400]}"
    return difference(here, there)


def main() -> None:
    with Rules():
        placed = load_model(ModelSpec(ref=FOLDERS["bert"]))
        assert str(placed.model.device) == placed.info.device == GPU
    chosen = {name: case for name, case in CASES.items() if name.startswith(GROUP)}
    print(json.dumps({name: trouble(case) for name, case in chosen.items()}))


if __name__ == "__main__":
    main()
