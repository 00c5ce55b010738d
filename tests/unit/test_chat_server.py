"""A chat over a server: what is asked, what is read, and where the key comes from."""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server import DONE, ChatServer, Reply, chunk, event, listing, refusal, said, usage
from hfterm.chat.server import ServerBackend
from hfterm.chat.server_key import FoundKey, find_key
from hfterm.chat.server_stream import ChatReader, EventParser
from hfterm.chat.types import Answer, Ask, LlmSpec, Message, Sampling, Token
from hfterm.errors import HftermError
from hfterm.job import Job, Progress

KEY = "sk-very-secret-1234567890"


def key_for(url: str) -> str | None:
    """The key itself."""
    found = find_key(url)
    return found.value if found else None


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HFTERM_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


def opened(server: ChatServer, ref: str = "") -> ServerBackend:
    return ServerBackend(LlmSpec(ref=ref, engine="server", url=server.url), Job())


def asked(prefix: str = "", **sampling: object) -> Ask:
    return Ask(
        messages=(Message("system", "Be brief."), Message("user", "Hi")),
        sampling=Sampling(**sampling),  # pyright: ignore[reportArgumentType]
        prefix=prefix,
    )


def answered(server: ChatServer, ask: Ask | None = None) -> tuple[Answer, list[Token]]:
    tokens: list[Token] = []
    answer = opened(server).answer(ask or asked(), Job(send=tokens.append))  # pyright: ignore
    assert "".join(token.text for token in tokens) == answer.text
    return answer, tokens


def entry(token: str, logprob: float, **more: object) -> dict[str, object]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), **more}


# -- opening ---------------------------------------------------------------------------------


def test_the_only_model_there_is_taken(server: ChatServer) -> None:
    server.models = listing("tiny", max_model_len=2048)
    info = opened(server).info
    assert info.name == f"server at {server.url.split('/')[2]}"
    assert (info.context, info.has_template) == (2048, True)
    assert "memory" in info.note


def test_llama_server_says_more(server: ChatServer) -> None:
    meta = {"n_ctx_train": 8192, "n_params": 135_000_000, "size": 270_000_000}
    server.models = listing("tiny", meta=meta)
    info = opened(server).info
    assert (info.context, info.parameters, info.footprint) == (8192, 135_000_000, 270_000_000)


def test_a_model_that_is_not_there_is_said_with_those_that_are(server: ChatServer) -> None:
    server.models = listing("one", "two")
    with pytest.raises(HftermError, match=r"no model “three”.*one, two"):
        opened(server, "three")
    with pytest.raises(HftermError, match=r"several models.*one, two"):
        opened(server)
    assert opened(server, "two").answer(asked(), Job()).text == "Hello there"
    assert server.bodies[0]["model"] == "two"


def test_a_server_without_a_list_is_tolerated_when_the_model_is_named(server: ChatServer) -> None:
    server.models = refusal(404, {"detail": "Not Found"})
    assert opened(server, "any").info.context is None
    with pytest.raises(HftermError, match="does not say which models"):
        opened(server)


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_the_url_may_be_written_in_several_ways(server: ChatServer, end: str) -> None:
    url = server.url.removesuffix("/v1") + end
    ServerBackend(LlmSpec(ref="", engine="server", url=url), Job()).answer(asked(), Job())
    assert [path for _, path, _, _ in server.asked] == ["/v1/models", "/v1/chat/completions"]


