"""Runs of other programs: real files, files made by hand, and files that are none."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.training import curve_cache
from hfterm.training.curve_cache import load_cache, read_all, save_cache
from hfterm.training.curves import AXES, CurveSource
from hfterm.training.foreign import tensorboard, wandb_offline
from hfterm.training.foreign.detect import detect, detect_all, open_source, reader_of
from hfterm.training.foreign.llamafactory import LlamaFactoryLog, seconds
from hfterm.training.foreign.names import own_name
from hfterm.training.foreign.tensorboard import TensorBoardRun
from hfterm.training.foreign.tfrecord import checksum
from hfterm.training.foreign.trainer_state import TrainerRun
from hfterm.training.foreign.wandb_offline import WandbRun
from wandb_log import log

DATA = Path(__file__).parents[1] / "data" / "foreign"
EVENTS = "events.out.tfevents.1764096000.host.1.0"
RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KINDS = ("hfterm", "trainer", "tensorboard", "wandb", "llama-factory")


def number(value: int) -> bytes:
    """A varint."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def member(field: int, content: bytes) -> bytes:
    """A field of bytes."""
    return number(field << 3 | 2) + number(len(content)) + content


def framed(content: bytes) -> bytes:
    """A TFRecord."""
    length = struct.pack("<Q", len(content))
    ends = struct.pack("<I", checksum(length)), struct.pack("<I", checksum(content))
    return length + ends[0] + content + ends[1]


def value(tag: str, content: bytes, plugin: str = "") -> bytes:
    """A value of a summary."""
    meta = member(9, member(1, member(1, plugin.encode()))) if plugin else b""
    return member(1, member(1, tag.encode()) + content + meta)


def event(step: int, *values: bytes, time: float = 1764096000.0) -> bytes:
    """An event, framed."""
    told = b"\x10" + number(step) if step else b""
    return framed(b"\x09" + struct.pack("<d", time) + told + member(5, b"".join(values)))


def simple(tag: str, told: float) -> bytes:
    return value(tag, b"\x15" + struct.pack("<f", told))


def tensor(kind: int, content: bytes, shape: tuple[int, ...] = ()) -> bytes:
    dims = member(2, b"".join(member(2, b"\x08" + number(size)) for size in shape))
    return member(8, b"\x08" + number(kind) + dims + content)


def loss(step: int, told: float, time: float = 1764096000.0) -> bytes:
    return event(step, simple("train/loss", told), time=time)


def history(**items: str) -> bytes:
    """A record of history, its values as JSON."""
    return member(
        2,
        b"".join(
            member(1, member(2, key.replace("__", "/").encode()) + member(16, text.encode()))
            for key, text in items.items()
        ),
    )


def everything(source: CurveSource) -> list[object]:
    """What was read, to be compared."""
    curves = source.curves
    told: list[object] = [list(curves.names), len(curves), curves.skipped]
    told += [curves.column(axis).tolist() for axis in AXES]
    for name in curves.names:
        series = curves.series(name)
        told += [series.rows.tolist(), series.values.tolist(), series.stale.tolist()]
    return told


def read(source: CurveSource) -> CurveSource:
    source.read()
    return source


# -- TensorBoard -----------------------------------------------------------------------------


def test_events_of_torchs_writer(tmp_path: Path) -> None:
    shutil.copy(DATA / "torch.tfevents", tmp_path / EVENTS)
    run = TensorBoardRun(tmp_path)
    assert run.read() and not run.read()
    curves = run.curves
    assert curves.names == ("loss", "grad_norm", "eval_loss")
    found = curves.series("loss")
    assert found.step.tolist() == [step * 10 for step in range(20)]
    np.testing.assert_allclose(found.values, [1 / (step + 1) for step in range(20)], rtol=1e-6)
    assert math.isnan(curves.series("grad_norm").values[7])
    assert curves.series("eval_loss").step.tolist() == [90, 190]
    assert curves.column("time").tolist() == list(range(20))
    np.testing.assert_allclose(curves.column("epoch"), np.arange(20) / 10, rtol=1e-6)
    assert (curves.skipped, run.behind, run.status_text) == (0, 0, "")


