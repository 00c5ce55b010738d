"""Open a tokenizer: at once from tokenizer.json, and for certain through `AutoTokenizer`.

`AutoTokenizer` may build another pipeline than the one stored in tokenizer.json (in
transformers 5 a class with its own ``__init__`` rebuilds it from the vocabulary), so what
only the file says is shown as not yet verified.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from tokenizers import Tokenizer

from hfterm.errors import HftermError
from hfterm.hub.refs import ResolvedRef, resolve
from hfterm.job import Job
from hfterm.system.large_import import large_import
from hfterm.tokenization.types import SpecialToken, TokenizerInfo

if TYPE_CHECKING:
    from transformers import AutoTokenizer, PreTrainedTokenizerBase

NO_LIMIT = 10**9
"""transformers writes 1e30 for "no limit"; nothing real comes near this."""

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


@dataclass(frozen=True)
class LoadedTokenizer:
    """An open tokenizer.

    Attributes:
        info: what it is.
        fast: a private Rust copy without padding and truncation; None for Python backends.
            Private because each call of a transformers tokenizer changes the padding and
            truncation of the object it shares.
        auto: what `AutoTokenizer` gave; None until verified.
    """

    info: TokenizerInfo
    fast: Tokenizer | None
    auto: PreTrainedTokenizerBase | None

    def rust(self) -> Tokenizer:
        """The Rust tokenizer, or a clear error for a Python-backend one."""
        if self.fast is None:
            raise HftermError(
                "python-backend",
                f"{self.info.cls} is a Python-backend tokenizer: it has no Rust pipeline.",
                "Use a tokenizer with a tokenizer.json for this view.",
            )
        return self.fast

    def transformers(self) -> PreTrainedTokenizerBase:
        """The transformers tokenizer, or a clear error while only the file was read."""
        if self.auto is None:
            raise HftermError(
                "not-verified", f"{self.info.ref} is not yet loaded by transformers.", "Try again."
            )
        return self.auto


def private_copy(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that neither pads nor truncates, whatever the original is made to do."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    copy.encode_special_tokens = tokenizer.encode_special_tokens
    return copy


def _fingerprint(fast: Tokenizer) -> str:
    """Equal for Rust pipelines that tokenize alike; `fast` neither pads nor truncates."""
    digest = hashlib.sha256(fast.to_str().encode("utf-8", "surrogatepass"))
    digest.update(b"split" if fast.encode_special_tokens else b"keep")
    return digest.hexdigest()


def load_quick(ref: str) -> LoadedTokenizer | None:
    """Open tokenizer.json without transformers (30 ms), or None when there is none.

    Raises:
        HftermError: the reference is not found, or its tokenizer.json is not one.
    """
    resolved = resolve(ref)
    if resolved.folder is None:
        return None
    file = resolved.tokenizer_json
    if file is None:
        return None
    tokenizer = _read_tokenizer_json(file)
    config = _read_json(file.parent / "tokenizer_config.json")
    info = _describe_rust(
        resolved,
        tokenizer,
        verified=False,
        cls=str(config.get("tokenizer_class") or "tokenizer.json"),
        config=config,
    )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = config.get("split_special_tokens") is True
    info = msgspec.structs.replace(info, fingerprint=_fingerprint(tokenizer))
    return LoadedTokenizer(info, tokenizer, None)


def load(ref: str, job: Job | None = None) -> LoadedTokenizer:
    """Open a tokenizer through `AutoTokenizer`.

    Hub ids are downloaded (only the tokenizer's files) unless the cache has them.

    Raises:
        HftermError: not found, gated, offline, not a tokenizer, or needs remote code.
    """
    job = job or Job()
    resolved = resolve(ref)
    if resolved.kind == "hub":
        from hfterm.hub.download import download_tokenizer

        download_tokenizer(ref, job)
        resolved = resolve(ref)
    if resolved.tokenizer_json is not None:
        _read_tokenizer_json(
            resolved.tokenizer_json
        )  # its error names the file, transformers' does not
    job.progress(f"loading {ref}")
    auto = _from_pretrained(resolved)
    job.check()
    if auto.backend == "tokenizers":
        from transformers import PreTrainedTokenizerFast

        rust = cast("PreTrainedTokenizerFast", auto).backend_tokenizer
        stored = resolved.tokenizer_json and Tokenizer.from_file(str(resolved.tokenizer_json))
        info = _describe_rust(
            resolved, rust, verified=True, cls=type(auto).__name__, auto=auto, stored=stored or rust
        )
        fast = private_copy(rust)
        info = msgspec.structs.replace(info, fingerprint=_fingerprint(fast))
        return LoadedTokenizer(info, fast, auto)
    return LoadedTokenizer(_describe_python(resolved, auto), None, auto)


_importing = threading.RLock()


def importing() -> threading.RLock:
    """Held while names of transformers are first asked for.

    It fills them in lazily, which fails when two threads ask at once.
    """
    return _importing


def import_transformers() -> type[AutoTokenizer]:
    """`AutoTokenizer`; the first call takes seconds, since it imports torch."""
    with _importing, large_import("transformers"):
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        _ = PreTrainedTokenizerFast
    return AutoTokenizer


def _from_pretrained(resolved: ResolvedRef) -> PreTrainedTokenizerBase:
    AutoTokenizer = import_transformers()
    source = resolved.ref if resolved.kind == "cache" else str(resolved.folder)
    try:
        auto = AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        # transformers raises ValueError, OSError, KeyError, TypeError, and bare Exception from
        # Rust for a bad tokenizer; each means the same to the user.
        raise _explain(resolved, error) from error
    return cast("PreTrainedTokenizerBase", auto)


def _explain(resolved: ResolvedRef, error: Exception) -> HftermError:
    text = str(error)
    if "trust_remote_code" in text:
        return HftermError(
            "remote-code",
            f"{resolved.ref} needs Python code from its repository, which hfterm does not run.",
            "Read that code first; then save its tokenizer as tokenizer.json and open the folder.",
        )
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    if not resolved.has_tokenizer_files:
        return HftermError(
            "no-tokenizer",
            f"{resolved.folder} has no tokenizer (no tokenizer.json, vocab.txt, *.model …).",
            "Choose a folder saved with tokenizer.save_pretrained(), or the file itself.",
        )
    if isinstance(error, ModuleNotFoundError | ImportError):
        return HftermError(
            "missing-package",
            f"{resolved.ref} needs a package that is not installed: {first}",
            "Install it in hfterm's environment, and start hfterm again.",
        )
    return HftermError(
        "bad-tokenizer",
        f"transformers can't open the tokenizer of {resolved.ref}: {first[:300]}",
        "Check that the folder holds one complete tokenizer, and which class its "
        "tokenizer_config.json names.",
    )


def _read_tokenizer_json(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the Rust binding raises a bare Exception for any bad file
        reason = str(error)
        try:
            parsed: object = json.loads(file.read_bytes())
        except OSError as os_error:
            raise HftermError(
                "unreadable",
                f"{file} can't be read: {os_error.strerror}.",
                "Check that it is a file and that you may read it.",
            ) from os_error
        except (ValueError, RecursionError) as json_error:
            size = file.stat().st_size
            raise HftermError(
                "bad-tokenizer",
                f"{file} is not whole JSON ({size:,} bytes; {json_error}).",
                "It was probably cut while copying or downloading; fetch it again.",
            ) from json_error
        known = isinstance(parsed, dict) and "model" in parsed
        raise HftermError(
            "bad-tokenizer",
            f"{file} is JSON but not a tokenizer: {reason}."
            if not known
            else f"{file} holds a tokenizer that tokenizers can't read: {reason}.",
            "Use a tokenizer.json written by tokenizers or transformers."
            if not known
            else "It may be from a newer tokenizers; save it again with the installed one.",
        ) from error


def _read_json(file: Path) -> dict[str, object]:
    """A JSON object, or empty when the file is absent or broken (the full load explains)."""
    try:
        value: object = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _component(component: object) -> str:
    return "none" if component is None else type(component).__name__


def _pipeline(tokenizer: Tokenizer) -> tuple[tuple[str, str], ...]:
    return (
        ("normalizer", _component(tokenizer.normalizer)),
        ("pre-tokenizer", _component(tokenizer.pre_tokenizer)),
        ("model", _component(tokenizer.model)),
        ("post-processor", _component(tokenizer.post_processor)),
        ("decoder", _component(tokenizer.decoder)),
    )


def _special_tokens(
    tokenizer: Tokenizer, config: dict[str, object], auto: PreTrainedTokenizerBase | None
) -> tuple[SpecialToken, ...]:
    found: dict[str, SpecialToken] = {}
    for role in ROLES:
        value = getattr(auto, f"{role}_token") if auto else config.get(f"{role}_token")
        if isinstance(value, dict):  # an AddedToken as older configs write it
            value = cast("dict[str, object]", value).get("content")
        token = str(value) if value else ""
        id_ = tokenizer.token_to_id(token) if token else None
        if id_ is not None:
            found[f"{role}_token"] = SpecialToken(f"{role}_token", token, id_)
    named = {special.id for special in found.values()}
    others = [
        SpecialToken("additional", token.content, id_)
        for id_, token in sorted(tokenizer.get_added_tokens_decoder().items())
        if token.special and id_ not in named
    ]
    return (*found.values(), *others)


def _unk_id(tokenizer: Tokenizer) -> int | None:
    """The id of unknown pieces; None for a model that has none, whatever its config calls one."""
    model = json.loads(tokenizer.model.__getstate__())
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    return tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None


def _describe_rust(
    resolved: ResolvedRef,
    tokenizer: Tokenizer,
    *,
    verified: bool,
    cls: str,
    config: dict[str, object] | None = None,
    auto: PreTrainedTokenizerBase | None = None,
    stored: Tokenizer | None = None,
) -> TokenizerInfo:
    config = config or {}
    stored = stored or tokenizer
    limit = auto.model_max_length if auto else config.get("model_max_length")
    specials = _special_tokens(tokenizer, config, auto)
    padding = stored.padding
    notes: list[str] = []
    if stored.truncation:
        notes.append(
            f"tokenizer.json stores truncation to {stored.truncation['max_length']} tokens; "
            "here the full text is shown."
        )
    if verified and _pipeline(tokenizer) != _pipeline(stored):
        notes.append(
            f"transformers builds another pipeline than tokenizer.json stores: {cls} "
            "replaces "
            + ", ".join(
                f"{name} {old} by {new}"
                for (name, new), (_, old) in zip(
                    _pipeline(tokenizer), _pipeline(stored), strict=True
                )
                if new != old
            )
            + "."
        )
    return TokenizerInfo(
        ref=resolved.ref,
        path=str(resolved.folder),
        verified=verified,
        cls=cls,
        backend="tokenizers",
        model=_component(tokenizer.model),
        vocab_size=tokenizer.get_vocab_size(),
        added_tokens=len(tokenizer.get_added_tokens_decoder()),
        pipeline=_pipeline(tokenizer),
        model_max_length=int(limit)
        if isinstance(limit, int | float) and 0 < limit < NO_LIMIT
        else None,
        padding_side=auto.padding_side if auto else str(config.get("padding_side", "right")),
        truncation_side=auto.truncation_side
        if auto
        else str(config.get("truncation_side", "right")),
        special_tokens=specials,
        unk_id=_unk_id(tokenizer),
        stored_truncation=stored.truncation["max_length"] if stored.truncation else None,
        stored_padding=(
            f"to {padding['length'] or 'the longest'} on the {padding['direction']} "
            f"with {padding['pad_token']}"
            if padding
            else None
        ),
        chat_templates=_chat_templates(resolved, config, auto),
        notes=tuple(notes),
    )


def _chat_templates(
    resolved: ResolvedRef, config: dict[str, object], auto: PreTrainedTokenizerBase | None
) -> tuple[str, ...]:
    template: object = auto.chat_template if auto else config.get("chat_template")
    if isinstance(template, dict):
        return tuple(str(name) for name in cast("dict[str, str]", template))
    if isinstance(template, list):
        return tuple(str(item.get("name")) for item in cast("list[dict[str, str]]", template))
    if template is None and resolved.folder and (resolved.folder / "chat_template.jinja").exists():
        return ("default",)
    return ("default",) if template else ()


def _describe_python(resolved: ResolvedRef, auto: PreTrainedTokenizerBase) -> TokenizerInfo:
    cls = type(auto).__name__
    specials: list[SpecialToken] = []
    for role in ROLES:
        token: str | None = getattr(auto, f"{role}_token")
        if token:
            specials.append(
                SpecialToken(f"{role}_token", token, cast("int", auto.convert_tokens_to_ids(token)))
            )
    unk = next((special.id for special in specials if special.role == "unk_token"), None)
    limit = auto.model_max_length
    return TokenizerInfo(
        ref=resolved.ref,
        path=str(resolved.folder),
        verified=True,
        cls=cls,
        backend=str(auto.backend),
        model=cls,
        vocab_size=len(auto),
        added_tokens=len(auto.added_tokens_decoder),
        pipeline=(("class", f"{type(auto).__module__}.{cls}"),),
        model_max_length=int(limit) if 0 < limit < NO_LIMIT else None,
        padding_side=auto.padding_side,
        truncation_side=auto.truncation_side,
        special_tokens=tuple(specials),
        unk_id=unk,
        chat_templates=_chat_templates(resolved, {}, auto),
        notes=("A Python-backend tokenizer reports neither offsets nor word ids.",),
    )
