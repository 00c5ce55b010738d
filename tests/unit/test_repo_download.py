"""Whole repositories from a hub on the loopback interface, with every failure on the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfterm.errors import Cancelled, HftermError
from hfterm.hub import repo_download
from hfterm.hub.checksums import algorithm, hash_of
from hfterm.hub.repo_download import PART, blobs_of, fetch, plan_download
from hfterm.job import Job, Progress
from hub_server import COMMIT, Hub

REF = "lab/small"
WEIGHTS = "model.safetensors"
SIZE = 3_000_000


@dataclass
class Lab:
    """A hub with one repository, and its original."""

    hub: Hub
    folder: Path

    @property
    def weights(self) -> bytes:
        """The large file."""
        return (self.folder / WEIGHTS).read_bytes()

    @property
    def blob(self) -> Path:
        """Where the cache keeps it."""
        return blobs_of(REF, "model") / hashlib.sha256(self.weights).hexdigest()

    @property
    def part(self) -> Path:
        """Where a part of it is kept."""
        return self.blob.with_name(self.blob.name + PART)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    folder = tmp_path / "original"
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / WEIGHTS).write_bytes(bytes(at * 7 % 251 for at in range(SIZE)))
    (folder / "onnx" / "model.onnx").write_bytes(b"onnx" * 1000)
    (folder / "odd [name]*.txt").write_text("odd")
    with Hub(folders={REF: folder}, large=1_000_000) as hub:
        hugging = "huggingface_hub.constants"
        url = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(f"{hugging}.ENDPOINT", hub.endpoint)
        monkeypatch.setattr(f"{hugging}.HUGGINGFACE_CO_URL_TEMPLATE", url)
        monkeypatch.setattr(f"{hugging}.HF_HUB_OFFLINE", False)
        monkeypatch.setattr(f"{hugging}.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr("hfterm.hub.transfer.BACKOFF_SECONDS", 0.01)
        yield Lab(hub, folder)


def is_whole(folder: Path, lab: Lab) -> bool:
    """Whether a snapshot is the original."""
    return all(
        (folder / file.relative_to(lab.folder)).read_bytes() == file.read_bytes()
        for file in lab.folder.rglob("*")
        if file.is_file()
    )


def test_everything_is_brought_as_the_hub_has_it(lab: Lab) -> None:
    told: list[Progress] = []
    plan = plan_download(REF, Job())
    assert (plan.commit, len(plan.files), plan.here) == (COMMIT, 4, 0)
    folder = fetch(plan, Job(told.append))
    assert is_whole(folder, lab)
    assert folder.parent.parent == blobs_of(REF, "model").parent
    assert not list(lab.blob.parent.glob("*incomplete"))
    counts = [p.done for p in told if p.unit == "bytes" and p.stage.startswith("downloading")]
    assert counts == sorted(counts)
    assert counts[-1] == plan.size
    # a second time nothing is sent
    sent = dict(lab.hub.sent)
    again = plan_download(REF, Job())
    assert again.here == again.size
    assert fetch(again, Job()) == folder
    assert lab.hub.sent == sent


def test_huggingface_hub_finds_it_without_the_hub(lab: Lab) -> None:
    from huggingface_hub import snapshot_download

    folder = fetch(plan_download(REF, Job()), Job())
    assert snapshot_download(REF, local_files_only=True) == str(folder)


def test_only_what_is_wanted(lab: Lab) -> None:
    plan = plan_download(REF, Job(), allow=["*.json"])
    assert [file.name for file in plan.files] == ["config.json"]
    assert plan.left_out == 3
    fetch(plan, Job())
    assert WEIGHTS not in lab.hub.sent
    assert {f.name for f in plan_download(REF, Job(), ignore=["*/*"]).files} == {
        "config.json", WEIGHTS, "odd [name]*.txt",
    }  # fmt: skip
    with pytest.raises(HftermError, match="has no file that is wanted") as caught:
        plan_download(REF, Job(), allow=["*.gguf"])
    assert "config.json" in caught.value.remedy


def test_a_data_set(lab: Lab) -> None:
    folder = fetch(plan_download(REF, Job(), kind="dataset"), Job())
    assert "datasets--lab--small" in str(folder)
    assert is_whole(folder, lab)


def test_a_connection_cut_at_forty_percent_is_gone_on_from(lab: Lab) -> None:
    lab.hub.breaks[WEIGHTS] = [0.4, 0.4, 0.4]
    folder = fetch(plan_download(REF, Job()), Job())
    assert is_whole(folder, lab)
    # no byte was sent twice
    assert lab.hub.sent[WEIGHTS] == SIZE


def test_what_arrived_before_a_cancel_is_not_sent_again(lab: Lab) -> None:
    told: list[Progress] = []

    def stop_at_forty() -> bool:
        return bool(told) and told[-1].done >= 0.4 * SIZE

    with pytest.raises(Cancelled):
        fetch(plan_download(REF, Job()), Job(told.append, stop_at_forty))
    arrived = lab.part.stat().st_size
    assert 0 < arrived < SIZE
    assert not lab.blob.exists()
    sent = lab.hub.sent[WEIGHTS]
    plan = plan_download(REF, Job())
    assert plan.here == arrived
    assert is_whole(fetch(plan, Job()), lab)
    assert lab.hub.sent[WEIGHTS] - sent == SIZE - arrived
    assert not lab.part.exists()


def test_a_wrong_hash_never_gets_into_the_cache(lab: Lab) -> None:
    lab.hub.tampered.add(WEIGHTS)
    with pytest.raises(HftermError) as caught:
        fetch(plan_download(REF, Job()), Job())
    assert caught.value.kind == "checksum"
    assert "sha256" in caught.value.message
    assert not lab.blob.exists()
    assert not lab.part.exists()
    lab.hub.tampered.clear()
    assert is_whole(fetch(plan_download(REF, Job()), Job()), lab)


def test_a_part_that_something_wrote_into_is_found_out(lab: Lab) -> None:
    lab.part.parent.mkdir(parents=True)
    lab.part.write_bytes(b"x" * 1000)
    with pytest.raises(HftermError, match="is not what it lists"):
        fetch(plan_download(REF, Job()), Job())
    assert is_whole(fetch(plan_download(REF, Job()), Job()), lab)


def test_a_hub_that_asks_to_wait_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def note(seconds: float, _job: Job, _host: str) -> None:
        waited.append(seconds)

    monkeypatch.setattr("hfterm.hub.transfer.pause", note)
    lab.hub.refusals[WEIGHTS] = [(429, {"Retry-After": "7"}), (503, {})]
    assert is_whole(fetch(plan_download(REF, Job()), Job()), lab)
    assert waited[0] == 7.0


def test_a_hub_that_asks_to_wait_too_long_is_not(lab: Lab) -> None:
    lab.hub.refusals[WEIGHTS] = [(429, {"Retry-After": "3600"})]
    with pytest.raises(HftermError) as caught:
        fetch(plan_download(REF, Job()), Job())
    assert caught.value.kind == "rate-limited"
    assert "3,600 seconds" in caught.value.message
    assert is_whole(fetch(plan_download(REF, Job()), Job()), lab)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(401, "unauthorized", "hf auth login"), (403, "unauthorized", "hf auth login"),
     (404, "not-found", "try again")],
)  # fmt: skip
def test_a_file_that_is_refused(lab: Lab, status: int, kind: str, words: str) -> None:
    lab.hub.refusals[WEIGHTS] = [(status, {})]
    with pytest.raises(HftermError) as caught:
        fetch(plan_download(REF, Job()), Job())
    assert caught.value.kind == kind
    assert words in caught.value.remedy


@pytest.mark.parametrize(
    ("ref", "kind"),
    [("lab/private", "unauthorized"), ("lab/gated", "gated"), ("lab/missing", "not-found"),
     ("lab/forbidden", "forbidden"), ("lab/garbage", "hub-garbage")],
)  # fmt: skip
def test_repositories_that_can_t_be_had(lab: Lab, ref: str, kind: str) -> None:
    with pytest.raises(HftermError) as caught:
        plan_download(ref, Job())
    assert caught.value.kind == kind
    assert caught.value.remedy


def test_the_token_goes_to_the_hub_only_where_there_is_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(plan_download(REF, Job()), Job())
    assert lab.hub.tokens
    assert set(lab.hub.tokens) == {"Bearer hf_secret"}


def test_too_little_room_is_said_before_anything_is_sent(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(_: Path) -> int:
        return 1_000_000

    monkeypatch.setattr(repo_download, "free_bytes", little)
    with pytest.raises(HftermError) as caught:
        fetch(plan_download(REF, Job()), Job())
    assert caught.value.kind == "disk-full"
    assert "needs 3.0 MB more" in caught.value.message
    assert WEIGHTS not in lab.hub.sent


@given(content=st.binary(max_size=2000))
def test_hashes_are_the_hubs(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("hash") / "file"
    file.write_bytes(content)
    sha = hash_of(file, "sha256", Job(), "")
    git = hash_of(file, "git-sha1", Job(), "")
    assert sha == hashlib.sha256(content).hexdigest()
    blob = b"blob %d\0" % len(content) + content
    assert git == hashlib.sha1(blob, usedforsecurity=False).hexdigest()
    assert (algorithm(sha), algorithm(git), algorithm("abc")) == ("sha256", "git-sha1", "")
