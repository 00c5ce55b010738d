"""The line under every screen, before it is mounted."""

from __future__ import annotations

from hfterm.chat.types import LlmInfo, LlmSpec
from hfterm.engine.client import EngineStatus
from hfterm.hub.model_source import ModelSource
from hfterm.models.types import LoadedInfo, ModelSpec
from hfterm.system.samples import SystemSample
from hfterm.widgets.status_bar import StatusBar


def test_it_takes_states_before_it_is_mounted() -> None:
    """An engine starts beside the interface: its first state may come before the line is there."""
    bar = StatusBar()
    bar.show_engine(EngineStatus("started"))
    bar.show_engine(EngineStatus("dead", None, "SIGKILL"))
    bar.show_loaded(None)
    bar.show_machine(SystemSample(50.0, 1, 2, []))


def test_the_load_does_not_go_to_and_fro() -> None:
    """A finished run on the screen writes nothing, though no machine is ever quite idle."""
    bar = StatusBar()
    line = bar._machine

    def told(cpu: float, used: int) -> str:
        bar.show_machine(SystemSample(cpu, used, 1000 * 10**9, []))
        return str(line.content)

    first = told(3.0, 100 * 10**9)
    assert first == "cpu ▁   0 % · ram ▁  100.0/1000.0 GB"
    assert told(7.0, 105 * 10**9) == first
    assert told(9.0, 105 * 10**9) == "cpu ▁  10 % · ram ▁  100.0/1000.0 GB"
    assert "10 %" in told(4.0, 100)
    assert told(1.0, 300 * 10**9) == "cpu ▁   0 % · ram ▃  300.0/1000.0 GB"


MODEL = LoadedInfo(
    spec=ModelSpec(ref="minilm"), cls="BertModel", model_type="bert", parameters=22_713_216,
    dtype="float32", footprint=90_000_000, seconds=1.0, verdict="", meaning="", labels=(),
    limit=512, tokenizer="BertTokenizer", source=ModelSource(ref="minilm", kind="starter", path=""),
    device="cuda:0",
)  # fmt: skip
LLM = LlmInfo(
    spec=LlmSpec(ref="smollm2", quantization="nf4"), name="LlamaForCausalLM", dtype="nf4",
    footprint=96_000_000, device="cpu",
)  # fmt: skip


def test_it_names_what_is_loaded_and_of_two_only_what_there_is_room_for() -> None:
    bar = StatusBar()

    def told() -> str:
        return str(bar._loaded.content)

    bar.show_offer("Tab begins a tour")
    assert told() == " · Tab begins a tour"
    bar.show_loaded(MODEL)
    assert told() == " · ● float32 90.0 MB cuda:0 BertModel"
    bar.show_llm(LLM)
    assert told() == " · ● float32 90.0 MB cuda:0 · ● chat nf4 96.0 MB cpu"
    bar.show_offer("")
    bar.show_loaded(None)
    assert told() == " · ● chat nf4 96.0 MB cpu LlamaForCausalLM"
    server = LlmSpec(ref="gpt", engine="server", url="http://127.0.0.1:8080/v1")
    bar.show_llm(LlmInfo(spec=server, name="gpt"))
    assert told() == " · ● chat http://127.0.0.1:8080/v1 gpt"
    bar.show_llm(None)
    assert told() == ""
