"""What a recipe's data looks like, how many steps it is, what it costs, and a probe of it."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from training_fixtures import CHAT_TEMPLATE, recipe_for, rows_of, write_rows

from hfterm.models import memory_report
from hfterm.models.memory_types import DeviceRoom, MemoryPlan
from hfterm.training.base_model import with_method
from hfterm.training.building import build
from hfterm.training.preview import cost, histogram, preview, steps_of
from hfterm.training.preview_types import Preview
from hfterm.training.probe import probe
from hfterm.training.recipe import AUTO_CLASSES, Recipe

CLASSIFY = "text-classification"
Zoo = dict[str, Path]


@pytest.fixture
def chatting(model_zoo: Zoo, tmp_path: Path) -> Path:
    folder = tmp_path / "chatting"
    shutil.copytree(model_zoo["llama"], folder)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder


def look(task: str, model: Path, tmp_path: Path, count: int = 24, **changes: Any) -> Preview:
    rows = write_rows(tmp_path / f"{task}.jsonl", rows_of(task, count))
    return preview(recipe_for(task, model, rows, **changes))


def learnt_text(row: Any) -> str:
    """What the loss looks at."""
    return "".join(token for token, asked in zip(row.tokens, row.learnt, strict=True) if asked)


def test_labels_lengths_and_cuts(model_zoo: Zoo, tmp_path: Path) -> None:
    found = look(CLASSIFY, model_zoo["bert"], tmp_path, 100,
                 data={"train": "train[:80]", "eval": "train[80:]", "max_length": 8})  # fmt: skip
    assert (found.train_rows, found.eval_rows) == (80, 20)
    assert [name for name, _ in found.columns] == ["text", "label"]
    assert [label.name for label in found.labels] == ["LABEL_0", "LABEL_1"]
    assert sum(label.train for label in found.labels) == 80
    assert sum(label.held for label in found.labels) == 20
    assert found.measured == 80
    assert sum(rows for _, rows in found.lengths) == 80
    assert found.lengths[-1][0] >= found.longest > 8
    assert 0 < found.cut <= 80
    assert any("are cut" in text for text in found.warnings)
    assert len(found.rows) == 10
    for number, row in enumerate(found.rows):
        assert row.label == f"LABEL_{number * number % 3}"
        assert len(row.tokens) <= 8
        assert row.learnt == ()
    assert max(row.cut for row in found.rows) > 0
    assert sum(row.cut > 0 for row in found.rows) <= found.cut
    assert found.steps == 6


def test_a_histogram_counts_all() -> None:
    for lengths in ([1], [1, 1, 1], list(range(1, 200)), [5] * 9 + [4000]):
        bars = histogram(lengths)
        assert sum(rows for _, rows in bars) == len(lengths)
        assert bars[-1][0] >= max(lengths)
        assert 1 <= len(bars) <= 12


def test_masks_of_each_task(model_zoo: Zoo, tmp_path: Path, chatting: Path) -> None:
    tags = look("token-classification", model_zoo["bert"], tmp_path)
    for number, row in enumerate(tags.rows):
        count = 3 + number % 5
        assert sum(row.learnt) == count
        assert row.label == " ".join(f"LABEL_{(number + i) % 3}" for i in range(count))
        assert not row.learnt[0]
        assert not any(
            asked for token, asked in zip(row.tokens, row.learnt, strict=True)
            if token.startswith("##")
        )  # fmt: skip
    answers = look("question-answering", model_zoo["bert"], tmp_path)
    assert any(row.label == "not in this window" for row in answers.rows)
    told = [row for row in answers.rows if "tokens" in row.label]
    assert told
    for row in told:
        text = row.label.partition(" (")[0].replace(" ", "")
        assert learnt_text(row).replace("##", "") == text.replace("##", "")
    causal = look("causal-lm", model_zoo["gpt2"], tmp_path)
    assert all(row.learnt == (False, *[True] * (len(row.tokens) - 1)) for row in causal.rows)
    masked = look("masked-lm", model_zoo["bert-mlm"], tmp_path)
    assert masked.rows[0].label.startswith("15 %")
    seq2seq = look("seq2seq", model_zoo["t5"], tmp_path)
    assert seq2seq.rows[0].learnt == ()
    assert seq2seq.rows[0].label
    assert look("chat-sft", chatting, tmp_path).rows


def chat(folder: object, tmp_path: Path, conversation: list[tuple[str, str]]) -> tuple[str, str]:
    """The text whose tokens the loss looks at, and the whole."""
    messages = [{"role": role, "content": content} for role, content in conversation]
    rows = write_rows(tmp_path / "one.jsonl", [{"messages": messages}] * 2)
    recipe = recipe_for("chat-sft", folder, rows, data={
        "train": "train", "eval": "", "max_length": 512}, training={"eval_every": 0})  # fmt: skip
    found = preview(recipe).rows[0]
    return learnt_text(found), "".join(found.tokens)


TALK = [("system", "Be brief."), ("user", "Hi."), ("assistant", "Hello, you!"),
        ("user", "And now?"), ("assistant", "Nothing  more.\n\nBye. ")]  # fmt: skip


def test_a_chat_learns_what_the_assistant_says(starter_kit: Path, tmp_path: Path) -> None:
    """Its words and the token that ends its turn, and nothing else."""
    learnt, whole = chat("smollm2", tmp_path, TALK)
    assert learnt.replace("Ġ", " ").replace("Ċ", "\n") == (
        "Hello, you!<|im_end|>Nothing  more.\n\nBye. <|im_end|>"
    )
    assert "assistant" in whole
    learnt, _ = chat("smollm2", tmp_path, [("user", "assistant"), ("assistant", "user")])
    assert learnt == "user<|im_end|>"
    first = [("assistant", "Hi!"), *TALK[1:3]]
    assert chat("smollm2", tmp_path, first)[0] == "Hello,Ġyou!<|im_end|>"


TEMPLATES = {
    "reasoning dropped": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
        "{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        "Hello,Ġyou!<|im_end|><think>ĊĊ</think>ĊĊNothing",
    ),
    "a prompt that opens reasoning": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}",
        "Hello,Ġyou!<|im_end|>Nothing",
    ),
    "no special tokens": (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}",
        "ĠHello,Ġyou!ĠNothing",
    ),
    "trimmed": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        "Hello,Ġyou!<|im_end|>Nothing",
    ),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_other_templates(name: str, starter_kit: Path, tmp_path: Path) -> None:
    template, says = TEMPLATES[name]
    folder = tmp_path / "model"
    folder.mkdir()
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (folder / file).symlink_to(starter_kit / "smollm2" / file)
    (folder / "chat_template.jinja").write_text(template)
    learnt, _ = chat(folder, tmp_path, TALK)
    assert says.replace("ĊĊ", "") in learnt.replace("ĊĊ", "").replace("Ċ", "")
    for foreign in ("And", "Be", "user", "assistant", "im_start"):
        assert foreign not in learnt


def test_windows_and_rows_without_a_lesson_count(model_zoo: Zoo, tmp_path: Path) -> None:
    """The steps are those of what is learnt from, not of the rows."""
    rows = write_rows(tmp_path / "qa.jsonl", rows_of("question-answering"))
    told = {"max_steps": None, "epochs": 1, "eval_every": 0}
    recipe = recipe_for("question-answering", model_zoo["bert"], rows, training=told,
                        data={"max_length": 24, "stride": 4})  # fmt: skip
    assert preview(recipe).steps == -(-len(build(recipe).train) // 4) > 4
    texts = [{"text": "" if row % 2 else "some words here"} for row in range(24)]
    blank = write_rows(tmp_path / "blank.jsonl", texts)
    recipe = recipe_for("causal-lm", model_zoo["gpt2"], blank, training=told)
    assert preview(recipe).steps == 2 == -(-len(build(recipe).train) // 4)
    assert len(preview(recipe).rows) == 8


def test_steps_are_trainer_s_own(tmp_path: Path) -> None:
    """By Trainer's own arithmetic, over the batches that accelerate deals to a process."""
    from accelerate.data_loader import prepare_data_loader
    from torch.utils.data import DataLoader
    from transformers import Trainer, TrainingArguments

    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    for rows, batch, accumulate, epochs, processes, most in product(
        (1, 7, 16, 33), (1, 4, 8), (1, 3), (0.3, 1, 2.5), (1, 2, 3), (0, 5)
    ):
        args.gradient_accumulation_steps = accumulate
        args.num_train_epochs = epochs
        args.max_steps = most or -1
        loader = prepare_data_loader(
            DataLoader([0] * rows, batch_size=batch),  # pyright: ignore
            num_processes=processes, process_index=0,
        )  # fmt: skip
        steps = Trainer.set_initial_training_values(_Sized(), args, loader)[6]  # pyright: ignore
        told = {"batch_size": batch, "accumulate": accumulate, "epochs": epochs,
                "processes": processes, "max_steps": most}  # fmt: skip
        assert steps_of(recipe_for("causal-lm", "x", "y", training=told), rows) == steps, told