def test_scalars_that_are_tensors(tmp_path: Path) -> None:
    shutil.copy(DATA / "torch-tensors.tfevents", tmp_path / EVENTS)
    curves = read(TensorBoardRun(tmp_path / EVENTS)).curves
    np.testing.assert_allclose(
        curves.series("loss").values, [1 / (step + 1) for step in range(20)], rtol=1e-6
    )
    assert curves.series("d").values.tolist() == [1 / (step + 3) for step in range(20)]


@pytest.mark.parametrize("many", [1, 9])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (tensor(1, member(5, struct.pack("<f", 0.5))), 0.5),
        (tensor(1, member(4, struct.pack("<f", 0.5))), 0.5),
        (tensor(1, b"\x2d" + struct.pack("<f", 0.5)), 0.5),
        (tensor(2, member(6, struct.pack("<d", 0.1))), 0.1),
        (tensor(2, member(4, struct.pack("<d", 0.1)), (1, 1)), 0.1),
        (tensor(3, member(7, number(-3))), -3),
        (tensor(3, member(4, struct.pack("<i", -3))), -3),
        (tensor(9, member(10, number(1 << 40))), 1 << 40),
        (tensor(14, member(4, b"\x80\x3f")), 1.0),
        (tensor(14, member(13, number(0x3F80))), 1.0),
        (tensor(19, member(13, number(0x3C00))), 1.0),
        (tensor(19, member(4, struct.pack("<e", 1.5))), 1.5),
        (tensor(23, member(17, number((1 << 64) - 1))), float((1 << 64) - 1)),
        (tensor(1, member(4, struct.pack("<ff", 1, 2)), (2,)), None),
        (tensor(1, member(5, struct.pack("<f", 1)), (7,)), None),
        (tensor(7, member(8, b"text")), None),
        (member(5, b"histogram"), None),
    ],
)
def test_each_kind_of_scalar(content: bytes, told: float | None, many: int, tmp_path: Path) -> None:
    file = tmp_path / EVENTS
    file.write_bytes(b"".join(event(step, value("x", content)) for step in range(1, many + 1)))
    curves = read(TensorBoardRun(file)).curves
    assert curves.series("x").values.tolist() == ([] if told is None else [told] * many)
    assert curves.skipped == 0


def test_values_of_other_plugins_are_no_scalars(tmp_path: Path) -> None:
    file = tmp_path / EVENTS
    content = tensor(1, member(5, struct.pack("<f", 0.5)))
    file.write_bytes(
        event(1, value("a", content, "scalars"), value("b", content, "hparams"), simple("c", 2))
    )
    assert read(TensorBoardRun(file)).curves.names == ("a", "c")


EVENT = some.builds(
    lambda step, tags, told: (step, [(f"t{tag}", told) for tag in tags]),
    some.one_of(some.integers(0, 300), some.integers(-5, 1 << 40)),
    some.lists(some.integers(0, 3), max_size=2, unique=True),
    some.floats(width=32),
)


@RELAXED
@given(
    events=some.lists(EVENT, max_size=60),
    cut=some.floats(0, 1),
    chunk=some.sampled_from([100, 1000, 4 << 20]),
)
def test_events_are_what_was_written(
    events: list[tuple[int, list[tuple[str, float]]]],
    cut: float,
    chunk: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tensorboard, "CHUNK", chunk)
    content = b"".join(event(step, *(simple(*one) for one in told)) for step, told in events)
    file = tmp_path / EVENTS
    file.write_bytes(content[: int(cut * len(content))])
    run = TensorBoardRun(file)
    run.read()
    with file.open("ab") as opened:
        opened.write(content[int(cut * len(content)) :])
    while run.read(50):
        pass
    wanted: dict[str, list[tuple[int, float]]] = {}
    for step, told in events:
        for tag, found in told:
            wanted.setdefault(tag, []).append((step, found))
    assert set(run.curves.names) == set(wanted)
    for tag, points in wanted.items():
        series = run.curves.series(tag)
        np.testing.assert_equal(series.step.tolist(), [step for step, _ in points])
        np.testing.assert_equal(series.values.tolist(), [found for _, found in points])


