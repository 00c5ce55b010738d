"""Chat templates: rendering, whose characters are whose, and messages from text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer, load
from hfterm.tokenization.template import parse_messages, render
from hfterm.tokenization.views import Message, Rendered

Opened = Callable[[str], LoadedTokenizer]
Make = Callable[[object], LoadedTokenizer]

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}"
    "{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}"
    "{{- bos_token }}{%- for message in rest %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('Conversation roles must alternate user/assistant') }}{%- endif %}"
    "{%- if message['role'] == 'user' %}{%- if loop.last and system is defined %}"
    "{{- '[INST] ' + system + '\n\n' + message['content'] + ' [/INST]' }}"
    "{%- else %}{{- '[INST] ' + message['content'] + ' [/INST]' }}{%- endif %}"
    "{%- else %}{{- ' ' + message['content'] + eos_token }}{%- endif %}{%- endfor %}"
)
CHAT = [
    Message("system", "Be brief."),
    Message("user", "Hi, who are you?"),
    Message("assistant", "A model."),
    Message("user", "Hi, who are you?"),
]


@pytest.fixture(scope="module")
def make(zoo: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A tokenizer with the given chat template (or templates)."""

    def build(template: object) -> LoadedTokenizer:
        folder = tmp_path_factory.mktemp("chat") / "model"
        shutil.copytree(zoo["no-pad"], folder)
        file = folder / "tokenizer_config.json"
        config = json.loads(file.read_text()) | {"chat_template": template}
        file.write_text(json.dumps(config))
        return load(str(folder))

    return build


@pytest.fixture(scope="module")
def chatml(make: Make) -> LoadedTokenizer:
    return make(CHATML)


@pytest.fixture(scope="module")
def llama3(make: Make) -> LoadedTokenizer:
    return make(LLAMA3)


@pytest.fixture(scope="module")
def mistral(make: Make) -> LoadedTokenizer:
    return make(MISTRAL)


def spans(rendered: Rendered) -> list[tuple[str, str]]:
    return [(span.role, rendered.text[span.start : span.end]) for span in rendered.spans]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("prompt", [False, True])
def test_chatml_spans(count: int, prompt: bool, chatml: LoadedTokenizer) -> None:
    rendered = render(chatml, CHAT[:count], prompt)
    assert spans(rendered) == [
        (m.role, f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n") for m in CHAT[:count]
    ]
    assert rendered.text.endswith("<|im_start|>assistant\n") == prompt


def test_a_system_prompt_that_the_template_adds_is_nobodys(chatml: LoadedTokenizer) -> None:
    rendered = render(chatml, CHAT[1:], True)
    assert "named SmolLM" in rendered.text[: rendered.spans[0].start]
    assert spans(rendered)[0] == ("user", "<|im_start|>user\nHi, who are you?<|im_end|>\n")
    assert len(rendered.spans) == 3


@pytest.mark.parametrize("first", [0, 1])
def test_llama3_spans(first: int, llama3: LoadedTokenizer) -> None:
    chat = [*CHAT, Message("assistant", "  trimmed \n")][first:]
    rendered = render(llama3, chat)
    assert rendered.text.startswith("<|begin|>")
    assert spans(rendered) == [
        (m.role, f"<|start_header_id|>{m.role}<|end_header_id|>\n\n{m.content.strip()}<|eot_id|>")
        for m in chat
    ]


def test_a_moved_system_message_keeps_only_what_is_certainly_its_own(
    mistral: LoadedTokenizer,
) -> None:
    rendered = render(mistral, CHAT)
    assert rendered.text == (
        "<|begin|>[INST] Hi, who are you? [/INST] A model.<|end|>"
        "[INST] Be brief.\n\nHi, who are you? [/INST]"
    )
    found = spans(rendered)
    assert ("system", "Be brief.") in found
    for role, text in found:
        own = [message.content for message in CHAT if message.role == role]
        others = [message.content for message in CHAT if message.role != role]
        assert any(content in text for content in own)
        assert not any(content in text for content in others)
    assert not any(
        a.end > b.start for a, b in zip(rendered.spans, rendered.spans[1:], strict=False)
    )


def test_a_template_that_drops_messages_gives_them_no_span(make: Make) -> None:
    rendered = render(make("{{ messages[-1]['content'] | upper }}"), CHAT[:2])
    assert rendered.text == "HI, WHO ARE YOU?"
    assert spans(rendered) == []


def test_contents_that_look_like_the_template(chatml: LoadedTokenizer) -> None:
    chat = [Message("user", "a<|im_end|>\n<|im_start|>user\na"), Message("user", "a")]
    assert [text for _, text in spans(render(chatml, chat))] == [
        f"<|im_start|>user\n{message.content}<|im_end|>\n" for message in chat
    ]


def test_continued_final_message(chatml: LoadedTokenizer) -> None:
    rendered = render(chatml, CHAT[:3], continue_final_message=True)
    assert rendered.text.endswith("A model.")
    assert spans(rendered)[-1] == ("assistant", "<|im_start|>assistant\nA model.")
    with pytest.raises(HftermError, match="not compatible"):
        render(chatml, CHAT[:3], True, True)


def test_text_and_ids_are_the_librarys(llama3: LoadedTokenizer) -> None:
    auto = llama3.transformers()
    rendered = render(llama3, CHAT, True)
    chat = [{"role": message.role, "content": message.content} for message in CHAT]
    real = auto.apply_chat_template(chat, add_generation_prompt=True)
    assert list(rendered.encoding.column("ids")) == real["input_ids"]
    assert rendered.text == auto.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=False
    )
    assert rendered.template == LLAMA3


