"""Load: bring the chosen class into memory, or start it at random, or let it go."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Static

from hfterm.engine.model_requests import LoadModel
from hfterm.errors import HftermError
from hfterm.models.code import load_code
from hfterm.models.types import LoadedInfo, ModelSpec
from hfterm.models.verdicts import modules_of
from hfterm.screens.messages import ModelLoaded
from hfterm.screens.models.subject import ModelPage, ModelSubject
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.sizes import size_text
from hfterm.text import foreign
from hfterm.widgets.load_form import LoadForm
from hfterm.widgets.model_tables import parameters_text


class LoadPage(ModelPage):
    """The form, two buttons, and what is loaded."""

    HELP = """\
## Load
Loads the chosen class: dtype, quantization (bitsandbytes), device, or all weights at random from
the config with so many labels. One model is loaded at a time, in a process of its own; Unload ends
that process, which frees everything. Predict uses what is loaded here.
"""

    def body(self) -> ComposeResult:
        """Form, buttons, outcome."""
        yield LoadForm(id="load-form")
        with Horizontal(classes="options"):
            yield Button("Load", id="load-start", compact=True)
            yield Button("Unload", id="load-stop", compact=True)
        yield Static("Nothing is loaded.", id="load-state", markup=False)

    def refresh_page(self, subject: ModelSubject) -> None:
        """Another class: the form stays as it is, but for the labels."""
        self.show_loaded(self._bench.loaded)

    @property
    def _bench(self) -> WorkbenchScreen:
        assert isinstance(self.screen, WorkbenchScreen)
        return self.screen

    def spec(self) -> ModelSpec | None:
        """What would be loaded; None when a field is wrong, and the notice then says so."""
        if self.subject is None:
            return None
        report = self.subject.overview.of(self.subject.spec.auto)
        auto = report.auto if report else self.subject.spec.auto or self.subject.cls
        try:
            chosen = self.subject.spec
            return self.query_one(LoadForm).spec(chosen.ref, auto, allow_code=chosen.allow_code)
        except HftermError as error:
            self.notice.show_error(error)
            return None

    @on(Button.Pressed, "#load-start")
    def load(self) -> None:
        """Load."""
        spec = self.spec()
        if spec is not None and not self.busy:
            self.start(self._load(spec))

    async def _load(self, spec: ModelSpec) -> None:
        info = await self.ask(LoadModel(spec=spec))
        if info is not None:
            self.post_message(ModelLoaded(info))
            self.show_loaded(info)

    @on(Button.Pressed, "#load-stop")
    async def unload(self) -> None:
        """End the process that holds the model."""
        self.stop()
        await self.engine.unload()
        self.post_message(ModelLoaded(None))
        self.notice.clear()
        self.show_loaded(None)

    def show_loaded(self, info: LoadedInfo | None) -> None:
        """Say what is loaded."""
        state = self.query_one("#load-state", Static)
        if info is None:
            state.update(Content("Nothing is loaded."))
            return
        lines = [
            Content.assemble(("loaded  ", "$text-muted"), foreign(info.spec.ref, "bold")),
            foreign(
                f"{info.cls} · {info.dtype} · {info.device} · {size_text(info.footprint)} · "
                f"{parameters_text(info.parameters)} parameters · {info.seconds:.1f} s"
            ),
            foreign(info.meaning, "" if info.verdict == "complete" else "$warning"),
        ]
        state.update(Content("\n").join(lines))

    def code(self) -> str:
        """The same loading."""
        spec = self.spec()
        if spec is None or self.subject is None:
            return ""
        report = self.subject.overview.of(spec.auto)
        new = (*report.missing, *(m.name for m in report.mismatched)) if report else ()
        loaded = self._bench.loaded
        skipped = loaded.skipped if loaded and loaded.spec == spec else tuple(modules_of(new))
        return load_code(self.subject.overview.source, spec, skipped)