def test_scalars_of_a_step_are_one_row_however_they_come(tmp_path: Path) -> None:
    file = tmp_path / EVENTS
    file.write_bytes(loss(0, 1) + event(0, simple("train/epoch", 0.25)) + loss(10, 0.5))
    run = TensorBoardRun(file)
    run.read()
    with file.open("ab") as opened:
        opened.write(event(10, simple("train/epoch", 0.5)) + event(10, simple("eval/loss", 3)))
    run.read()
    assert len(run.curves) == 2
    assert run.curves.column("epoch").tolist() == [0.25, 0.5]
    assert run.curves.series("eval_loss").rows.tolist() == [1]


def test_a_file_that_begins_before_the_older_one_ended_is_a_resumed_run(tmp_path: Path) -> None:
    (tmp_path / EVENTS).write_bytes(b"".join(loss(step, 1) for step in (10, 20, 30, 40)))
    run = TensorBoardRun(tmp_path)
    run.read()
    (tmp_path / f"{EVENTS}.1").write_bytes(loss(30, 2) + loss(40, 2))
    (tmp_path / f"{EVENTS}.2").write_bytes(event(40, simple("eval/loss", 3)))
    run.read()
    assert run.curves.series("loss").stale.tolist() == [False, False, True, True, False, False]
    assert len(run.curves.resumes) == 1


def test_a_damaged_event_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / EVENTS
    good = b"".join(loss(step, 1) for step in range(5))
    for bad in (b"\xff" * 8, b"\x05" + b"\0" * 7):  # a length with another's checksum
        file.write_bytes(good + bad + loss(6, 1)[8:])
        run = TensorBoardRun(file)
        run.read()
        assert len(run.curves) == 5 and "damaged" in run.status_text
        assert not run.read() and run.behind == 0
    file.write_bytes(b"this is no event file, whatever its name says")
    with pytest.raises(HftermError) as told:
        TensorBoardRun(file).read()
    assert told.value.kind == "damaged"


def test_a_big_record_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "CHUNK", 100)
    monkeypatch.setattr(tensorboard, "BIGGEST", 1000)
    file = tmp_path / EVENTS
    image = event(1, value("i", member(4, bytes(5000))))
    graph = event(1, value("i", member(4, bytes(500))))
    content = loss(1, 1) + image + graph + loss(2, 2)
    file.write_bytes(content[:3000])
    run = TensorBoardRun(file)
    run.read()
    assert len(run.curves) == 1
    file.write_bytes(content)
    run.read()
    assert run.curves.series("loss").values.tolist() == [1, 2]


def test_event_files_that_were_replaced_are_read_anew(tmp_path: Path) -> None:
    file = tmp_path / EVENTS
    file.write_bytes(loss(1, 1) + loss(2, 1))
    run = TensorBoardRun(tmp_path)
    run.read()
    file.write_bytes(loss(5, 3))
    assert run.read()
    assert run.curves.series("loss").step.tolist() == [5]
    file.unlink()
    assert run.read() and len(run.curves) == 0


# -- wandb -----------------------------------------------------------------------------------


