"""The form of Train is asked for what is in it before it has its fields."""

from __future__ import annotations

from hfterm.screens.train.new import NewPage
from hfterm.screens.train.screen import TrainScreen
from hfterm.widgets.recipe_form import RecipeForm
from pilot_app import settled
from screen_fixtures import MakeApp, make_app

_ = make_app  # a fixture


async def test_a_form_without_fields_is_as_it_was_remembered(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=(120, 40)) as pilot:
        bench = app.workbench
        assert isinstance(bench, TrainScreen)
        await settled(pilot, lambda: bool(bench.query("#recipe-also")))
        before = bench.place().recipe
        page = bench.query_one(NewPage)
        await page.query_one(RecipeForm).remove_children()  # as it is until they are made
        assert bench.place().recipe == before == bench.remembered.recipe
