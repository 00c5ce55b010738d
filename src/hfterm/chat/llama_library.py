"""llama.cpp's hold on a GGUF file: load it, evaluate tokens, read logits, choose the next one.

Imports llama_cpp, numpy and transformers' template code inside functions: for an engine process.
"""

from __future__ import annotations

import importlib
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from hfterm.chat.gguf_files import GgufHeader, find_gguf, parts_of, read_header
from hfterm.chat.types import LlmInfo, LlmSpec, Sampling
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.job import Job
from hfterm.models.types import AUTO_DEVICE
from hfterm.sizes import size_text
from hfterm.system.cgroup import memory_limit
from hfterm.system.own_memory import own_memory

if TYPE_CHECKING:
    import numpy as np


class Library(Protocol):
    """llama_cpp, which ships no types that hold: llama.h's functions by their names, and Llama."""

    def __getattr__(self, name: str, /) -> Callable[..., Any]: ...


_said: deque[str] = deque(maxlen=20)
"""What llama.cpp called errors last: its Python errors do not say why."""

_hooks: list[object] = []
"""C has pointers to these, which do not keep them alive."""


def library() -> Library:
    """llama_cpp, quiet: what it says goes into errors and not to any terminal.

    Raises:
        HftermError: it is not installed, or its shared library can't be loaded.
    """
    try:
        found = cast("Library", importlib.import_module("llama_cpp"))
    except ImportError as error:
        raise HftermError(
            "no-llama",
            f"The engine llama.cpp is not installed ({error}).",
            'pip install "hfterm[gguf]"',
        ) from error
    except (OSError, RuntimeError) as error:  # what its loader makes of a missing libgomp, say
        raise HftermError(
            "no-llama",
            f"llama-cpp-python is installed but can't be loaded: {error}",
            "Install it again on this machine: pip install --force-reinstall llama-cpp-python",
        ) from error
    if not _hooks:
        hook = found.llama_log_callback(_listen)
        _hooks.append(hook)
        found.llama_log_set(hook, None)
    return found


def _listen(level: int, text: bytes, _: object) -> None:
    if level == 4:  # GGML_LOG_LEVEL_ERROR
        _said.append(text.decode(errors="replace").strip())


@contextmanager
def llama_errors(what: str) -> Generator[None]:
    """Turn what llama_cpp raises into an error for people, with what llama.cpp said of it."""
    _said.clear()
    try:
        yield
    except (ValueError, RuntimeError, MemoryError) as error:
        said = " ".join(_said)
        why = next((line for line in _said if line), str(error)).removeprefix("llama_model_load: ")
        if "unknown model architecture" in said:
            kind, remedy = "unknown-architecture", "Update it: pip install -U llama-cpp-python"
        elif isinstance(error, MemoryError) or "alloc" in said or "llama_context" in str(error):
            kind, remedy = "memory", "Set a shorter context, or choose a smaller quantization."
        else:
            kind, remedy = "llama-failed", "If the file was cut or changed, fetch it again."
        raise HftermError(kind, f"llama.cpp failed with {what}: {why[:300]}", remedy) from error


class Template:
    """The chat template of a GGUF file; has the two names that `prompting.render` uses."""

    def __init__(self, text: str, specials: Mapping[str, str]) -> None:
        self.chat_template = text
        self._specials = specials

    def apply_chat_template(self, messages: Sequence[Mapping[str, str]], **told: object) -> str:
        """The prompt, rendered by transformers' own environment, which is a sandbox."""
        from transformers.utils.chat_template_utils import render_jinja_template

        more: dict[str, Any] = {**self._specials}
        rendered, _ = render_jinja_template(
            [[dict(said) for said in messages]], chat_template=self.chat_template,
            add_generation_prompt=bool(told.get("add_generation_prompt")), **more,
        )  # fmt: skip
        return str(rendered[0])

    def begins(self, text: str) -> bool:
        """Whether the prompt `text` has its first token from the template."""
        first = self._specials.get("bos_token")
        return bool(first and self.chat_template and text.startswith(first))


