"""What other programs' files hold that is rare: odd records, odd names, files that shrink."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.training import curve_index
from hfterm.training.curve_cache import read_all
from hfterm.training.curves import Curves, CurveSource
from hfterm.training.foreign import detect, wandb_offline
from hfterm.training.foreign.llamafactory import LlamaFactoryLog
from hfterm.training.foreign.tensorboard import TensorBoardRun
from hfterm.training.foreign.tensorboard_events import scalars
from hfterm.training.foreign.tfrecord import Frames, checksum
from hfterm.training.foreign.trainer_state import TrainerRun
from hfterm.training.foreign.wandb_offline import WandbRun
from hfterm.training.metrics_file import SHAPES, MetricsTail
from hfterm.training.watching import trainer_checkpoints
from run_fixtures import EVENT_FILE
from wandb_log import log

FLOAT = b"\x15" + struct.pack("<f", 0.5)
"""A value of 0.5, as its simple kind."""


def member(field: int, content: bytes) -> bytes:
    """A field of bytes, shorter than 128."""
    return bytes([field << 3 | 2, len(content)]) + content


def event(step: int, summary: bytes) -> bytes:
    """An event in its frame."""
    clock = b"\x09" + struct.pack("<d", 1_764_096_000.0 + step)
    content = clock + b"\x10" + bytes([step]) + member(5, summary)
    length = struct.pack("<Q", len(content))
    ends = [struct.pack("<I", checksum(part)) for part in (length, content)]
    return length + ends[0] + content + ends[1]


def board(folder: Path, *events: bytes) -> TensorBoardRun:
    """A folder of TensorBoard's, read."""
    (folder / EVENT_FILE).write_bytes(b"".join(events))
    run = TensorBoardRun(folder)
    run.read()
    return run


def scalar(tag: str, *more: bytes) -> bytes:
    return member(1, member(1, tag.encode()) + b"".join(more))


def row(**items: str) -> bytes:
    """A record of wandb's history; values are JSON."""
    told = b"".join(
        member(1, member(2, key.encode()) + b"\x82\x01" + bytes([len(text)]) + text.encode())
        for key, text in items.items()
    )
    return member(2, told)


def lasts(source: CurveSource) -> dict[str, float | None]:
    """The newest value of each metric."""
    return {name: source.curves.last(name) for name in source.curves.names}


# -- TensorBoard -------------------------------------------------------------------------------


def test_no_records_are_no_scalars() -> None:
    none = np.empty(0, np.int64)
    found = scalars(b"", Frames(none, none, 0, 0, False))
    assert (found.tags, len(found.value), found.broken) == ([], 0, 0)


@pytest.mark.parametrize(
    "summary",
    [
        member(3, b"?") + scalar("loss", FLOAT),
        scalar("loss", FLOAT, member(9, member(3, b"words"))),
        scalar("loss", FLOAT, member(9, member(1, member(2, b"words")))),
        scalar("loss", member(8, b"\x08\x01" + member(2, member(2, b"\x08\x01" + member(2, b"n")))
                              + member(5, struct.pack("<f", 0.5)))),
    ],
    ids=["of a summary", "of its metadata", "of a plugin", "of a dimension"],
)  # fmt: skip
def test_fields_that_nobody_knows_are_passed_over(summary: bytes, tmp_path: Path) -> None:
    run = board(tmp_path, event(1, summary), event(2, summary))
    assert lasts(run) == {"loss": 0.5}
    assert len(run.curves) == 2
    assert run.curves.skipped == 0


def test_two_tags_of_one_name_are_one_metric(tmp_path: Path) -> None:
    later = b"\x15" + struct.pack("<f", 0.25)
    run = board(tmp_path, event(1, scalar("train/loss", FLOAT)), event(2, scalar("loss", later)))
    assert run.curves.names == ("loss",)
    assert len(run.curves) == 2
    assert run.curves.last("loss") == 0.25


def test_an_epoch_that_is_no_number_moves_no_row() -> None:
    curves = Curves()
    curves.amend("epoch", 1.0)
    assert len(curves) == 0
    curves.append(("step", "loss"), np.array([[1.0, 0.5]]))
    curves.amend("epoch", np.nan)
    version = curves.version
    curves.amend("epoch", 0.5)
    assert curves.axes["epoch"].view.tolist() == [0.5]
    assert curves.version == version + 1


# -- wandb -------------------------------------------------------------------------------------


def test_records_go_over_the_last_bytes_of_a_block(tmp_path: Path) -> None:
    first = row(**{"_step": "1", "loss": "0.5"})
    short = wandb_offline.BLOCK - len(log(first)) - 7 - 7 - 3
    filler = bytes(short + 7)
    written = log(first, filler)
    assert 0 < wandb_offline.BLOCK - len(written) % wandb_offline.BLOCK < 7
    file = tmp_path / "run-a.wandb"
    file.write_bytes(log(first, filler, row(**{"_step": "2", "loss": "0.25"})))
    run = WandbRun(file)
    read_all(run, None, Job())
    assert len(run.curves) == 2
    assert run.curves.last("loss") == 0.25


def test_a_log_that_shrank_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "run-a.wandb"
    rows = [row(**{"_step": str(step), "loss": str(1 / step)}) for step in (1, 2, 4)]
    file.write_bytes(log(*rows))
    run = WandbRun(file)
    run.read()
    assert len(run.curves) == 3
    file.write_bytes(log(rows[1]))
    assert run.read()
    assert len(run.curves) == 1
    assert run.curves.last("loss") == 0.5


