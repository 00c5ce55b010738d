"""What a chat generates is what `generate` generates, watched."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec
import pytest
import torch

import chat_models
from hfterm.chat.code import chat_code
from hfterm.chat.prompting import prompt
from hfterm.chat.transformers_backend import TransformersBackend
from hfterm.chat.types import Answer, Ask, LlmSpec, Message, Sampling, Token
from hfterm.errors import HftermError
from hfterm.job import Job

GREEDY = Sampling(temperature=0, max_new_tokens=24)
FRANCE = "What is the capital of France?"

pytestmark = pytest.mark.usefixtures("starter_kit")


@cache
def backend(spec: LlmSpec) -> TransformersBackend:
    return TransformersBackend(spec, Job())


def smollm2(**more: object) -> TransformersBackend:
    return backend(LlmSpec(ref="smollm2", **more))  # pyright: ignore[reportArgumentType]


def user(*texts: str) -> tuple[Message, ...]:
    roles = ("user", "assistant")
    return tuple(Message(roles[at % 2], text) for at, text in enumerate(texts))


def tell(
    llm: TransformersBackend, ask: Ask, stop_after: int | None = None
) -> tuple[Answer, list[Token]]:
    tokens: list[Token] = []
    job = Job(
        None, lambda: stop_after is not None and len(tokens) >= stop_after,
        tokens.append,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return llm.answer(ask, job), tokens


def own(llm: TransformersBackend, messages: tuple[Message, ...], most: int) -> list[int]:
    """The ids that the library's `generate` gives by itself."""
    opened = llm._opened
    ids = torch.tensor([prompt(opened.text, messages, "it").ids])
    with torch.no_grad():
        output = opened.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False
        )
    return output[0, ids.shape[1] :].tolist()


# benchmarks/chat.py greedy takes all questions in every way, and 32 tokens of each
@pytest.mark.parametrize(
    ("how", "every"),
    [
        ({"dtype": "float32"}, slice(0, None, 3)),
        ({"dtype": "float32"}, slice(1, None, 3)),
        ({"dtype": "float32"}, slice(2, None, 3)),
        ({"dtype": "bfloat16"}, slice(0, None, 12)),
        ({"quantization": "int8"}, slice(1, None, 12)),
        ({"quantization": "nf4"}, slice(2, None, 24)),
    ],
    ids=["float32", "float32 second", "float32 third", "bfloat16", "int8", "nf4"],
)
def test_greedy_is_generate_itself(how: dict[str, str], every: slice) -> None:
    llm = smollm2(**how)
    questions = json.loads((Path(__file__).parents[1] / "data/chat_prompts.json").read_text())
    assert len(questions) >= 50
    questions = questions[every]
    answer, _ = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY))
    assert "Paris" in answer.text
    few = msgspec.structs.replace(GREEDY, max_new_tokens=6)
    for question in questions:
        answer, tokens = tell(llm, Ask(messages=user(question), sampling=few))
        assert list(answer.ids) == own(llm, user(question), 6), question
        assert "".join(token.text for token in tokens) == answer.text
        decoded = llm._opened.text.decode(answer.ids, skip_special_tokens=True)
        assert answer.text == decoded


def test_a_token_says_how_sure_the_model_was() -> None:
    llm = smollm2()
    messages = user(FRANCE)
    answer, tokens = tell(llm, Ask(messages=messages, sampling=GREEDY))
    opened = llm._opened
    ids = torch.tensor([[*prompt(opened.text, messages, "it").ids, *answer.ids]])
    with torch.no_grad():
        logits = opened.model(input_ids=ids).logits[0].float()
    logs = torch.log_softmax(logits, dim=-1)
    for at, token in enumerate(tokens):
        row = logs[ids.shape[1] - len(answer.ids) + at - 1]
        assert token.probability == pytest.approx(float(row[token.id].exp()), abs=1e-4)
        assert token.entropy == pytest.approx(float(-(row.exp() * row).sum()), abs=1e-3)
        assert [other.id for other in token.alternatives] == row.topk(5).indices.tolist()


def test_it_stops_at_a_token_and_goes_on_from_it() -> None:
    llm = smollm2()
    sampling = Sampling(temperature=0, max_new_tokens=40)
    question = user("Tell me a story about a fox.")
    whole, _ = tell(llm, Ask(messages=question, sampling=sampling))
    part, tokens = tell(llm, Ask(messages=question, sampling=sampling), stop_after=7)
    assert part.stop_reason == "stopped"
    assert part.ids == whole.ids[:7]
    assert len(tokens) == 7
    rest, _ = tell(llm, Ask(messages=question, sampling=sampling, prefix_ids=part.ids))
    assert (*part.ids, *rest.ids)[:40] == whole.ids
    assert whole.text.startswith(part.text + rest.text[:60])
    typed, _ = tell(llm, Ask(messages=question, sampling=sampling, prefix=part.text))
    assert typed.text == rest.text


