"""The chat commands: one answer for scripts, or a plain line chat."""

from __future__ import annotations

import asyncio
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hfterm.chat.lab_types import TEXT, WAYS, WayResult
from hfterm.chat.types import Answer, Ask, LlmInfo, LlmSpec, Message, Sampling, Token
from hfterm.cli_work import AsJson, failed, print_json, print_rows, run_work
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.sizes import size_text
from hfterm.text import displayable

GOODBYE = ("/quit", "/exit", "/bye")


class Quant(StrEnum):
    """How weights are quantized while loading."""

    NONE = "none"
    INT8 = "int8"
    NF4 = "nf4"
    FP4 = "fp4"


class ChatDtype(StrEnum):
    """What weights are loaded in."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class EngineName(StrEnum):
    """What runs the model."""

    TRANSFORMERS = "transformers"
    LLAMA_CPP = "llama.cpp"


def chat(
    model: Annotated[str, typer.Argument(help="Starter name, path or hub id.")],
    prompt: Annotated[
        str | None, typer.Option(help="One question; - reads it from standard input.")
    ] = None,
    system: Annotated[str, typer.Option(help="System prompt.")] = "",
    quant: Annotated[Quant, typer.Option(help="Quantize while loading.")] = Quant.NONE,
    dtype: Annotated[ChatDtype, typer.Option(help="dtype of the weights.")] = ChatDtype.AUTO,
    adapter: Annotated[
        str, typer.Option(help="An adapter to put on top: a folder, or a .gguf.")
    ] = "",
    engine: Annotated[
        EngineName, typer.Option(help="What runs it; llama.cpp takes GGUF files.")
    ] = EngineName.TRANSFORMERS,
    url: Annotated[
        str, typer.Option(help="Of a server that speaks OpenAI's API, with its /v1.")
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 …")] = "auto",
    context: Annotated[int, typer.Option(min=0, help="Tokens of the context; 0: all.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The most tokens to generate.")] = 512,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.7,
    greedy: Annotated[bool, typer.Option("--greedy", help="As --temperature 0.")] = False,
    top_k: Annotated[
        int, typer.Option(min=0, help="Sample from the k most probable tokens; 0: all.")
    ] = 50,
    top_p: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Sample from the tokens that hold this share of the probability."
        ),
    ] = 0.95,
    min_p: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Drop tokens below this share of the best one's probability."
        ),
    ] = 0.0,
    repetition_penalty: Annotated[
        float, typer.Option(min=0.01, help="Above 1 against repetition.")
    ] = 1.0,
    stop: Annotated[list[str] | None, typer.Option(help="A text that ends the answer.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of sampling.")] = None,
    as_json: AsJson = False,
) -> None:
    """Chat with a language model: one answer with --prompt, else line by line."""
    if as_json and prompt is None:
        raise typer.BadParameter("--json needs --prompt.")
    spec = LlmSpec(
        ref=model, dtype=dtype.value, quantization=quant.value, adapter=adapter, device=device,
        context=context, engine="server" if url else engine.value, url=url,
    )  # fmt: skip
    sampling = Sampling(
        temperature=0.0 if greedy else temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, max_new_tokens=max_new_tokens,
        stop=tuple(stop or ()), seed=seed,
    )  # fmt: skip
    talk = _Talk(spec, sampling, system)
    try:
        with asyncio.Runner() as runner:
            try:
                if prompt is None:
                    _lines(runner, talk)
                else:
                    text = _standard_input() if prompt == "-" else prompt
                    _once(runner, talk, text, as_json=as_json)
            finally:
                runner.run(talk.engine.close())
    except HftermError as error:
        raise failed(error) from None
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(130) from None


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "replace")


class _Talk:
    """A conversation with one engine."""

    def __init__(self, spec: LlmSpec, sampling: Sampling, system: str) -> None:
        self.engine = EngineClient("chat", warm=False)
        self.spec = spec
        self._sampling = sampling
        self.messages = [Message("system", system)] if system else []

    async def open(self) -> LlmInfo:
        """Load the model."""
        from hfterm.engine.llm import open_llm

        return await open_llm(self.engine, self.spec)

    async def answer(self, text: str, *, show: bool) -> Answer:
        """Ask; ctrl+c stops the answer and keeps the part."""
        from hfterm.engine.chat_requests import AnswerPrompt

        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, stop.set)

        came = False

        def each(token: Token) -> None:
            nonlocal came
            if show:
                came = True
                sys.stdout.write(displayable(token.text, lines=True))
                sys.stdout.flush()

        asked = (*self.messages, Message("user", text))
        ask = Ask(messages=asked, sampling=self._sampling, conversation="chat")
        try:
            answer = await self.engine.stream(
                AnswerPrompt(spec=self.spec, ask=ask), each, stop=stop
            )
        except HftermError:
            if came:  # what is said of it begins a line
                typer.echo()
            raise
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        self.messages = [*asked, Message("assistant", answer.text)]
        return answer


def _once(runner: asyncio.Runner, talk: _Talk, text: str, *, as_json: bool) -> None:
    info = runner.run(talk.open())
    if info.note:
        typer.echo(displayable(info.note), err=True)
    answer = runner.run(talk.answer(text, show=not as_json))
    if not as_json:
        typer.echo()
        return
    print_json(
        {
            "text": answer.text, "tokens": answer.tokens, "prompt_tokens": answer.prompt_tokens,
            "ttft_s": answer.ttft, "tokens_per_s": answer.tokens_per_s,
            "memory_mb": answer.memory / 1e6, "stop_reason": answer.stop_reason,
        }
    )  # fmt: skip


def _lines(runner: asyncio.Runner, talk: _Talk) -> None:
    import readline  # noqa: F401  # pyright: ignore[reportUnusedImport]  # arrows and history

    info = runner.run(talk.open())
    context = f"{info.context:,} tokens of context" if info.context else ""
    facts = " · ".join(filter(None, (info.spec.ref or info.spec.url, info.dtype, context)))
    typer.echo(displayable(f"{facts}. Ctrl+C stops an answer, Ctrl+D ends."), err=True)
    if info.note:
        typer.echo(displayable(info.note), err=True)
    while True:
        try:
            line = input("> ")
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return
        if line.strip() in GOODBYE:
            return
        if not line.strip():
            continue
        try:
            answer = runner.run(talk.answer(line, show=True))
        except HftermError as error:
            failed(error)
            continue
        typer.echo()
        typer.echo(_figures(answer), err=True)


def _figures(answer: Answer) -> str:
    parts = [f"{answer.tokens} tokens"]
    if answer.tokens_per_s:
        parts.append(f"{answer.tokens_per_s:.1f} tokens/s")
    parts.append(f"first token {answer.ttft * 1000:.0f} ms")
    if answer.memory:
        parts.append(size_text(answer.memory))
    if answer.stop_reason != "end":
        parts.append(f"ended by: {answer.stop_reason}")
    return f"[{' · '.join(parts)}]"


def bench_quant(
    model: Annotated[str, typer.Argument(help="Starter name, path or hub id.")],
    ways: Annotated[
        str, typer.Option(help="Ways of loading; the others are compared with the first.")
    ] = (",".join(WAYS)),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 …")] = "auto",
    text: Annotated[Path | None, typer.Option(help="A text file for perplexity and KL.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=2, help="Tokens to measure speed on.")] = 64,
    as_json: AsJson = False,
) -> None:
    """Measure a language model in several quantizations: size, speed, perplexity, agreement."""
    from hfterm.engine.lab import measure_ways
    from hfterm.progress_text import ProgressPrinter
    from hfterm.widgets.lab_table import LabRows

    chosen = ways.replace(",", " ").split()
    for way in chosen:
        if way not in (*WAYS, "gguf"):
            raise typer.BadParameter(
                f"{way!r} is not a way to load a model: {', '.join(WAYS)}, gguf."
            )
    printer = ProgressPrinter(sys.stderr)

    async def work() -> list[WayResult]:
        engine = EngineClient("lab", warm=False)
        try:
            read = TEXT if text is None else text.read_text("utf-8", "replace")
            return await measure_ways(
                engine, LlmSpec(ref=model, device=device), chosen, lambda _: None,
                show=printer.show, text=read, new_tokens=max_new_tokens,
            )  # fmt: skip
        except OSError as error:
            raise HftermError(
                "not-read", f"{text} can't be read: {error.strerror}.", "Choose another file."
            ) from error
        finally:
            await engine.close()

    try:
        results = run_work(work)
    finally:
        printer.close()
    if as_json:
        print_json(results)
    else:
        print_rows(LabRows(results))
    if all(result.error for result in results):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(chat)
    app.command(name="bench-quant")(bench_quant)
