"""The encoders of a training script, as `encoding` has them, and its collators; text only."""

from __future__ import annotations

from hfterm.training.code_data import ids_of
from hfterm.training.recipe import Recipe, Task, stride_of

COLLATORS: dict[Task, str] = {
    "text-classification": "DataCollatorWithPadding(tokenizer)",
    "token-classification": "DataCollatorForTokenClassification(tokenizer)",
    "question-answering": "DataCollatorWithPadding(tokenizer)",
    "masked-lm": "DataCollatorForLanguageModeling(tokenizer, mlm_probability={mask!r})",
    "causal-lm": "DataCollatorForLanguageModeling(tokenizer, mlm=False)",
    "chat-sft": "DataCollatorForSeq2Seq(tokenizer, model=model)",
    "seq2seq": "DataCollatorForSeq2Seq(tokenizer, model=model)",
}
LEARNT: dict[Task, str] = {
    "causal-lm": 'len(row["input_ids"]) > 1',
    "masked-lm": 'not all(row["special_tokens_mask"])',
    "chat-sft": 'any(label != -100 for label in row["labels"][1:])',
}
"""Which rows have something to learn from."""

ANSWER = '''
def answer_tokens(answer, offsets, sequences):
    """First and last token of an answer in a window; (0, 0) when it is not in it."""
    inside = [i for i, sequence in enumerate(sequences) if sequence == 1]
    if not answer["text"] or not inside:
        return 0, 0
    start = answer["answer_start"][0]
    end = start + len(answer["text"][0])
    if offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return 0, 0
    first = max(i for i in inside if offsets[i][0] <= start)
    return first, min(i for i in inside if offsets[i][1] >= end)


'''
CHAT = '''
special = {{id for id, token in tokenizer.added_tokens_decoder.items() if token.special}}


def render(messages, prompt=False):
    return tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=prompt
    )


def chat_tokens(messages):
    """Tokens of a conversation; labels of what the assistant says, and of what ends its turn."""
    text = render(messages)
    found = tokenizer(
        text,
        add_special_tokens=False,
        truncation=True,
        max_length={length},
        return_offsets_mapping=True,
    )
    ids = found["input_ids"]
    labels = [-100] * len(ids)
    for number, message in enumerate(messages):
        if message["role"] != "assistant" or not number:
            continue
        start = len(os.path.commonprefix([render(messages[:number], prompt=True), text]))
        after = render(messages[: number + 1])
        end = len(after.rstrip()) if text.startswith(after) else len(text)
        for place, (first, last) in enumerate(found["offset_mapping"]):
            if first >= start and last <= end:
                labels[place] = ids[place]
                if ids[place] in special:
                    break
    return ids, labels


def encode(batch):
    rows = {{"input_ids": [], "attention_mask": [], "labels": []}}
    for conversation in batch[{messages!r}]:
        messages = [{{"role": one["role"], "content": one["content"]}} for one in conversation]
        ids, labels = chat_tokens(messages)
        rows["input_ids"].append(ids)
        rows["attention_mask"].append([1] * len(ids))
        rows["labels"].append(labels)
    return rows


'''


def encode_lines(recipe: Recipe) -> str:
    """``encode``, and what it needs."""
    if recipe.task == "chat-sft":
        return CHAT.format(length=recipe.data.max_length, messages=recipe.column("messages"))
    made = {
        "text-classification": _classification,
        "token-classification": _tagging,
        "question-answering": _answering,
        "seq2seq": _seq2seq,
    }.get(recipe.task, _language)
    return made(recipe)


def map_lines(recipe: Recipe, name: str) -> str:
    """Rows → encoded rows, in the variable of that name."""
    lines = f"{name} = {name}.map(encode, batched=True, remove_columns={name}.column_names)\n"
    learnt = LEARNT.get(recipe.task)
    return lines + (f"{name} = {name}.filter(lambda row: {learnt})\n" if learnt else "")


def collator_of(recipe: Recipe) -> str:
    """The call that makes the batches."""
    return COLLATORS[recipe.task].format(mask=recipe.data.mask)


def _batch(recipe: Recipe, role: str) -> str:
    return f"batch[{recipe.column(role)!r}]"


def _classification(recipe: Recipe) -> str:
    pair = f", {_batch(recipe, 'text_pair')}" if "text_pair" in recipe.data.columns else ""
    return (
        "\ndef encode(batch):\n"
        "    found = tokenizer(\n"
        f"        {_batch(recipe, 'text')}{pair}, truncation=True, "
        f"max_length={recipe.data.max_length}\n"
        "    )\n"
        f'    found["labels"] = {ids_of(recipe, _batch(recipe, "label"))}\n'
        "    return found\n\n\n"
    )


def _tagging(recipe: Recipe) -> str:
    return (
        "\ndef encode(batch):\n"
        "    found = tokenizer(\n"
        f"        {_batch(recipe, 'tokens')},\n"
        "        is_split_into_words=True,\n"
        "        truncation=True,\n"
        f"        max_length={recipe.data.max_length},\n"
        "    )\n"
        '    found["labels"] = []\n'
        f"    for row, tags in enumerate({_batch(recipe, 'tags')}):\n"
        f"        kinds, own, before = {ids_of(recipe, 'tags')}, [], None\n"
        "        for word in found.word_ids(row):\n"
        "            # a word's later tokens are not asked for: the word was tagged once\n"
        "            own.append(-100 if word is None or word == before else kinds[word])\n"
        "            before = word\n"
        '        found["labels"].append(own)\n'
        "    return found\n\n\n"
    )


def _answering(recipe: Recipe) -> str:
    return (
        ANSWER + "def encode(batch):\n"
        "    found = tokenizer(\n"
        f"        {_batch(recipe, 'question')},\n"
        f"        {_batch(recipe, 'context')},\n"
        '        truncation="only_second",\n'
        f"        max_length={recipe.data.max_length},\n"
        f"        stride={stride_of(recipe)},\n"
        "        return_overflowing_tokens=True,\n"
        "        return_offsets_mapping=True,\n"
        "    )\n"
        '    samples = found.pop("overflow_to_sample_mapping")\n'
        '    offsets = found.pop("offset_mapping")\n'
        "    spans = [\n"
        f"        answer_tokens({_batch(recipe, 'answers')}[sample], offsets[window], "
        "found.sequence_ids(window))\n"
        "        for window, sample in enumerate(samples)\n"
        "    ]\n"
        '    found["start_positions"] = [start for start, end in spans]\n'
        '    found["end_positions"] = [end for start, end in spans]\n'
        "    return found\n\n\n"
    )


def _language(recipe: Recipe) -> str:
    marks = ", return_special_tokens_mask=True" if recipe.task == "masked-lm" else ""
    return (
        "\ndef encode(batch):\n"
        "    return tokenizer(\n"
        f"        {_batch(recipe, 'text')}, truncation=True, "
        f"max_length={recipe.data.max_length}{marks}\n"
        "    )\n\n\n"
    )


def _seq2seq(recipe: Recipe) -> str:
    return (
        "\ndef encode(batch):\n"
        "    return tokenizer(\n"
        f"        {_batch(recipe, 'source')},\n"
        f"        text_target={_batch(recipe, 'target')},\n"
        "        truncation=True,\n"
        f"        max_length={recipe.data.max_length},\n"
        "    )\n\n\n"
    )