def test_named_templates(make: Make) -> None:
    loaded = make([{"name": "default", "template": "one"}, {"name": "tool_use", "template": "two"}])
    assert render(loaded, CHAT).text == "one"
    assert (render(loaded, CHAT, name="tool_use").text) == "two"
    with pytest.raises(HftermError) as caught:
        render(loaded, CHAT, name="rag")
    assert caught.value.remedy == "It has: default, tool_use."


def test_no_template(opened: Opened) -> None:
    with pytest.raises(HftermError) as caught:
        render(opened("gpt2"), CHAT)
    assert caught.value.kind == "no-template"
    assert "chat_template.jinja" in caught.value.remedy


def test_what_a_template_says_is_shown(mistral: LoadedTokenizer, make: Make) -> None:
    with pytest.raises(HftermError, match="roles must alternate user/assistant"):
        render(mistral, [CHAT[1], CHAT[1]])
    with pytest.raises(HftermError, match="mistake in line 2"):
        render(make("fine\n{% if %}"), CHAT)
    with pytest.raises(HftermError, match="no attribute 'nope'"):
        render(make("{{ messages[0].nope.more }}"), CHAT)
    with pytest.raises(HftermError, match="can't be applied"):
        render(make("{{ 1 / 0 }}"), CHAT)
    with pytest.raises(HftermError, match="no messages"):
        render(mistral, [])


def test_cancel(chatml: LoadedTokenizer) -> None:
    with pytest.raises(Cancelled):
        render(chatml, CHAT, job=Job(cancelled=lambda: True))


@pytest.mark.parametrize(
    "text",
    [
        '[{"role": "system", "content": "S"}, {"role": "user", "content": "U: 1\\n2"}]',
        '{"messages": [{"role": "system", "content": "S"}, '
        '{"role": "user", "content": "U: 1\\n2"}]}',
        "system: S\nuser: U: 1\n2",
        "\n System: S\n\nUSER:U: 1\n2\n",
    ],
)
def test_messages_from_json_and_transcripts(text: str) -> None:
    assert parse_messages(text) == [Message("system", "S"), Message("user", "U: 1\n2")]


@pytest.mark.parametrize("text", ["Hello there", "[1, 2] is a list", "note: user: x", "{x}"])
def test_plain_text_is_one_user_message(text: str) -> None:
    assert parse_messages(text) == [Message("user", text)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no messages"),
        ('[{"role": "user"', "look like JSON"),
        ('[{"role": "user"}]', "Message 1 has no content"),
        ('[{"content": "a"}]', "Message 1 has no role"),
        ("[]", "no messages"),
    ],
)
def test_messages_that_are_none(text: str, said: str) -> None:
    with pytest.raises(HftermError, match=said):
        parse_messages(text)
