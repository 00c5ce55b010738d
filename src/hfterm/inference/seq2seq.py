"""Encoder, then decoder, by hand: the tutorial's exercise 5.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.inference.generating import step_of
from hfterm.inference.inputs import check_finite, prepare, token_names
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import EncodedToken, Long, Seq2Seq, Step
from hfterm.job import Job

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig


def forced_tokens(config: GenerationConfig | None) -> tuple[int | None, int | None]:
    """The first and the last token that a generation config forces."""
    found: list[int | None] = []
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        value: int | Sequence[int] | None = getattr(config, name, None)
        found.append(value if isinstance(value, int) else min(value) if value else None)
    return found[0], found[1]


def start_token(opened: OpenModel) -> tuple[int, bool]:
    """The token that the decoder starts with, and whether `generate` has to be told it.

    Raises:
        HftermError: neither the model nor the tokenizer says one.
    """
    model = opened.model
    # an attribute of the config that some architectures lack: T5's has it from a checkpoint only
    start: int | None = getattr(model.config, "decoder_start_token_id", None)
    own: int | None = getattr(model.generation_config, "decoder_start_token_id", None)
    if start is None:
        start = cast("int | None", opened.text.pad_token_id) if own is None else own
    if not isinstance(start, int):
        raise HftermError(
            "no-start",
            "The config does not say which token the decoder starts with.",
            "Set decoder_start_token_id.",
        )
    return start, own is None


def decode_by_hand(
    opened: OpenModel, text: str, *, new_tokens: int = 20, long: Long = "ask",
    job: Job | None = None,
) -> Seq2Seq:  # fmt: skip
    """Run the encoder once, and the decoder a token at a time over its states, greedily.

    Raises:
        HftermError: the model has no encoder and decoder, or the text does not fit.
    """
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    job = job or Job()
    model = opened.model
    if not model.config.is_encoder_decoder:
        raise HftermError(
            "no-encoder-decoder",
            f"{opened.info.cls} has no encoder and decoder.",
            "Choose an encoder–decoder, T5 or BART say, as AutoModelForSeq2SeqLM.",
        )
    prepared = prepare(opened, text, long="truncate" if long == "window" else long)
    ids, mask = prepared.inputs["input_ids"], prepared.inputs.get("attention_mask")
    start, untold = start_token(opened)
    told = {"decoder_start_token_id": start} if untold else {}
    ends = model.generation_config.eos_token_id if model.generation_config else None
    stops = {ends} if isinstance(ends, int) else set(ends or ())
    # what generate() puts at the first and the last place whatever the logits say, as BART's does
    forced = forced_tokens(model.generation_config)
    asked = min(new_tokens, opened.info.limit) if opened.info.limit else new_tokens
    steps: list[Step] = []
    decoded = torch.tensor([[start]], device=model.device)
    ended = "length"
    with memory_errors("this text"), torch.no_grad():
        states: Tensor = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        check_finite(opened, states)
        for index in range(asked):
            job.progress("decoding", index, asked, "tokens")
            logits: Tensor = model(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),  # pyright: ignore[reportArgumentType]
                attention_mask=mask,
                decoder_input_ids=decoded,
            ).logits[0, -1]
            check_finite(opened, logits)
            token = int(logits.argmax())
            if index == 0 and forced[0] is not None:
                token = forced[0]
            if index == asked - 1 and forced[1] is not None:
                token = forced[1]
            steps.append(step_of(opened, index, token, logits))
            decoded = torch.cat([decoded, torch.tensor([[token]], device=model.device)], dim=1)
            if token in stops:
                ended = "end token"
                break
        if ended == "length" and asked < new_tokens:
            ended = "context full"
        whole = cast(
            "Tensor",
            model.generate(  # pyright: ignore[reportCallIssue]
                input_ids=ids, attention_mask=mask, max_new_tokens=asked, do_sample=False,
                num_beams=1, **told,
            ),
        )  # fmt: skip
    new = decoded[0, 1:].tolist()
    names = token_names(opened, ids[0].tolist())
    norms = states[0].float().norm(dim=1).tolist()
    shape = cast("tuple[int, int, int]", tuple(states.shape))
    return Seq2Seq(
        shape=shape,
        encoder=tuple(
            EncodedToken(index, name, norm)
            for index, (name, norm) in enumerate(zip(names, norms, strict=True))
        ),
        start=token_names(opened, [start])[0],
        steps=tuple(steps),
        text=str(opened.text.decode(new, skip_special_tokens=True)),
        ended=ended,
        same_as_generate=whole[0, 1 : 1 + len(new)].tolist() == new,
        cut=prepared.cut,
    )