def test_a_run_of_wandbs(tmp_path: Path) -> None:
    file = tmp_path / "run.wandb"
    content = (DATA / "run.wandb").read_bytes()
    file.write_bytes(content[: len(content) // 2])
    run = WandbRun(file)
    assert run.read() and run.finished is None
    file.write_bytes(content)
    assert run.read() and not run.read()
    curves = run.curves
    assert set(curves.names) == {"loss", "grad_norm", "eval_loss", "nested.a.b"}
    assert curves.series("loss").step.tolist() == [step * 10 for step in range(20)]
    np.testing.assert_allclose(curves.series("loss").values, [1 / (s + 1) for s in range(20)])
    assert math.isnan(curves.series("grad_norm").values[7])
    assert curves.series("eval_loss").step.tolist() == [90, 190]
    assert curves.series("nested.a.b").values.tolist() == [9, 19]
    assert curves.column("epoch")[-1] == 1.9 and curves.column("time")[-1] > 0
    assert run.finished and run.behind == 0 and curves.skipped == 0


def test_records_that_span_blocks_and_values_of_every_kind(tmp_path: Path) -> None:
    typed = member(
        2,
        member(1, member(1, b"_step") + b"\x28" + number(14))
        + member(1, member(1, b"x") + b"\x31" + struct.pack("<d", 0.1))
        + member(1, member(2, b"a") + member(2, b"b") + b"\x28" + number(9))
        + member(2, b"\x08" + number(7)),
    )  # fmt: skip
    rows = [history(_step=str(step), loss=f"{step}.5", text='"no"') for step in range(5)]
    big = history(_step="5", picture='"' + "x" * 100_000 + '"', loss='"Infinity"')
    odd = history(_step="6", loss="true", step="3", _runtime="1")
    file = tmp_path / "run-1.wandb"
    file.write_bytes(log(*rows, big, b"\x08\x01", odd, typed))
    curves = read(WandbRun(file)).curves
    assert curves.series("loss").values.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, math.inf]
    assert curves.series("x").step.tolist() == [7]
    assert curves.series("a.b").values.tolist() == [-5]
    assert curves.series("logged/step").values.tolist() == [3]


@RELAXED
@given(
    sizes=some.lists(some.integers(0, 70_000), max_size=5),
    cuts=some.lists(some.floats(0, 1), max_size=3),
    chunk=some.sampled_from([32 << 10, 1 << 20]),
)
def test_a_log_read_in_pieces_is_the_log(
    sizes: list[int],
    cuts: list[float],
    chunk: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wandb_offline, "CHUNK", chunk)
    file = tmp_path / "run-1.wandb"
    content = log(
        *(
            history(_step=str(at), loss=str(at), t=f'"{"x" * size}"')
            for at, size in enumerate(sizes)
        )
    )
    file.unlink(missing_ok=True)
    run = WandbRun(file)
    for cut in [*sorted(cuts), 1.0]:
        file.write_bytes(content[: int(cut * len(content))])
        while run.read(10_000):
            pass
    assert run.curves.series("loss").values.tolist() == list(range(len(sizes)))
    assert run.status_text == ""


def test_a_damaged_log_is_told(tmp_path: Path) -> None:
    file = tmp_path / "run-1.wandb"
    content = bytearray(log(*(history(_step=str(step), loss="1") for step in range(5))))
    content[-5] ^= 1
    file.write_bytes(content)
    run = WandbRun(file)
    run.read()
    assert len(run.curves) == 4 and "damaged" in run.status_text and not run.read()
    file.write_bytes(b"PK")
    with pytest.raises(HftermError):
        WandbRun(file).read()


# -- LLaMA-Factory and Trainer ---------------------------------------------------------------


def llama(step: int, elapsed: str = "0:00:10", **more: float) -> str:
    told = {"current_steps": step, "total_steps": 40, "epoch": step / 20, "percentage": step * 2.5}
    return json.dumps(told | more | {"elapsed_time": elapsed, "remaining_time": "0:01:00"}) + "\n"


def test_a_log_of_llama_factory(tmp_path: Path) -> None:
    file = tmp_path / "trainer_log.jsonl"
    file.write_text(
        llama(10, loss=1.5, lr=1e-4, total_tokens=100)
        + llama(20, "1:00:10", loss=1.0, lr=5e-5)
        + llama(20, "1:00:20", eval_loss=1.25)
    )
    os.utime(file, (1764096000, 1764096000))
    run = LlamaFactoryLog(file)
    assert run.read() and run.total_steps == 40 and run.finished is None
    curves = run.curves
    assert curves.names == ("loss", "learning_rate", "eval_loss")
    assert curves.column("time").tolist() == [0, 3600, 3610]
    assert curves.axes["time"].view[-1] == 1764096000
    assert curves.column("tokens").tolist() == [100, 100, 100]
    with file.open("a") as opened:
        opened.write(llama(20, loss=0.9) + llama(40, loss=0.5) + "no line\n")
    assert run.read() and run.finished and curves.skipped == 1
    assert curves.series("loss").stale.tolist() == [False, True, False, False]


def test_lengths_of_time() -> None:
    assert seconds("0:00:10") == 10
    assert seconds("1 day, 2:03:04") == 93784
    assert seconds("12 days, 0:00:00") == 12 * 86400
    assert [seconds(text) for text in ("", "10", "-1:00:00", "1:2:3", None, 5)] == [None] * 6


def test_a_trainers_log(tmp_path: Path) -> None:
    first, second = tmp_path / "checkpoint-9", tmp_path / "checkpoint-20"
    first.mkdir()
    told = json.loads((DATA / "trainer_state.json").read_text())
    told["log_history"] = told["log_history"][:1]
    (first / "trainer_state.json").write_text(json.dumps(told))
    run = TrainerRun(tmp_path)
    assert run.read() and len(run.curves) == 1
    curves = run.curves
    before = curves.version
    second.mkdir()
    shutil.copy(DATA / "trainer_state.json", second)
    assert run.read() and not run.read()
    assert run.curves is curves and curves.version == before + 1  # added to, not read anew
    assert set(curves.names) == {"loss", "grad_norm", "learning_rate", "eval_loss"}
    assert curves.series("loss").step.tolist() == [10, 20]
    assert math.isnan(curves.series("grad_norm").values[0])
    assert (run.total_steps, run.finished, run.status_text) == (30, None, "saved at step 20")
    told |= {"log_history": [{"step": 1, "loss": 5}, "no row"], "global_step": 30}
    (tmp_path / "trainer_state.json").write_text(json.dumps(told))
    assert run.read() and run.finished and curves.series("loss").values.tolist() == [5]


def test_no_log_of_a_trainer(tmp_path: Path) -> None:
    assert not TrainerRun(tmp_path).read()
    file = tmp_path / "trainer_state.json"
    for content in ("", "[]", '{"log_history": 5}', "[" * 100_000):
        file.write_text(content)
        with pytest.raises(HftermError) as told:
            TrainerRun(file).read()
        assert told.value.kind == "damaged"


# -- which is which --------------------------------------------------------------------------


def put(path: Path, content: bytes | str = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_every_kind_is_found(tmp_path: Path) -> None:
    events = put(tmp_path / "t" / "runs" / "Nov25_host" / EVENTS)
    log_file = put(tmp_path / "w" / "offline-run-20261125-abc" / "run-abc.wandb")
    state = put(tmp_path / "h" / "checkpoint-10" / "trainer_state.json", '{"log_history": []}')
    renamed = put(tmp_path / "n" / "warm.tfevents")
    own = put(tmp_path / "o" / "metrics.jsonl")
    llama_log = put(tmp_path / "l" / "trainer_log.jsonl")
    found = {
        detect(path).kind
        for path in (events, events.parent, tmp_path / "t", tmp_path / "t" / "runs", renamed)
    }
    assert found == {"tensorboard"}
    assert {detect(path).path for path in (log_file, log_file.parent, tmp_path / "w")} == {log_file}
    assert {detect(p).kind for p in (state, state.parent, tmp_path / "h")} == {"trainer"}
    assert detect(own).kind == detect(own.parent).kind == "hfterm"
    assert detect(llama_log).kind == detect(llama_log.parent).kind == "llama-factory"
    assert detect(own.parent).name == "o"
    for path in (events, state, own, llama_log, log_file):
        assert open_source(detect(path)).read() in (True, False)


def test_of_a_trainers_folder_the_log_of_every_step_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "checkpoint-10" / "trainer_state.json", "{}")
    events = put(tmp_path / "runs" / "a" / EVENTS)
    assert detect(tmp_path).path == events.parent
    assert [source.kind for source in detect_all(tmp_path)] == ["tensorboard", "trainer"]
    put(tmp_path / "runs" / "b" / EVENTS)
    assert detect(tmp_path).kind == "trainer"
    put(tmp_path / "trainer_log.jsonl")
    assert detect(tmp_path).kind == "llama-factory"


def test_a_folder_of_several_runs(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path / name / EVENTS)
    assert [source.name for source in detect_all(tmp_path)] == ["a", "b", "c"]
    with pytest.raises(HftermError) as told:
        detect(tmp_path)
    assert told.value.kind == "several" and "a, b, c" in told.value.message


def test_what_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "other" / "notes.txt")
    (tmp_path / "empty").mkdir()
    cases = {"gone": "not-found", "empty": "empty", "other": "not-recognised"}
    cases["other/notes.txt"] = "not-recognised"
    cases["a\0b"] = "not-found"
    for name, kind in cases.items():
        with pytest.raises(HftermError) as told:
            detect(tmp_path / name)
        assert told.value.kind == kind and told.value.remedy

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(HftermError) as told:
        detect(tmp_path / "other")
    assert told.value.kind == "permission"