@pytest.mark.parametrize(
    "url", ["", "ftp://host/v1", "http://", "http://h:99999", "http://h/v1?key=1", "http://[::1"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(HftermError) as caught:
        ServerBackend(LlmSpec(ref="", engine="server", url=url), Job())
    assert caught.value.kind == "bad-url"


def test_a_login_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(HftermError) as caught:
        ServerBackend(LlmSpec(ref="", url=f"http://me:{KEY}@localhost:1/v1"), Job())
    assert caught.value.kind == "bad-url"
    assert KEY not in str(caught.value)


def test_no_proxy_leads_to_this_machine(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert opened(server).info.spec.url == server.url


# -- what is asked ---------------------------------------------------------------------------


def test_the_settings_are_sent(server: ChatServer) -> None:
    ask = asked(
        temperature=0.5, top_k=7, min_p=0.1, repetition_penalty=1.2, seed=3, stop=("X",),
        max_new_tokens=9,
    )  # fmt: skip
    answered(server, ask)
    body = server.bodies[0]
    assert body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 5,
        "temperature": 0.5,
        "top_p": 0.95,
        "top_k": 7,
        "min_p": 0.1,
        "repetition_penalty": 1.2,
        "repeat_penalty": 1.2,
        "max_tokens": 9,
        "stop": ["X"],
        "seed": 3,
    }


def test_settings_that_are_off_are_not_sent(server: ChatServer) -> None:
    answered(server, asked(top_k=0))
    answered(server, asked(temperature=0))
    for body in server.bodies:
        assert not {"top_k", "min_p", "repetition_penalty", "stop", "seed"} & set(body)
    assert server.bodies[1]["temperature"] == 0


def test_an_answer_is_gone_on_from(server: ChatServer) -> None:
    answered(server, asked(prefix="Once upon"))
    body = server.bodies[0]
    assert body["messages"][-1] == {"role": "assistant", "content": "Once upon"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


def test_a_server_that_cannot_go_on_says_so(server: ChatServer) -> None:
    words = "Unexpected fields in the request: {'continue_final_message', 'top_k'}"
    server.script = [refusal(422, {"detail": words})]
    with pytest.raises(HftermError, match="continue_final_message") as caught:
        opened(server).answer(asked(prefix="Once"), Job())
    assert caught.value.kind == "no-continue"


def document(fields: Sequence[str], **more: object) -> dict[str, object]:
    """An OpenAPI document as FastAPI makes it."""
    schema = {"properties": {name: {} for name in fields}, **more}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Chat"}}}
    return {
        "paths": {
            "/v1/models": {"get": {}},
            "/v1/chat/completions": {"post": {"requestBody": {"content": content}}},
        },
        "components": {"schemas": {"Chat": schema}},
    }


def test_a_server_that_would_begin_anew_is_not_asked_to_go_on(server: ChatServer) -> None:
    backend = opened(server)
    server.models = refusal(200, document(["messages", "stream"]))
    for _ in range(2):
        with pytest.raises(HftermError, match="no field “continue_final_message”") as caught:
            backend.answer(asked(prefix="Once"), Job())
        assert caught.value.kind == "no-continue"
    assert [path for _, path, _, _ in server.asked] == ["/v1/models", "/openapi.json"]
    assert backend.answer(asked(), Job()).text == "Hello there"


@pytest.mark.parametrize(
    "answer",
    [
        refusal(404, {"detail": "Not Found"}),
        refusal(401, {"detail": "Not yours"}),
        Reply([b"<!doctype html>"], kind="text/html"),
        refusal(200, document(["messages", "continue_final_message"])),
        refusal(200, document(["messages"], additionalProperties=True)),
        refusal(200, document([])),
        refusal(200, {"paths": {"/v1/chat/completions": {"post": {"requestBody": 3}}}}),
        refusal(200, {"paths": []}),
    ],
)
def test_a_server_that_does_not_say_is_asked_to_go_on(server: ChatServer, answer: Reply) -> None:
    backend = opened(server)
    server.models = answer
    assert backend.answer(asked(prefix="Once"), Job()).text == "Hello there"


def test_whether_it_goes_on_is_asked_again_when_the_server_was_away(server: ChatServer) -> None:
    def hang_up() -> None:
        raise ConnectionAbortedError

    backend = opened(server)
    server.models = Reply(head=hang_up)
    assert backend.answer(asked(prefix="Once"), Job()).text == "Hello there"
    server.models = refusal(200, document(["messages"]))
    with pytest.raises(HftermError, match="no field"):
        backend.answer(asked(prefix="Once"), Job())


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"detail": "Unexpected fields: {'top_k', 'min_p'}"}, {"top_k", "min_p"}),
        ({"error": {"message": "Unknown name: stream_options"}}, {"stream_options"}),
        ({"error": "logprobs is not supported"}, {"logprobs", "top_logprobs"}),
        ({"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs"}]}, {"top_k"}),
        ({"object": "error", "message": "extra fields not permitted"},
         {"stream_options", "logprobs", "top_logprobs", "top_k", "min_p"}),
    ],
)  # fmt: skip
def test_a_field_that_is_refused_is_left_out_from_then_on(
    server: ChatServer, answer: object, refused: set[str]
) -> None:
    server.script = [refusal(400, answer), said("yes"), said("again")]
    backend = opened(server)
    ask = asked(min_p=0.1)
    assert backend.answer(ask, Job()).text == "yes"
    assert backend.answer(ask, Job()).text == "again"
    first, second, third = server.bodies
    assert set(first) - set(second) == refused
    assert set(third) == set(second)
    assert all(name in backend.info.note for name in refused)


