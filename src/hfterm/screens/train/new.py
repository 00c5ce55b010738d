"""New: the form over a recipe, what it costs, and Start."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Button, Static
from textual.worker import Worker

from hfterm import paths
from hfterm.engine.training_requests import CheckRecipe, CostRecipe, PreviewRecipe, ProbeRecipe
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.paths import expanded
from hfterm.screens.train.page import PreviewMade, RunsStarted, TrainPage
from hfterm.sizes import size_text
from hfterm.text import foreign
from hfterm.training import run_control
from hfterm.training.recipe import Recipe, expand
from hfterm.training.recipe_text import parse_recipe, read_recipe, write_recipe
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.modals import Prompt
from hfterm.widgets.model_tables import FITS
from hfterm.widgets.recipe_form import RecipeForm
from hfterm.widgets.training_tables import preview_rows
from hfterm.widgets.training_words import duration

if TYPE_CHECKING:
    from hfterm.training.preview_types import Preview, ProbeResult, RecipeCost
    from hfterm.widgets.data_grid import GridSource

LIVE = 0.6
"""Seconds without a key after which the cost is counted again."""

FIRST = """\
name = "reviews-lora"
task = "text-classification"
prompts = ["a wonderful film", "long, dull and badly acted"]
[model]
ref = "minilm"
[data]
ref = "reviews"
train = "train[:90%]"
eval = "train[90%:]"
shuffle = true
max_length = 64
[method]
name = "lora"
r = 8
alpha = 16
dropout = 0.05
[training]
epochs = 2
batch_size = 32
learning_rate = 2e-3
"""
"""What the form holds at first: the tutorial's LoRA, on the starter kit."""