class Loaded:
    """A model that llama.cpp holds, and the keys and values of what it read last.

    Attributes:
        context: tokens that fit.
        vocabulary: how many tokens there are.
        batch: tokens that are read at once.
        template: the file's chat template; an empty one if it has none.
        ends: the tokens that end an answer.
        parameters: how many.
    """

    def __init__(self, library: Library, llama: Any, context: int) -> None:
        self._library, self._llama = library, llama
        # its own destructor fails noisily when the interpreter has taken its modules apart
        weakref.finalize(self, llama.close)
        self._vocab = library.llama_model_get_vocab(llama.model)
        self._memory = library.llama_get_memory(llama.ctx)
        self._names: dict[int, str] = {}
        self.context = context
        self.vocabulary = int(llama.n_vocab())
        self.batch = int(llama.n_batch)
        self.parameters = int(library.llama_model_n_params(llama.model))
        self._bos = int(library.llama_vocab_bos(self._vocab))
        self._adds_bos = self._bos >= 0 and bool(library.llama_vocab_get_add_bos(self._vocab))
        found = {
            "bos_token": self._bos,
            "eos_token": int(library.llama_vocab_eos(self._vocab)),
            "pad_token": int(library.llama_vocab_pad(self._vocab)),
        }
        raw = library.llama_model_chat_template(llama.model, None)
        self.template = Template(
            raw.decode(errors="replace") if raw else "",
            {name: self._written(id_) for name, id_ in found.items() if id_ >= 0},
        )
        ends = library.llama_vocab_is_eog
        self.ends = tuple(id_ for id_ in range(self.vocabulary) if ends(self._vocab, id_))

    def tokens(self, text: str, *, begin: bool) -> list[int]:
        """The tokens of a text; with `begin`, after the one that the model wants first."""
        ids = self._llama.tokenize(text.encode(errors="replace"), add_bos=False, special=True)
        return [self._bos, *ids] if begin and self._adds_bos else list(ids)

    def piece(self, id_: int, *, special: bool = False) -> bytes:
        """What a token adds to a text; special ones add something only with `special`."""
        import ctypes

        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._library.llama_token_to_piece(self._vocab, id_, buffer, size, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def _written(self, id_: int) -> str:
        return self._library.llama_vocab_get_text(self._vocab, id_).decode(errors="replace")

    def name(self, id_: int) -> str:
        """A token as people read it: as text where it is one, else as the vocabulary writes it."""
        if id_ not in self._names:
            try:
                self._names[id_] = self.piece(id_, special=True).decode() or self._written(id_)
            except UnicodeDecodeError:
                self._names[id_] = self._written(id_)
        return self._names[id_]

    def held(self) -> list[int]:
        """The tokens whose keys and values are there."""
        return self._llama.input_ids[: self._llama.n_tokens].tolist()

    def keep(self, count: int) -> int:
        """Forget all but the first `count` tokens; how many could be kept."""
        # models that slide or recur can't go back to just any place
        if count == 0 or not self._library.llama_memory_seq_rm(self._memory, 0, count, -1):
            self._library.llama_memory_clear(self._memory, True)
            count = 0
        self._llama.n_tokens = count
        return count

    def read(self, ids: Sequence[int]) -> None:
        """Evaluate tokens after those that are there."""
        with llama_errors("this answer"):
            self._llama.eval(list(ids))

    def logits(self) -> np.ndarray:
        """Those after the last token: float32[vocabulary], valid until more is read."""
        import numpy as np

        pointer = self._library.llama_get_logits_ith(self._llama.ctx, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary,))

    def read_all(self, ids: Sequence[int]) -> np.ndarray:
        """Evaluate tokens and give the logits after each: float32[tokens, vocabulary]."""
        import numpy as np

        batch = self._library.llama_batch_init(len(ids), 0, 1)
        try:
            batch.n_tokens = len(ids)
            for at, id_ in enumerate(ids):
                batch.token[at], batch.pos[at] = id_, self._llama.n_tokens + at
                batch.n_seq_id[at], batch.seq_id[at][0], batch.logits[at] = 1, 0, 1
            with llama_errors("this text"):
                code = self._library.llama_decode(self._llama.ctx, batch)
                if code:
                    raise RuntimeError(f"llama_decode returned {code}")
        finally:
            self._library.llama_batch_free(batch)
        self._llama.n_tokens += len(ids)
        pointer = self._library.llama_get_logits(self._llama.ctx)
        return np.ctypeslib.as_array(pointer, shape=(len(ids), self.vocabulary))

    def chooser(
        self, sampling: Sampling, ids: Sequence[int], seed: int
    ) -> Callable[[np.ndarray, int], int]:
        """What chooses each next token from its logits; one that is forced is only noted.

        Args:
            sampling: how. The penalty is on all tokens so far, as transformers' is.
            ids: the tokens so far.
            seed: of 32 bits.
        """
        llama, penal = self._llama, sampling.repetition_penalty != 1
        llama.set_seed(seed)
        sampler = llama._init_sampler(
            top_k=sampling.top_k, top_p=sampling.top_p, min_p=sampling.min_p,
            temp=sampling.temperature, repeat_penalty=sampling.repetition_penalty,
        )  # fmt: skip
        for id_ in ids if penal else ():
            sampler.accept(id_)

        def choose(logits: np.ndarray, force: int) -> int:
            if force >= 0:
                sampler.accept(force)
                return force
            if sampling.temperature <= 0 and not penal:
                return int(logits.argmax())
            return int(sampler.sample(llama._ctx, -1))

        return choose