def test_transformers_serve_takes_the_sampling_as_a_configuration(server: ChatServer) -> None:
    words = "Unexpected fields in the request: {'min_p', 'top_k'}"
    server.script = [refusal(422, {"detail": words}), said("yes")]
    backend = opened(server)
    backend.answer(asked(min_p=0.1), Job())
    backend.answer(asked(temperature=0), Job())
    backend.answer(asked(temperature=0, repetition_penalty=1.3, top_k=9), Job())
    backend.answer(asked(top_k=0), Job())
    first, second, greedy, penal, whole = server.bodies
    assert "generation_config" not in first
    assert not {"top_k", "min_p"} & set(second)
    sampled = {"do_sample": True, "top_k": 50, "min_p": 0.1, "top_p": 0.95}
    assert json.loads(second["generation_config"]) == sampled
    assert "generation_config" not in greedy
    assert json.loads(penal["generation_config"]) == {"repetition_penalty": 1.3}
    assert json.loads(whole["generation_config"]) == {
        "do_sample": True, "top_k": 0, "top_p": 0.95
    }  # fmt: skip
    assert "top_k" not in backend.info.note


def test_a_configuration_may_be_refused_as_well(server: ChatServer) -> None:
    refusals = [
        refusal(422, {"detail": f"Unexpected fields in the request: {{'{name}'}}"})
        for name in ("top_k", "generation_config")
    ]
    server.script = [*refusals, said("yes")]
    backend = opened(server)
    assert backend.answer(asked(), Job()).text == "yes"
    assert not {"top_k", "generation_config"} & set(server.bodies[2])
    assert "generation_config, top_k" in backend.info.note


def test_max_tokens_has_another_name_at_some_servers(server: ChatServer) -> None:
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    server.script = [refusal(400, {"error": {"message": words}}), said("yes")]
    answered(server, asked(max_new_tokens=9))
    assert server.bodies[1]["max_completion_tokens"] == 9
    assert "max_tokens" not in server.bodies[1]


# -- what is read ----------------------------------------------------------------------------


def test_an_answer_without_probabilities(server: ChatServer) -> None:
    answer, tokens = answered(server)
    assert tokens == [Token(-1, "Hello"), Token(-1, " there")]
    assert (answer.text, answer.ids, answer.tokens) == ("Hello there", (), 2)
    assert answer.stop_reason == "end"
    assert 0 < answer.ttft <= answer.seconds


def test_the_usage_counts(server: ChatServer) -> None:
    server.script = [Reply([chunk("a b c"), chunk(finish="length"), usage(11, 512, 4), DONE])]
    answer, _ = answered(server)
    assert (answer.tokens, answer.prompt_tokens, answer.reused_tokens) == (512, 11, 4)
    assert answer.stop_reason == "length"


def test_fewer_tokens_than_were_asked_for_are_a_full_context(server: ChatServer) -> None:
    server.script = [Reply([chunk("a"), chunk(finish="length"), usage(11, 5), DONE])]
    assert answered(server)[0].stop_reason == "context full"


def test_vllm_names_the_stop_string(server: ChatServer) -> None:
    server.script = [Reply([chunk("a", finish="stop", stop_reason="X"), DONE])]
    assert answered(server, asked(stop=("X",)))[0].stop_reason == "stop string"


@pytest.mark.parametrize("end", [[chunk(finish="stop"), usage(9, 4), DONE], [chunk("more")] * 3])
def test_a_stop_string_that_the_server_sends_is_not_part_of_the_answer(
    server: ChatServer, end: list[bytes]
) -> None:
    server.script = [Reply([chunk("a E"), chunk("N"), chunk("D b"), *end])]
    answer, tokens = answered(server, asked(stop=("END",)))
    assert (answer.text, answer.stop_reason) == ("a ", "stop string")
    assert [token.text for token in tokens] == ["a ", "", ""]