def test_names_overlay_with_ours() -> None:
    names = ["train/loss", "eval/loss", "test/f1", "train/time", "time", "gpu/0/power", "train/"]
    assert [own_name(name) for name in names] == [
        "loss", "eval_loss", "test_f1", "train/time", "logged/time", "gpu/0/power", "train/"
    ]  # fmt: skip


# -- all of them -----------------------------------------------------------------------------


def file_of(kind: str, folder: Path) -> Path:
    names = {"trainer": "trainer_state.json", "tensorboard": EVENTS, "wandb": "run.wandb"}
    return folder / names.get(kind, "log.jsonl")


def sample(kind: str) -> bytes:
    match kind:
        case "trainer":
            return (DATA / "trainer_state.json").read_bytes()
        case "tensorboard":
            return (DATA / "torch.tfevents").read_bytes()
        case "wandb":
            return (DATA / "run.wandb").read_bytes()
        case "llama-factory":
            return "".join(llama(step, loss=1.5) for step in range(5)).encode()
        case _:
            return b'{"step":1,"loss":0.5}\n{"step":2,"loss":0.5}\n'


@pytest.mark.parametrize("kind", KINDS)
@RELAXED
@given(
    content=some.binary(max_size=200),
    at=some.floats(0, 1),
    length=some.integers(0, 20),
    from_start=some.booleans(),
)
def test_any_bytes_are_curves_or_an_error_for_people(
    kind: str, content: bytes, at: float, length: int, from_start: bool, tmp_path: Path
) -> None:
    good = sample(kind)
    place = int(at * len(good))
    whole = content if from_start else good[:place] + content + good[place + length :]
    file = file_of(kind, tmp_path)
    file.write_bytes(whole)
    source = reader_of(kind, file)
    try:
        source.read()
        assert not source.read()
        for name in source.curves.names:
            source.curves.columns(name, "step", 0, 100, 10, 3)
    except HftermError as error:
        assert error.message and error.remedy