def test_another_token_may_be_forced() -> None:
    llm = smollm2()
    question = user(FRANCE)
    _, tokens = tell(llm, Ask(messages=question, sampling=GREEDY))
    other = tokens[3].alternatives[1]
    ids = tuple(token.id for token in tokens[:3])
    answer, forced = tell(
        llm, Ask(messages=question, sampling=GREEDY, prefix_ids=ids, force=other.id)
    )
    assert answer.ids[0] == other.id
    assert forced[0].probability == pytest.approx(other.probability, abs=1e-4)
    assert len(answer.ids) > 1


def test_the_second_turn_reads_only_what_is_new() -> None:
    llm = smollm2()
    first, _ = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY, conversation="a"))
    assert first.reused_tokens == 0
    turns = user(FRANCE, first.text, "And of Spain?")
    second, _ = tell(llm, Ask(messages=turns, sampling=GREEDY, conversation="a"))
    assert second.reused_tokens >= first.prompt_tokens
    fresh, _ = tell(llm, Ask(messages=turns, sampling=GREEDY, conversation="b"))
    assert fresh.reused_tokens == 0
    assert second.ids == fresh.ids
    # an earlier message was edited: only what stands before it is used again
    edited, _ = tell(llm, Ask(messages=user("What is 2+2?"), sampling=GREEDY, conversation="b"))
    alone, _ = tell(llm, Ask(messages=user("What is 2+2?"), sampling=GREEDY))
    assert edited.ids == alone.ids


def test_sampling_is_the_same_with_a_seed_and_bounded_by_what_is_asked() -> None:
    llm = smollm2()
    hot = Sampling(temperature=1.5, top_k=0, top_p=1.0, max_new_tokens=12, seed=3)
    one, _ = tell(llm, Ask(messages=user(FRANCE), sampling=hot))
    two, _ = tell(llm, Ask(messages=user(FRANCE), sampling=hot))
    assert one.ids == two.ids
    greedy, _ = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY))
    for narrow in (
        Sampling(temperature=1.5, top_k=1, seed=3, max_new_tokens=24),
        Sampling(temperature=1.5, top_p=1e-6, seed=3, max_new_tokens=24),
        Sampling(temperature=1.5, min_p=1.0, top_k=0, top_p=1.0, seed=3, max_new_tokens=24),
    ):
        assert tell(llm, Ask(messages=user(FRANCE), sampling=narrow))[0].ids == greedy.ids
    penal = Sampling(temperature=0, repetition_penalty=10.0, max_new_tokens=24)
    spread, tokens = tell(llm, Ask(messages=user("Say ha ha ha."), sampling=penal))
    assert len(set(spread.ids)) == len(spread.ids)
    assert any(token.alternatives[0].id != token.id for token in tokens)  # the model's own opinion


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it() -> None:
    llm = smollm2()
    whole, _ = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY))
    assert "France is" in whole.text
    stopped = Sampling(temperature=0, stop=("ance is", "never said"), max_new_tokens=24)
    answer, tokens = tell(llm, Ask(messages=user(FRANCE), sampling=stopped))
    assert answer.stop_reason == "stop string"
    assert answer.text == whole.text[: whole.text.index("ance is")]
    assert "".join(token.text for token in tokens) == answer.text


def test_a_context_that_is_full_is_said_and_never_cut() -> None:
    llm = smollm2(context=64)
    with pytest.raises(HftermError) as raised:
        tell(llm, Ask(messages=user("word " * 100), sampling=GREEDY))
    assert raised.value.kind == "context-full"
    assert "64" in raised.value.message
    long = Sampling(temperature=0, max_new_tokens=500)
    answer, _ = tell(llm, Ask(messages=user("Tell me a long story."), sampling=long))
    assert answer.stop_reason == "context full"
    assert answer.prompt_tokens + answer.tokens == 64
    with pytest.raises(HftermError) as raised:
        TransformersBackend(LlmSpec(ref="smollm2", context=1_000_000), Job())
    assert raised.value.kind == "context-too-long"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_models.llama3(tmp_path_factory.mktemp("tiny") / "llama3")


