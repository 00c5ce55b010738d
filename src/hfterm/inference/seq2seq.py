"""Encoder, then decoder, by hand: the tutorial's exercise 5.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.inference.generating import step_of
from hfterm.inference.inputs import check_finite, prepare
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import EncodedToken, Long, Seq2Seq, Step
from hfterm.job import Job

if TYPE_CHECKING:
    from torch import Tensor


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
    start = model.config.decoder_start_token_id
    if start is None:
        start = opened.text.pad_token_id
    if not isinstance(start, int):
        raise HftermError(
            "no-start",
            "The config does not say which token the decoder starts with.",
            "Set decoder_start_token_id.",
        )
    ends = model.generation_config.eos_token_id if model.generation_config else None
    stops = {ends} if isinstance(ends, int) else set(ends or ())
    steps: list[Step] = []
    decoded = torch.tensor([[start]], device=model.device)
    ended = "length"
    with memory_errors("this text"), torch.no_grad():
        states: Tensor = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        check_finite(opened, states)
        for index in range(new_tokens):
            job.progress("decoding", index, new_tokens, "tokens")
            logits: Tensor = model(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),  # pyright: ignore[reportArgumentType]
                attention_mask=mask,
                decoder_input_ids=decoded,
            ).logits[0, -1]
            token = int(logits.argmax())
            steps.append(step_of(opened, index, token, logits))
            decoded = torch.cat([decoded, torch.tensor([[token]], device=model.device)], dim=1)
            if token in stops:
                ended = "end token"
                break
        whole = cast(
            "Tensor",
            model.generate(  # pyright: ignore[reportCallIssue]
                input_ids=ids, attention_mask=mask, max_new_tokens=new_tokens, do_sample=False,
                num_beams=1,
            ),
        )  # fmt: skip
    new = decoded[0, 1:].tolist()
    names = cast("list[str]", opened.text.convert_ids_to_tokens(ids[0].tolist()))
    norms = states[0].float().norm(dim=1).tolist()
    shape = cast("tuple[int, int, int]", tuple(states.shape))
    return Seq2Seq(
        shape=shape,
        encoder=tuple(
            EncodedToken(index, str(name), norm)
            for index, (name, norm) in enumerate(zip(names, norms, strict=True))
        ),
        start=str(opened.text.convert_ids_to_tokens(start)),
        steps=tuple(steps),
        text=str(opened.text.decode(new, skip_special_tokens=True)),
        ended=ended,
        same_as_generate=whole[0, 1 : 1 + len(new)].tolist() == new,
    )