class _Sized:
    """As much of a Trainer as counting steps needs."""

    def get_total_train_batch_size(self, args: Any) -> int:
        return int(args.per_device_train_batch_size)

    def get_sp_size(self) -> int:
        return 1

    def num_examples(self, dataloader: Any) -> int:
        return len(dataloader.dataset)


LORA: dict[str, object] = {"name": "lora", "r": 4}
COSTS: dict[str, tuple[str, str, dict[str, object]]] = {
    "full": (CLASSIFY, "bert", {"name": "full"}),
    "default": (CLASSIFY, "bert", LORA),
    "all linear": (CLASSIFY, "bert", LORA | {"target_modules": "all-linear"}),
    "rank": (CLASSIFY, "roberta", LORA | {"r": 16, "target_modules": ["query", "dense"]}),
    "bias of all": (CLASSIFY, "bert", LORA | {"bias": "all"}),
    "bias of the adapted": (CLASSIFY, "bert", LORA | {"bias": "lora_only"}),
    "DoRA": (CLASSIFY, "distilbert", LORA | {"dora": True}),
    "rsLoRA": ("causal-lm", "llama", LORA | {"rslora": True, "target_modules": "all-linear"}),
    "Conv1D": ("causal-lm", "gpt2", LORA),
    "tagging": ("token-classification", "bert", LORA),
    "answers": ("question-answering", "bert", LORA),
    "masks": ("masked-lm", "bert-mlm", LORA),
    "both sides": ("seq2seq", "t5", LORA | {"target_modules": ["q", "v", "wo"]}),
    "a path": (CLASSIFY, "bert", LORA | {"target_modules": ["attention.self.query"]}),
    "4 bits": ("causal-lm", "llama", LORA | {"name": "qlora", "target_modules": "all-linear"}),
    "8 bits": (CLASSIFY, "bert", LORA | {"name": "qlora", "quant": "int8"}),
}