@pytest.mark.parametrize("kind", ["llama3", "dbrx"])
def test_models_of_the_tutorial_load_template_and_stream(kind: str, tmp_path: Path) -> None:
    folder = getattr(chat_models, kind)(tmp_path / kind)
    llm = TransformersBackend(LlmSpec(ref=str(folder)), Job())
    messages = (Message("system", "Be brief."), *user("¿Qué es HPC?", "Es…", "Más."))
    answer, tokens = tell(llm, Ask(messages=messages, sampling=GREEDY))
    assert list(answer.ids) == own(llm, messages, 24)
    assert len(tokens) >= answer.tokens
    marks = {"llama3": "<|start_header_id|>system", "dbrx": "<|im_start|>system\nBe brief."}
    assert marks[kind] in answer.prompt
    expected = llm._opened.text.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in messages], add_generation_prompt=True
    )["input_ids"]
    assert answer.prompt_tokens == len(expected)
    if kind == "dbrx":
        with pytest.raises(HftermError) as raised:
            tell(llm, Ask(messages=(*user("one"), *user("two")), sampling=GREEDY))
        assert "alternate" in raised.value.message


def test_a_model_without_a_template_goes_on_with_the_text(tmp_path: Path) -> None:
    folder = chat_models.llama3(tmp_path / "plain", template=None)
    llm = TransformersBackend(LlmSpec(ref=str(folder)), Job())
    assert not llm.info.has_template
    assert "continued" in llm.info.note
    answer, _ = tell(llm, Ask(messages=user("Once upon"), sampling=GREEDY))
    assert answer.prompt == "Once upon"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for m in messages %}{{ m", "mistake in line 1"),
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{{ messages[7].content.nothing }}", "can't be applied"),
    ],
)
def test_a_broken_template_says_why(tiny: Path, tmp_path: Path, template: str, words: str) -> None:
    folder = chat_models.with_template(tiny, tmp_path / "broken", template)
    llm = TransformersBackend(LlmSpec(ref=str(folder)), Job())
    with pytest.raises(HftermError) as raised:
        tell(llm, Ask(messages=(Message("system", "S"), *user("Hi")), sampling=GREEDY))
    assert words in raised.value.message
    assert raised.value.remedy


def test_an_adapter_goes_on_top_and_another_bases_is_refused(tiny: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=5.0)
    adapted.save_pretrained(tmp_path / "adapter")
    ask = Ask(messages=user("Hi"), sampling=GREEDY)
    plain, _ = tell(backend(LlmSpec(ref=str(tiny))), ask)
    llm = TransformersBackend(LlmSpec(ref=str(tiny), adapter=str(tmp_path / "adapter")), Job())
    tuned, _ = tell(llm, ask)
    assert tuned.ids != plain.ids
    for folder, kind in ((tmp_path / "adapter", "other-base"), (tmp_path, "no-adapter")):
        with pytest.raises(HftermError) as raised:
            TransformersBackend(LlmSpec(ref="smollm2", adapter=str(folder)), Job())
        assert raised.value.kind == kind
        assert raised.value.remedy
        assert ("size mismatch" in raised.value.message) == (kind == "other-base")


def test_numbers_that_are_none_are_said(tiny: Path) -> None:
    llm = TransformersBackend(LlmSpec(ref=str(tiny)), Job())
    with torch.no_grad():
        llm._opened.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(HftermError) as raised:
        tell(llm, Ask(messages=user("Hi"), sampling=GREEDY))
    assert raised.value.kind == "not-finite"


LIMITED = """
import resource
import transformers.models.llama.modeling_llama
from hfterm.chat.transformers_backend import TransformersBackend
from hfterm.chat.types import LlmSpec
from hfterm.errors import HftermError
from hfterm.job import Job

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 250_000_000,) * 2)
try:
    TransformersBackend(LlmSpec(ref="smollm2", dtype="float32"), Job())
except HftermError as error:
    print(error.kind, error.message, error.remedy, sep="|")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux' limits")
def test_a_model_that_does_not_fit_names_the_figures_and_a_smaller_way() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=120, check=False
    )
    kind, message, remedy = done.stdout.strip().split("|")
    assert kind == "memory", done.stderr
    assert "its weights take 538 MB" in message
    assert "a process may take" in message
    assert "bfloat16 takes 269 MB: F7, or --dtype on" in remedy


@pytest.mark.parametrize(
    "sampling",
    [GREEDY, Sampling(seed=5, temperature=0.9, min_p=0.05, top_k=20, max_new_tokens=12)],
    ids=["greedy", "sampled"],
)
def test_the_script_gives_the_same_answer(sampling: Sampling) -> None:
    llm = smollm2()
    messages = (Message("system", "Be brief."), *user(FRANCE))
    answer, _ = tell(llm, Ask(messages=messages, sampling=sampling))
    code = chat_code(llm.info, messages, sampling)
    assert "hfterm" not in code
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == answer.text.strip()
