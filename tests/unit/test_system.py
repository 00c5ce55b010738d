from __future__ import annotations

import sys
import types
from pathlib import Path

import psutil
import pytest

from hfterm.errors import Cancelled
from hfterm.job import Job
from hfterm.sizes import size_text
from hfterm.system import samples
from hfterm.system.cgroup import MemoryLimit, memory_limit
from hfterm.system.disk import folder_size
from hfterm.system.samples import GpuSample, Sampler


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def group(folder: Path, limit: str, used: str, cached: str = "0", *, v1: bool = False) -> None:
    write(folder / ("memory.limit_in_bytes" if v1 else "memory.max"), limit + "\n")
    write(folder / ("memory.usage_in_bytes" if v1 else "memory.current"), used + "\n")
    name = "total_inactive_file" if v1 else "inactive_file"
    write(folder / "memory.stat", f"anon 5\n{name} {cached}\n")


def test_the_tightest_group_counts_without_its_cache(tmp_path: Path) -> None:
    mount, membership = tmp_path / "cgroup", tmp_path / "self"
    group(mount / "user/job", "max", "700")
    group(mount / "user", "1000", "800", "300")
    write(membership, "0::/user/job\n")
    assert memory_limit(mount, membership) == MemoryLimit(limit=1000, used=500)
    group(mount / "user/job", "900", "700")
    assert memory_limit(mount, membership) == MemoryLimit(limit=900, used=700)


def test_version_1_and_a_path_that_only_the_host_has(tmp_path: Path) -> None:
    mount, membership = tmp_path / "cgroup", tmp_path / "self"
    group(mount / "memory", "2000", "900", "100", v1=True)
    write(membership, "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n")
    assert memory_limit(mount, membership) == MemoryLimit(limit=2000, used=800)


@pytest.mark.parametrize("content", ["", "garbage", "0::/", "4:memory:/../../etc\n"])
def test_no_limit(tmp_path: Path, content: str) -> None:
    membership = tmp_path / "self"
    write(membership, content)
    assert memory_limit(tmp_path / "cgroup", membership) is None
    assert memory_limit(tmp_path / "cgroup", tmp_path / "missing") is None


def test_a_sample_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "memory_limit", lambda: None)
    sample = Sampler().sample()
    assert sample.ram_total == psutil.virtual_memory().total
    assert 0 < sample.ram_used < sample.ram_total
    assert 0 <= sample.cpu_percent <= 100


def test_a_containers_memory_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "memory_limit", lambda: MemoryLimit(1000, 400))
    sample = Sampler().sample()
    assert (sample.ram_used, sample.ram_total) == (400, 1000)
    monkeypatch.setattr(samples, "memory_limit", lambda: MemoryLimit(1 << 62, 400))
    assert Sampler().sample().ram_total == psutil.virtual_memory().total


class Driver(types.ModuleType):
    """As much of pynvml as is used, with two GPUs; the second knows nothing but its memory."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, count: int = 2) -> None:
        super().__init__("pynvml")
        self.count, self.broken, self.opened, self.asked = count, False, 0, 0
        self.lost: set[int] = set()

    def _answer(self, handle: int, **values: int) -> types.SimpleNamespace:
        self.asked += 1
        if handle in self.lost:
            raise self.NVMLError("GPU is lost")
        return types.SimpleNamespace(**values)

    def nvmlInit(self) -> None:
        self.opened += 1
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:
        return f"GPU {handle}" if handle else b"GPU 0"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> types.SimpleNamespace:
        return self._answer(handle, used=3, total=8)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> types.SimpleNamespace:
        if handle:
            raise self.NVMLError("Not Supported")
        return self._answer(handle, gpu=42)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        if handle:
            raise self.NVMLError("Not Supported")
        return self._answer(handle, heat=61 + sensor).heat


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    return driver


def test_gpus(driver: Driver) -> None:
    sampler = Sampler()
    assert sampler.sample().gpus == [
        GpuSample("GPU 0", 42, 3, 8, 61),
        GpuSample("GPU 1", None, 3, 8, None),
    ]
    assert sampler.gpu_problem == ""
    sampler.sample()
    assert driver.opened == 1


def test_a_missing_driver_is_asked_once(driver: Driver) -> None:
    driver.broken = True
    sampler = Sampler()
    assert [sampler.sample().gpus for _ in range(3)] == [[], [], []]
    assert driver.opened == 1
    assert "Driver Not Loaded" in sampler.gpu_problem


def test_a_driver_without_gpus(driver: Driver) -> None:
    driver.count = 0
    sampler = Sampler()
    assert sampler.sample().gpus == []
    assert "no GPU" in sampler.gpu_problem


def test_a_gpu_that_is_lost_is_left_alone(driver: Driver) -> None:
    sampler = Sampler()
    sampler.sample()
    driver.lost.add(1)
    assert [gpu.name for gpu in sampler.sample().gpus] == ["GPU 0"]
    asked = driver.asked
    sampler.sample()
    assert driver.asked == asked + 3
    assert sampler.gpu_problem == "GPU 1 no longer answers"


def test_folder_size_counts_blobs_once(tmp_path: Path) -> None:
    write(tmp_path / "blobs/a", "x" * 1000)
    write(tmp_path / "b", "x" * 10)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots/a").symlink_to(tmp_path / "blobs/a")
    assert folder_size(tmp_path, Job()) == (1010, True)
    assert folder_size(tmp_path / "none", Job()) == (0, True)
    assert not folder_size(tmp_path, Job(), seconds=-1).complete
    with pytest.raises(Cancelled):
        folder_size(tmp_path, Job(cancelled=lambda: True))


def test_sizes_as_text() -> None:
    for size, text in {
        0: "0 B", 999: "999 B", 1_000: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB",
        999_600: "1.0 MB", 90_868_376: "90.9 MB", 538_060_672: "538 MB",
        25_276_514_304: "25.3 GB", 4_000_000_000_000: "4.0 TB", 5_000_000_000_000_000: "5,000 TB",
    }.items():  # fmt: skip
        assert size_text(size) == text