def test_what_is_no_stop_string_after_all_is_let_go(server: ChatServer) -> None:
    server.script = [said("a E", "N")]
    answer, _ = answered(server, asked(stop=("END",)))
    assert (answer.text, answer.tokens, answer.stop_reason) == ("a EN", 2, "end")


def test_probabilities_and_what_might_have_come(server: ChatServer) -> None:
    others = [entry("No", math.log(0.25), id=8), entry("Yes", math.log(0.5), id=7)]
    one = entry("Yes", math.log(0.5), id=7, top_logprobs=others)
    server.script = [Reply([chunk("Yes", logprobs=[one]), chunk(finish="stop"), DONE])]
    answer, (token,) = answered(server)
    assert (token.id, token.name, answer.ids) == (7, "Yes", (7,))
    assert token.probability == pytest.approx(0.5)
    assert [(other.id, other.text) for other in token.alternatives] == [(7, "Yes"), (8, "No")]


def test_several_tokens_in_one_piece(server: ChatServer) -> None:
    both = [entry("Hel", -1.0), entry("lo", -2.0)]
    wrong = [entry("x", -1.0), entry("y", -2.0)]
    server.script = [
        Reply([chunk("Hello", logprobs=both), chunk("!", logprobs=wrong), chunk(finish="stop")])
    ]
    _, tokens = answered(server)
    assert [token.text for token in tokens] == ["Hel", "lo", "!"]
    assert [token.probability for token in tokens] == [math.exp(-1), math.exp(-2), None]


def test_a_character_in_two_tokens(server: ChatServer) -> None:
    halves = [{"token": "?", "logprob": -1.0, "bytes": [byte]} for byte in "é".encode()]
    server.script = [
        Reply(
            [
                chunk("", logprobs=[halves[0]]),
                chunk("é", logprobs=[halves[1]]),
                chunk("é", logprobs=halves),
                chunk(finish="stop"),
                DONE,
            ]
        )
    ]
    _, tokens = answered(server)
    assert [token.text for token in tokens] == ["", "é", "", "é"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_put_between_tags(server: ChatServer, name: str) -> None:
    thoughts = [chunk(**{name: text}) for text in ("Let me", " see.")]
    server.script = [Reply([*thoughts, chunk("4"), chunk(finish="stop"), DONE])]
    answer, _ = answered(server)
    assert answer.text == "<think>Let me see.</think>4"
    assert answer.tokens == 3


@pytest.mark.parametrize(
    ("finish", "text"), [("stop", "<think>Hm</think>"), ("length", "<think>Hm")]
)
def test_a_thought_that_a_limit_cut_stays_open(server: ChatServer, finish: str, text: str) -> None:
    server.script = [Reply([chunk(reasoning="Hm"), chunk(finish=finish), DONE])]
    assert answered(server)[0].text == text


def test_only_a_tool_call_is_an_error(server: ChatServer) -> None:
    call = chunk(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "{}"}}])
    end = chunk(finish="tool_calls")
    server.script = [Reply([call, end, DONE]), Reply([chunk("Well"), call, end, DONE])]
    backend = opened(server)
    with pytest.raises(HftermError) as caught:
        backend.answer(asked(), Job())
    assert caught.value.kind == "tools"
    assert backend.answer(asked(), Job()).text == "Well"


def test_a_server_that_does_not_stream(server: ChatServer) -> None:
    message = {"message": {"role": "assistant", "content": "All at once"}, "finish_reason": "stop"}
    server.script = [refusal(200, {"choices": [message], "usage": {"completion_tokens": 3}})]
    answer, _ = answered(server)
    assert (answer.text, answer.tokens) == ("All at once", 3)


def test_what_comes_at_once_has_no_speed(server: ChatServer) -> None:
    message = {"message": {"reasoning": "Hm", "content": "Well"}, "finish_reason": "stop"}
    server.script = [refusal(200, {"choices": [message], "usage": {"completion_tokens": 9}})]
    assert answered(server)[0].tokens_per_s == 0