def test_a_record_that_cannot_follow_is_damage(tmp_path: Path) -> None:
    sound = log(row(**{"_step": "1", "loss": "0.5"}))
    part = b"end"
    last = struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([4]))), len(part), 4) + part
    for tail in (last, struct.pack("<IHB", 1, 1, 9) + b"x"):
        file = tmp_path / "run-a.wandb"
        file.write_bytes(sound + tail)
        run = WandbRun(file)
        run.read()
        assert len(run.curves) == 1
        assert f"is damaged at byte {len(sound):,}" in run.status_text


def test_a_record_longer_than_any_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_offline, "CHUNK", wandb_offline.BLOCK)
    monkeypatch.setattr(wandb_offline, "LONGEST", wandb_offline.BLOCK)
    file = tmp_path / "run-a.wandb"
    file.write_bytes(log(row(**{"_step": "1", "loss": "1"}), bytes(200_000)))
    run = WandbRun(file)
    read_all(run, None, Job())
    assert len(run.curves) == 1
    assert "is damaged at byte" in run.status_text


@pytest.mark.parametrize(
    "item",
    [b"", b"\x0a", b"\x0a\x01a\x82\x01", b"\x0a\x01a\x82\x01\x05", b"\x1a\x01a\x82\x01\x011"],
    ids=["nothing", "no length", "no value", "a value cut off", "another key"],
)
def test_an_item_that_is_cut_off_spoils_no_other(item: bytes, tmp_path: Path) -> None:
    file = tmp_path / "run-a.wandb"
    broken = member(2, member(1, member(2, b"_step") + b"\x82\x01\x011") + member(1, item))
    file.write_bytes(log(broken, row(**{"_step": "2", "loss": "0.5"})))
    run = WandbRun(file)
    run.read()
    assert run.curves.last("loss") == 0.5
    assert run.curves.axes["step"].view[-1] == 2


# -- logs of lines -----------------------------------------------------------------------------


def test_a_llama_factory_log_without_a_total_is_not_finished(tmp_path: Path) -> None:
    log = tmp_path / "trainer_log.jsonl"
    log.write_text('{"current_steps": 5, "loss": 0.5}\n')
    run = LlamaFactoryLog(log)
    run.read()
    assert not run.total_steps
    assert run.finished is None
    assert run.curves.last("loss") == 0.5


def test_where_the_last_lines_have_no_time_the_first_one_counts(tmp_path: Path) -> None:
    log = tmp_path / "trainer_log.jsonl"
    timed = json.dumps({"current_steps": 1, "loss": 1.0, "elapsed_time": "0:01:00"})
    plain = [json.dumps({"current_steps": step, "loss": 0.5}) for step in range(2, 300)]
    log.write_text("\n".join([timed, *plain]) + "\n")
    os.utime(log, (1_000_000, 1_000_000))
    run = LlamaFactoryLog(log)
    run.read()
    assert run.curves.axes["time"].view[0] == 1_000_000


def test_words_in_a_trainers_log_are_no_metric(tmp_path: Path) -> None:
    state = {"log_history": [{"step": 1, "loss": 0.5, "note": "warm", "lr": None}]}
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps(state))
    run = TrainerRun(folder / "trainer_state.json")
    run.read()
    assert run.curves.names == ("loss",)


def test_lines_of_many_shapes_and_empty_ones_are_all_read(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    run = MetricsTail(log)
    for number in range(SHAPES + 2):  # a piece for each shape
        with log.open("a") as file:
            for step in (2 * number, 2 * number + 1):
                file.write(json.dumps({"step": step, f"metric{number}": 0.5}) + "\n")
        assert run.read()
    assert len(run.curves) == 2 * (SHAPES + 2)
    assert len(run.curves.names) == SHAPES + 2
    with log.open("a") as file:
        file.write('{"step": 900, "loss": 1}\n\n{"step": 901, "loss": 0.125}\n')
    run.read()
    assert run.curves.last("loss") == 0.125


# -- folders -----------------------------------------------------------------------------------


def test_hidden_folders_and_ones_that_cannot_be_read_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("seen", ".hidden", "shut"):
        (tmp_path / name).mkdir()
        (tmp_path / name / EVENT_FILE).write_bytes(event(1, scalar("loss", FLOAT)))
    real = os.scandir

    def scandir(place: Path) -> Iterator[os.DirEntry[str]]:
        if Path(place).name == "shut":  # root may read everything
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(detect.os, "scandir", scandir)
    found = detect.detect_all(str(tmp_path))
    assert [Path(one.path).name for one in found] == ["seen"]
    with pytest.raises(HftermError):
        detect.detect_all(str(tmp_path / "shut"))


def test_only_folders_with_a_step_are_checkpoints(tmp_path: Path) -> None:
    for name in ("checkpoint-20", "checkpoint-3", "checkpoint-best", "checkpoint-"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-7").write_text("no folder")
    assert [one.step for one in trainer_checkpoints(tmp_path)] == [3, 20]


@pytest.mark.parametrize("arguments", [[], ["one"], ["one", "two", "three", "four"]])
def test_the_process_that_reads_says_what_it_takes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_index.main(arguments) == 1
    told = capsys.readouterr().err
    assert told.startswith("usage\tThree arguments are needed")
    assert len(told.splitlines()) == 1