class NewPage(TrainPage):
    """The form."""

    HELP = """\
## New run
The form is a recipe. `F5` (or `Enter` in a field) checks it, looks at the data (Preview tab),
counts parameters and memory, and tries two real steps for the time it takes. `F7` starts the run:
a process of its own, which goes on when hfterm or the connection ends. `alt+q` queues it behind
the runs that are active. `alt+w` writes the recipe to a file, `Ctrl+O` opens one. `F2` is the same
as a script without hfterm.
"""

    _timer: Timer | None = None
    _draft = ""
    _cost: RecipeCost | None = None
    _preview: Preview | None = None
    _probe: ProbeResult | None = None
    _about: Recipe | None = None
    _uncounted = False
    _launching: Worker[object] | None = None

    def body(self) -> ComposeResult:
        """Fields, what they cost, buttons."""
        yield RecipeForm(id="recipe-form")
        yield Static("", id="new-cost", markup=False)
        with Horizontal(classes="options"):
            yield Button("Check F5", id="new-check", compact=True)
            yield Button("Start F7", id="new-start", compact=True, variant="primary")
            yield Button("Queue", id="new-queue", compact=True)
            yield Button("Save", id="new-save", compact=True)
            yield Button("Load", id="new-load", compact=True)
        yield DataGrid(id="new-rows", empty="F5: the first rows, as the model will take them.")

    def on_mount(self) -> None:
        """The starter kit's LoRA."""
        self.fill(parse_recipe(FIRST))

    @property
    def busy(self) -> bool:
        """Whether the engine is asked, or runs are being started."""
        return super().busy or self._is_launching()

    @property
    def form(self) -> RecipeForm:
        """The fields."""
        return self.query_one(RecipeForm)

    def fill(self, recipe: Recipe) -> None:
        """Put a recipe into the form."""
        self.form.show(recipe)
        self._changed()

    def recipe(self) -> Recipe | None:
        """What the form holds; None when it is no recipe, and the notice then says why."""
        try:
            recipe = self.form.recipe()
        except HftermError as error:
            self.notice.show(error.message)
            return None
        return recipe

    def draft(self) -> str:
        """The form as TOML; empty when it is as it began, or holds no recipe yet."""
        try:
            recipe = self.form.recipe()
        except HftermError:  # half typed: what is kept is the last that was whole
            return self._draft
        self._draft = "" if recipe == parse_recipe(FIRST) else write_recipe(recipe)
        return self._draft

    def take_draft(self, text: str) -> None:
        """Put what `draft` gave back into the form; one of another version is left."""
        with suppress(HftermError):
            self.fill(parse_recipe(text))

    # -- what it costs -----------------------------------------------------------------------

    @on(RecipeForm.Changed)
    def _edited(self) -> None:
        if not self.busy:
            self.notice.clear()
        self._changed()

    def _changed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(LIVE, self._follow)

    def _follow(self) -> None:
        self._timer = None
        if self.busy:
            self._changed()  # afterwards
            return
        recipe = self.recipe()
        if recipe is None or recipe == self._about:
            return
        self._about, self._probe, self._preview = recipe, None, None
        self.start(self._count(recipe))

    async def _count(self, recipe: Recipe) -> None:
        if not _here(recipe.model.ref):
            told = f"{recipe.model.ref} is in the starter kit and not here yet: F5 downloads it."
            self.query_one("#new-cost", Static).update(foreign(told, "$text-muted"))
            return
        # what was said about something else stands on
        self._uncounted = not await self._count_cost(recipe, keep=not self._uncounted)

    async def _count_cost(self, recipe: Recipe, *, keep: bool = False) -> bool:
        labels = len(self._preview.labels) if self._preview is not None else 0
        if not labels and recipe.task in ("text-classification", "token-classification"):
            labels = len(recipe.data.labels) or 2
        cost = await self.ask(CostRecipe(recipe=recipe, labels=labels), keep=keep)
        self._cost = cost
        self._say(recipe)
        return cost is not None

    async def _bring(self, recipe: Recipe) -> bool:
        return await self.bring(recipe.model.ref) and await self.bring(recipe.data.ref)

    @on(RecipeForm.Submitted)
    @on(Button.Pressed, "#new-check")
    def again(self) -> None:
        """Check, look at the data, count, try."""
        recipe = self.recipe()
        if recipe is not None:
            self._about, self._probe = recipe, None
            self.start(self._check(recipe))

    async def _check(self, recipe: Recipe) -> None:
        if not await self._bring(recipe):
            return
        if await self._refused(recipe):
            return
        preview = await self.ask(PreviewRecipe(recipe=recipe))
        if preview is None:
            return
        self._preview = preview
        self.post_message(PreviewMade(preview))
        self.query_one("#new-rows", DataGrid).set_source(preview_rows(preview), cursor=0)
        self._say(recipe)
        if not await self._count_cost(recipe):
            return
        self._probe = await self.ask(ProbeRecipe(recipe=recipe))
        self._say(recipe)

    async def _refused(self, recipe: Recipe) -> bool:
        await self.ask(CheckRecipe(recipe=recipe))
        return self.failure is not None

    def _say(self, recipe: Recipe) -> None:
        lines: list[Content] = []
        if self._cost is not None:
            lines.append(self._cost_line(self._cost))
        if self._preview is not None:
            lines += self._preview_lines(recipe, self._preview)
        if self._probe is not None:
            lines.append(self._probe_line(recipe, self._probe))
        elif self._preview is None and self._cost is not None:
            lines.append(foreign("F5 looks at the data and tries two steps", "$text-muted"))
        self.query_one("#new-cost", Static).update(Content("\n").join(lines))

    def _cost_line(self, cost: RecipeCost) -> Content:
        share = 100 * cost.trainable / max(1, cost.parameters)
        told = (
            f"{cost.cls}: {cost.trainable:,} of {cost.parameters:,} parameters are trained "
            f"({share:.3g} %)"
        )
        if cost.plan is None:
            return foreign(told)
        verdict = cost.plan.verdicts[-1] if cost.plan.verdicts else None
        memory = f" · {size_text(cost.plan.plan.total)} at the peak"
        if verdict is None:
            return foreign(told + memory)
        glyph, tone = FITS[verdict.fit]
        style = {"warning": "$warning", "error": "$error"}.get(tone, "")
        return Content.assemble(
            foreign(told + memory + " · "),
            foreign(f"{glyph} {verdict.device}: {verdict.fit}, {verdict.why}", style),
        )

    def _preview_lines(self, recipe: Recipe, preview: Preview) -> list[Content]:
        runs = len(expand(recipe, "form"))
        several = f"{runs} runs of " if runs > 1 else ""
        told = (
            f"{preview.train_rows:,} rows, {preview.eval_rows:,} to evaluate on · "
            f"{several}{preview.steps:,} steps · {100 * preview.cut / preview.measured:.1f} % cut"
        )
        return [foreign(told), *(foreign(f"! {text}", "$warning") for text in preview.warnings[:2])]

    def _probe_line(self, recipe: Recipe, probe: ProbeResult) -> Content:
        runs = len(expand(recipe, "form"))
        total = probe.total_seconds * runs
        return foreign(
            f"{probe.step_seconds:.3g} s/step measured · about {duration(total)} in all · "
            f"{size_text(probe.peak_memory)} resident"
        )

    # -- starting ----------------------------------------------------------------------------

    @on(Button.Pressed, "#new-start")
    def run(self) -> None:
        """Start it."""
        self._launch(queue=False)

    @on(Button.Pressed, "#new-queue")
    def queue(self) -> None:
        """Put it behind the runs that are active."""
        self._launch(queue=True)

    def _launch(self, *, queue: bool) -> None:
        if self._is_launching():
            return  # a key that is held down, or an impatient one: one run
        recipe = self.recipe()
        if recipe is not None:
            self._launching = self.start(self._begin(recipe, queue=queue))

    def _is_launching(self) -> bool:
        worker = self._launching
        return worker is not None and not (worker.is_finished or worker.is_cancelled)

    async def _begin(self, recipe: Recipe, *, queue: bool) -> None:
        if not await self._bring(recipe) or await self._refused(recipe):
            return

        def begin() -> None:
            folders = run_control.create_all(recipe)
            run_control.start_all(folders, queue=queue)
            # From here: runs that were started are told of even if the page turned to other work.
            self.post_message(RunsStarted([folder.name for folder in folders]))

        try:
            await asyncio.to_thread(begin)
        except HftermError as error:
            self.notice.show_error(error)

    # -- files -------------------------------------------------------------------------------

    @on(Button.Pressed, "#new-save")
    @work(group="recipe-file", exclusive=True, exit_on_error=False)
    async def save(self) -> None:
        """Write the recipe to a file."""
        recipe = self.recipe()
        if recipe is None:
            return
        default = paths.home_relative(paths.recipes_dir() / f"{recipe.name}.toml")
        told = await self.app.push_screen_wait(
            Prompt("Save the recipe", "A path; a file that is there is replaced.", default)
        )
        if not told:
            return
        try:
            await asyncio.to_thread(_write, told, write_recipe(recipe))
        except OSError as error:
            self.notice.show(f"{told} can't be written: {error.strerror}.", "Choose another path.")
            return
        self.notice.show(f"Wrote {told}", f"hfterm train {told} starts it too.", "note")

    @on(Button.Pressed, "#new-load")
    @work(group="recipe-file", exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        """Take a recipe from a file."""
        there = sorted(paths.recipes_dir().glob("*.toml"))
        hint = "A recipe in TOML"
        if there:
            hint += "; saved here: " + ", ".join(path.stem for path in there[:6])
        default = paths.home_relative(there[0]) if there else ""
        told = await self.app.push_screen_wait(Prompt("Open a recipe", hint, default, "path"))
        if not told:
            return
        try:
            self.fill(await asyncio.to_thread(_read, told))
        except HftermError as error:
            self.notice.show_error(error)

    # -- what the application asks -----------------------------------------------------------

    def code(self) -> str:
        """The same as a script."""
        from hfterm.training.code import train_code

        recipe = self.recipe()
        return train_code(recipe) if recipe is not None else ""

    def copy_text(self) -> str:
        """The recipe as TOML."""
        recipe = self.recipe()
        return write_recipe(recipe) if recipe is not None else ""

    def exported(self) -> tuple[str, GridSource] | None:
        """Nothing: a recipe is saved with alt+w."""
        return None


def _here(ref: str) -> bool:
    """Whether a name is not of the starter kit, or is brought already."""
    return not starter.is_starter(ref) or starter.starter_path(ref) is not None


def _write(told: str, text: str) -> None:
    path = expanded(told)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _read(told: str) -> Recipe:
    """The recipe of a path, or of a name that was saved here."""
    path = expanded(told)
    if not path.exists() and not path.suffix and "/" not in told:
        path = paths.recipes_dir() / f"{told}.toml"
    return read_recipe(path)