def test_a_stream_without_a_word_is_asked_for_in_one_piece(server: ChatServer) -> None:
    words = "This model's maximum context length is 2048 tokens."
    server.script = [Reply(), refusal(400, {"error": {"message": words}})]
    backend = opened(server)
    with pytest.raises(HftermError, match=words) as caught:
        backend.answer(asked(), Job())
    assert caught.value.kind == "context-full"
    streamed, whole = server.bodies
    assert (streamed["stream"], whole["stream"]) == (True, False)
    assert "stream_options" not in whole
    message = {"message": {"role": "assistant", "content": "Well"}, "finish_reason": "stop"}
    server.script = [Reply([b": ping\n\n"]), refusal(200, {"choices": [message]})]
    assert backend.answer(asked(), Job()).text == "Well"
    server.script = [Reply()]
    with pytest.raises(HftermError, match="ended it without a word"):
        backend.answer(asked(), Job())


def test_llama_cpp_python_is_not_asked_for_probabilities(server: ChatServer) -> None:
    server.models = listing("tiny", owned_by="me", permissions=[])
    backend = opened(server)
    assert backend.answer(asked(), Job()).text == "Hello there"
    assert not {"logprobs", "top_logprobs"} & set(server.bodies[0])
    assert "loses characters" in backend.info.note


@pytest.mark.parametrize("words", ['no "x"\n  in y', 'no "x"', "Out of memory"])
def test_an_error_whose_quotes_break_its_json(server: ChatServer, words: str) -> None:
    server.script = [Reply([f'data: {{"error": "{words}"}}\n\n'.encode()])]
    with pytest.raises(HftermError) as caught:
        opened(server).answer(asked(), Job())
    assert caught.value.kind == "server"
    assert caught.value.message == f"The server failed: {words.splitlines()[0]}"


def test_a_wait_that_is_asked_for_is_counted(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("hfterm.chat.server.pause", lambda seconds, _: waited.append(seconds))
    server.script = [refusal(429, {}, Retry_After="2.5"), said("now")]
    stages: list[Progress] = []
    assert opened(server).answer(asked(), Job(report=stages.append)).text == "now"
    assert waited == [1, 1, 0.5]
    assert [(stage.done, stage.total) for stage in stages if stage.total] == [
        (0, 3),
        (1, 3),
        (2, 3),
    ]


def test_characters_that_packets_split(server: ChatServer) -> None:
    whole = b"\xef\xbb\xbf: hello\r\n" + chunk("naïve 🤗 日本").replace(b"\n", b"\r\n")
    whole += chunk(finish="stop") + DONE
    server.script = [Reply([whole[i : i + 1] for i in range(len(whole))])]
    assert answered(server)[0].text == "naïve 🤗 日本"


def test_half_a_character_in_json_can_be_encoded(server: ChatServer) -> None:
    half = rb'data: {"choices":[{"delta":{"content":"a\ud83d"}}]}' + b"\n\n"
    server.script = [Reply([half, chunk(finish="stop"), DONE])]
    assert answered(server)[0].text == "a�"


def test_tokens_come_as_they_are_sent(server: ChatServer) -> None:
    seen = threading.Event()
    server.script = [Reply([chunk("a"), lambda: seen.wait(60), chunk("b", finish="stop"), DONE])]
    tokens: list[object] = []

    def take(token: object) -> None:
        tokens.append(token)
        seen.set()  # the server sends the second one only when the first was seen

    assert opened(server).answer(asked(), Job(send=take)).text == "ab"
    assert len(tokens) == 2


# -- the parser of events --------------------------------------------------------------------


def parsed(stream: bytes, cuts: list[int]) -> list[str]:
    parser, found, start = EventParser(), [], 0
    for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += parser.feed(stream[start:cut])
        start = cut
    return found


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\n", ["a"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a\n\n", [" a"]),
        (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
        (b"data: a\r\r", ["a"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b": ping\n\ndata: a\n\n", ["a"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", ["a"]),
        (b"event: x\n\n", []),
        (b"data\n\n", [""]),
        (b"datas: a\n\n", []),
        (b"data: a\n", []),
        (b"data: a\n\ndata: [DONE]\n\n", ["a", "[DONE]"]),
        ("data: é\n\n".encode(), ["é"]),
        (b"data: \xff\n\n", ["�"]),
    ],
)
def test_events_are_read_by_the_rules(stream: bytes, data: list[str]) -> None:
    assert parsed(stream, []) == data
    assert parsed(stream, [*range(len(stream))]) == data


PIECES = st.lists(
    st.sampled_from([b"data: ", b"data", b":", b"\r", b"\n", b"\r\n", b"x", "é🤗".encode(), b" ",
                     b"\xef\xbb\xbf", b"[DONE]", b"\n\n", b"event: y"]) | st.binary(max_size=4),
    max_size=30,
).map(b"".join)  # fmt: skip


@given(PIECES, st.lists(st.integers(0, 200), max_size=12))
def test_it_does_not_matter_where_the_bytes_are_cut(stream: bytes, cuts: list[int]) -> None:
    assert parsed(stream, cuts) == parsed(stream, [])


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfterm.chat.server_stream.LONGEST", 1000)
    for piece in (b"x" * 100, b"data: x\n" * 20):
        parser = EventParser()
        with pytest.raises(HftermError, match="longer than"):
            for _ in range(11):
                list(parser.feed(piece))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "delta", "content", "logprobs", "logprob", "token", "bytes",
                         "top_logprobs", "id", "usage", "error", "message", "finish_reason",
                         "reasoning", "tool_calls", "completion_tokens", "detail"]),
        inner, max_size=4,
    ),
    max_leaves=15,
)  # fmt: skip


