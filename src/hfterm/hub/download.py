"""Fetch from the hub, and say in words what went wrong when it can't be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfterm.errors import HftermError
from hfterm.hub.refs import suggestion
from hfterm.job import Job

if TYPE_CHECKING:
    from pathlib import Path

    from huggingface_hub.errors import HfHubHTTPError

TOKENIZER_PATTERNS = [
    "tokenizer*", "vocab*", "merges.txt", "*.model", "tekken.json", "config.json",
    "added_tokens.json", "special_tokens_map.json", "chat_template*", "additional_chat_templates/*",
]  # fmt: skip


def download_tokenizer(ref: str, job: Job) -> Path:
    """Bring the tokenizer's files of a hub id into the cache; a few megabytes at most.

    Raises:
        HftermError: missing, gated, forbidden, offline, too many requests, or not a hub at all.
    """
    from pathlib import Path

    from huggingface_hub import snapshot_download

    job.progress(f"asking the hub for {ref}")
    try:
        folder = snapshot_download(ref, allow_patterns=TOKENIZER_PATTERNS, max_workers=2)
    except Exception as error:
        # huggingface_hub, httpx and requests each raise their own families here
        raise explain(ref, error) from error
    job.check()
    path = Path(folder)
    if not path.is_dir() or not any(path.iterdir()):
        raise HftermError(
            "no-tokenizer",
            f"The hub's {ref} has no tokenizer files.",
            "Choose a model that has a tokenizer.json, a vocab or a *.model file.",
        )
    return path


def _answer(error: BaseException) -> HfHubHTTPError | None:
    """The hub's refusal behind an error, if it is one."""
    from huggingface_hub.errors import HfHubHTTPError

    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, HfHubHTTPError):
        seen = seen.__cause__ or seen.__context__
    return seen


def _retry_after(error: BaseException) -> str:
    answer = _answer(error)
    told = answer.response.headers.get("Retry-After", "") if answer is not None else ""
    if not told.isdecimal() or len(told) > 9:
        return ""
    return f"{int(told):,} second{'' if int(told) == 1 else 's'}"


def explain(ref: str, error: Exception) -> HftermError:
    """A hub error as one sentence of cause and one of remedy."""
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    hint = suggestion(ref)
    answer = _answer(error)
    status = answer.response.status_code if answer is not None else None
    if isinstance(error, OfflineModeIsEnabled) or "offline" in str(error).lower():
        return HftermError(
            "offline",
            f"{ref} is not in the cache and the hub is switched off (HF_HUB_OFFLINE).",
            hint or "Unset HF_HUB_OFFLINE, or name a folder or a starter (minilm, smollm2).",
        )
    if isinstance(error, GatedRepoError):
        return HftermError(
            "gated",
            f"{ref} is gated: its owner must grant you access.",
            "Ask for access on its hub page, then run: hf auth login",
        )
    if status == 403:
        return HftermError(
            "forbidden",
            f"The hub forbids {ref} (403): this account or this network may not have it.",
            "Check that your token may read it (hf auth whoami), and any proxy in between.",
        )
    if status == 401:
        return HftermError(
            "unauthorized",
            f"The hub refused {ref} (401): it is private or gated, or it does not exist.",
            hint or "Check the name; for a private or gated model run: hf auth login",
        )
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return HftermError(
            "not-found", f"The hub has no model named {ref} (404).", hint or "Check the spelling."
        )
    if status == 429:
        wait = _retry_after(error)
        return HftermError(
            "rate-limited",
            f"The hub asks to slow down (429) while fetching {ref}.",
            f"Try again in {wait or 'a minute'}; hf auth login raises the limit.",
        )
    if status is not None:
        return HftermError("hub-error", f"The hub answered {status} for {ref}.", "Try again later.")
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:160].rstrip(".")
    if isinstance(error, ValueError):  # JSON that is none: a proxy's login page, for instance
        return HftermError(
            "hub-garbage",
            f"What answered for {ref} is not the hub: {first}.",
            "Check HF_ENDPOINT and any proxy or login page in between.",
        )
    return HftermError(
        "unreachable",
        f"{ref} is not on this machine and the hub can't be reached ({first}).",
        hint or "Go online, or name a folder or a starter (minilm, smollm2).",
    )