@RELAXED
@given(content=some.lists(some.binary(max_size=60), max_size=8))
def test_any_bytes_in_sound_frames(content: list[bytes], tmp_path: Path) -> None:
    put(tmp_path / EVENTS, b"".join(map(framed, content)))
    put(tmp_path / "run.wandb", log(*(member(2, part) for part in content), *content))
    for source in (TensorBoardRun(tmp_path / EVENTS), WandbRun(tmp_path / "run.wandb")):
        source.read()
        assert source.behind == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_gives_what_the_files_would(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_cache, "WORTH_IT", 10)
    file = file_of(kind, tmp_path)
    file.write_bytes(sample(kind))
    source, cache = reader_of(kind, file), tmp_path / "cache" / "curves"
    read_all(source, cache, Job())
    again = reader_of(kind, file)
    assert load_cache(again, cache)
    np.testing.assert_equal(everything(again), everything(source))
    assert not again.read()
    assert (again.total_steps, again.finished) == (source.total_steps, source.finished)
    assert (again.status_text, again.behind) == (source.status_text, 0)
    other = next(name for name in KINDS if name != kind)
    assert not load_cache(reader_of(other, file), cache)


def test_a_cache_goes_on_with_event_files(tmp_path: Path) -> None:
    put(tmp_path / EVENTS, loss(10, 1) + loss(20, 1))
    source, cache = TensorBoardRun(tmp_path), tmp_path / "cache" / "curves"
    source.read()
    save_cache(source, cache)
    again = TensorBoardRun(tmp_path)
    assert load_cache(again, cache)
    put(tmp_path / f"{EVENTS}.1", loss(20, 2))
    again.read()
    assert again.curves.series("loss").stale.tolist() == [False, True, False]


def test_there_is_no_other_kind(tmp_path: Path) -> None:
    with pytest.raises(HftermError):
        reader_of("comet", tmp_path)