def load_gguf(spec: LlmSpec, job: Job) -> tuple[LlmInfo, Loaded]:
    """Load the GGUF file that `spec` means.

    Raises:
        HftermError: llama_cpp is missing, there is no such file, llama.cpp can't read it or has no
            memory for it, or the context is longer than the model's.
    """
    from jinja2 import TemplateError

    began = time.monotonic()
    found = library()
    file = find_gguf(spec.ref)
    header = read_header(file)
    context = _context(spec, header)
    on_cpu = _on_cpu(spec, found)
    job.progress(f"loading {file.name}")
    threads = _threads()
    with llama_errors(spec.ref):
        try:
            llama = found.Llama(
                str(file), n_ctx=context, n_threads=threads, n_threads_batch=threads,
                n_gpu_layers=0 if on_cpu else -1, last_n_tokens_size=context,
                lora_path=spec.adapter or None, verbose=False,
            )  # fmt: skip
        except TemplateError as error:
            raise HftermError(
                "bad-template",
                f"The chat template of {spec.ref} has a mistake: {error}.",
                "Correct tokenizer.chat_template in the file: gguf-new-metadata does.",
            ) from error
    if found.llama_get_memory(llama.ctx) is None:
        raise HftermError(
            "not-causal",
            f"{spec.ref} is an encoder ({header.architecture}), which can't generate.",
            "Choose a model that can; the Predict screen runs encoders.",
        )
    loaded = Loaded(found, llama, context or int(llama.n_ctx()))
    templated = bool(loaded.template.chat_template)
    notes = [] if templated else ["It has no chat template: your text is continued, not answered."]
    info = LlmInfo(
        spec=spec,
        name=f"llama.cpp ({header.architecture})",
        parameters=loaded.parameters,
        dtype=_stored(header.file_type),
        footprint=sum(part.stat().st_size for part in parts_of(file)),
        memory=own_memory(),
        seconds=time.monotonic() - began,
        context=loaded.context,
        has_template=templated,
        note=" ".join(notes),
        tokenizer=str(starter.starter_path(spec.ref) or file),
        ends=loaded.ends,
        device="cpu" if on_cpu else "gpu",
    )
    return info, loaded


def _context(spec: LlmSpec, header: GgufHeader) -> int:
    """Tokens of the context; 0 when the file does not say for how many it is."""
    if spec.context and header.context and spec.context > header.context:
        raise HftermError(
            "context-too-long",
            f"A context of {spec.context:,} tokens is asked for, and {spec.ref} has positions for "
            f"{header.context:,}.",
            f"Set the context to {header.context:,} or less, or to 0 for all.",
        )
    context = spec.context or header.context
    needed, free = context * header.per_token, _free_memory()
    if needed > free:
        # allocating it succeeds on Linux, and writing to it then ends the process
        raise HftermError(
            "memory",
            f"Keys and values of {context:,} tokens take {size_text(needed)}, and "
            f"{size_text(free)} are free.",
            f"Set the context to {free // 2 // header.per_token:,} or less.",
        )
    return context


def _free_memory() -> int:
    """Bytes that this process may still take."""
    import psutil

    free, limit = int(psutil.virtual_memory().available), memory_limit()
    return free if limit is None else max(0, min(free, limit.limit - limit.used))


def _on_cpu(spec: LlmSpec, found: Library) -> bool:
    """Whether the CPU runs it. Refuses what llama.cpp would ignore."""
    if spec.quantization != "none":
        raise HftermError(
            "quantized-already",
            f"A GGUF file is quantized as it is; {spec.quantization} can't be applied to it.",
            "Set the quantization to none, or choose the engine transformers.",
        )
    if spec.adapter and not spec.adapter.endswith(".gguf"):
        raise HftermError(
            "no-adapter",
            f"{spec.adapter} is no GGUF file, and llama.cpp takes no other adapters.",
            "Convert it with llama.cpp's convert_lora_to_gguf.py, or choose the engine "
            "transformers.",
        )
    supported = found.llama_supports_gpu_offload()
    if spec.device not in (AUTO_DEVICE, "cpu") and not supported:
        raise HftermError(
            "no-device",
            f"llama-cpp-python was built without support for {spec.device}.",
            "Choose auto or cpu, or build it for the device (CMAKE_ARGS, see its README).",
        )
    return spec.device == "cpu" or not supported


def _threads() -> int:
    """The real cores that this process may use but one.

    llama.cpp's threads wait for each other by spinning: one that does not get its core, because
    the interface or another program has it, holds up all, and two on a busy machine with two
    cores are several times slower than one.
    """
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = min(allowed or 1, psutil.cpu_count(logical=False) or allowed or 1)
    return max(1, cores - 1)


def _stored(file_type: int) -> str:
    """How most weights are stored, as llama.cpp's tools name it: ``Q4_1``, ``F16``."""
    from gguf import LlamaFileType

    try:
        return LlamaFileType(file_type).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return "" if file_type < 0 else f"type {file_type}"