def counted(recipe: Recipe, names: tuple[str, ...], folder: Path) -> tuple[int, int]:
    """Trainable and all parameters of the real model, by peft's own count."""
    import transformers

    told = {"num_labels": len(names)} if names else {}
    auto = getattr(transformers, AUTO_CLASSES[recipe.task])
    model = auto.from_pretrained(folder, ignore_mismatched_sizes=True, **told)
    if recipe.method.name == "full":
        return (sum(p.numel() for p in model.parameters()),) * 2
    from msgspec.structs import replace

    plain = replace(recipe, method=replace(recipe.method, name="lora"))
    trainable, parameters = with_method(plain, model).get_nb_trainable_parameters()  # pyright: ignore
    return int(trainable), int(parameters)


@pytest.mark.parametrize("name", COSTS)
def test_the_cost_is_peft_s_count(name: str, model_zoo: Zoo, tmp_path: Path) -> None:
    task, member, method = COSTS[name]
    names = ("a", "b", "c") if "classification" in task else ()
    recipe = recipe_for(task, model_zoo[member], "reviews", method=method)
    found = cost(recipe, len(names))
    assert (found.trainable, found.parameters) == counted(recipe, names, model_zoo[member])
    if method["name"] == "full":
        assert found.targets == ()
        assert found.trainable == found.parameters
    else:
        assert found.targets
        assert found.trainable < found.parameters
    if method["name"] != "qlora":
        assert found.plan is not None


def test_the_cost_of_a_real_model(starter_kit: Path) -> None:
    recipe = recipe_for(CLASSIFY, "minilm", "reviews", method=LORA | {"r": 8})
    found = cost(recipe, 2)
    assert found.trainable == 6 * 2 * 8 * (384 + 384) + 384 * 2 + 2
    assert found.targets == ("query", "value")
    assert found.plan is not None


def test_one_plan_is_estimated_and_the_others_where_it_does_not_fit(
    starter_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then one of them may, and is named."""
    recipe = recipe_for(CLASSIFY, "minilm", "reviews", method={"name": "full"})
    asked: list[object] = []
    real = memory_report.estimate

    def watched(*told: Any, **more: Any) -> list[MemoryPlan]:
        asked.append(more.get("only"))
        return real(*told, **more)

    monkeypatch.setattr(memory_report, "estimate", watched)
    roomy = DeviceRoom("main memory", 10**12, 10**12)
    monkeypatch.setattr(memory_report, "devices", lambda: [roomy])
    found = cost(recipe, 2).plan
    assert found is not None
    assert asked == [("full fine-tune", "float32")]
    assert [verdict.fit for verdict in found.verdicts] == ["fits"]
    small = DeviceRoom("GPU 0", 10**12, found.plan.total - 1)
    monkeypatch.setattr(memory_report, "devices", lambda: [roomy, small])
    again = cost(recipe, 2).plan
    assert again is not None
    assert asked[1:] == [asked[0], None]
    assert again.plan == found.plan
    fits, does_not = again.verdicts
    assert (fits.fit, does_not.fit) == ("fits", "does not fit")
    assert " takes " in does_not.why, "another way that fits"


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_a_probe_takes_real_steps(method: str, model_zoo: Zoo, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", rows_of(CLASSIFY, 40))
    told = {"max_steps": None, "epochs": 4, "load_best": True, "early_stopping": 2,
            "eval_every": 0, "save_every": 0}  # fmt: skip
    recipe = recipe_for(CLASSIFY, model_zoo["bert"], rows, training=told, method=LORA | {
        "name": method}, data={"train": "train[:32]", "eval": "train[32:]"})  # fmt: skip
    found = probe(recipe)
    assert len(found.losses) == 3
    assert all(0 < loss < 20 for loss in found.losses)
    assert found.step_seconds > 0
    assert found.eval_seconds > 0
    steps = preview(recipe).steps
    assert steps == 32
    wanted = steps * found.step_seconds + 4 * found.eval_seconds
    assert found.total_seconds == pytest.approx(wanted)
    assert 100e6 < found.peak_memory < 8e9