@given(JSON, JSON, JSON)
@settings(max_examples=300)
def test_whatever_the_json_is_only_a_known_error_is_raised(
    outer: object, inner: object, entries: object
) -> None:
    choice = {"delta": inner, "logprobs": {"content": entries}}
    for value in (outer, {"choices": [inner]}, {"choices": [choice]}, {"error": outer}):
        try:
            tokens = ChatReader().take(event(value)[6:])
        except HftermError:
            continue
        for token in tokens:
            token.text.encode()


@given(st.lists(st.text(max_size=4), max_size=5), st.lists(st.binary(max_size=3), max_size=5))
def test_tokens_join_to_the_text(texts: list[str], raws: list[bytes]) -> None:
    reader = ChatReader()
    entries = [{"token": "t", "logprob": -1.0, "bytes": list(raw)} for raw in raws]
    for text in texts:
        choice = {"delta": {"content": text}, "logprobs": {"content": entries}}
        tokens = reader.take(event({"choices": [choice]})[6:])
        assert "".join(token.text for token in tokens) == text


# -- the key ---------------------------------------------------------------------------------


def test_the_key_is_in_the_header_alone(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HFTERM_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    answer, _ = answered(server)
    assert len(server.asked) == 2
    for _, path, headers, body in server.asked:
        assert headers.pop("Authorization") == f"Bearer {KEY}"
        assert KEY not in f"{path} {headers} {body}"
    assert KEY not in caplog.text
    assert KEY not in repr(answer)


def test_without_a_key_there_is_no_header(server: ChatServer) -> None:
    answered(server)
    assert not any("Authorization" in headers for _, _, headers, _ in server.asked)


def test_the_key_of_openai_is_for_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert key_for("https://api.openai.com/v1") == KEY
    for url in ("http://api.openai.com/v1", "https://api.openai.com.example/v1",
                "https://api.openai.com:8443/v1", "http://localhost:8000"):  # fmt: skip
        assert key_for(url) is None
    monkeypatch.setenv("HFTERM_API_KEY", "mine")
    assert key_for("https://api.openai.com/v1") == "mine"


def test_a_keyring_is_used_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {("hfterm", "https://lab.example:443"): KEY}  # by `keyring set`
    ring = SimpleNamespace(get_password=lambda service, user: held.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert key_for("https://Lab.example/v1") == KEY
    assert key_for("https://lab.example:443/other") == KEY
    assert key_for("http://lab.example") is None


def test_a_keyring_that_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> None:
        raise RuntimeError(f"locked, and {KEY}")

    for module in (None, SimpleNamespace(get_password=fail)):
        monkeypatch.setitem(sys.modules, "keyring", module)
        assert key_for("http://localhost:8000") is None


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_not_repeated(
    key: str, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_API_KEY", key)
    with pytest.raises(HftermError) as caught:
        opened(server)
    assert caught.value.kind == "bad-key"
    assert key not in str(caught.value)


def test_a_found_key_does_not_show_itself() -> None:
    assert KEY not in repr(FoundKey(KEY, "HFTERM_API_KEY"))
