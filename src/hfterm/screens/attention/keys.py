"""The keys of the Attention screen.

Those with Alt have priority because a terminal sends their letter along, which a text area would
take; the letters alone work while no text is being typed.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType


def _both(
    letter: str,
    action: str,
    label: str,
    name: str,
    tooltip: str,
    *,
    show: bool = True,
    alt: str = "",
) -> list[BindingType]:
    return [
        Binding(letter, action, label, show=show, id=f"attention.{name}", tooltip=tooltip),
        Binding(f"alt+{alt or letter}", action, label, show=False, priority=True,
                id=f"attention.{name}-alt", tooltip=f"{tooltip} (also while typing)"),
    ]  # fmt: skip


KEYS: list[BindingType] = [
    Binding("f5,r", "run", "Run", key_display="F5", id="attention.run",
            tooltip="Run the model on the text"),
    Binding("f6", "pick_model", "Model", key_display="F6", priority=True, id="attention.model",
            tooltip="Choose another model: starter, cache, path or hub id"),
    Binding("m", "pick_model", "Model", show=False, id="attention.model-letter",
            tooltip="Choose another model (while no text is being typed)"),
    Binding("f7", "load_options", "Load", show=False, priority=True, id="attention.load",
            tooltip="How the model is loaded: dtype, quantization, device, random weights"),
    Binding("f3,left_square_bracket", "tab(-1)", "Tab before", show=False,
            id="attention.previous-tab", tooltip="The tab before this one"),
    Binding("f4,right_square_bracket", "tab(1)", "Next tab", key_display="F4",
            id="attention.next-tab", tooltip="The next tab"),
    *_both("e", "step('metric')", "Metric", "metric", "The next metric of the heads"),
    *_both("u", "step('map')", "Map of", "map",
           "What the map is of: the head, a mean, the rollout"),
    *_both("x", "step('hide')", "Hide", "hide", "Hide special tokens, then all but words"),
    *_both("f", "more", "Filters", "filters",
           "Show or hide the second line: filters, the decoder's text, long texts", show=False,
           alt="l"),  # to Textual, alt+f is a word forth
    *_both("w", "layout", "Wider", "layout", "All the room to the map, then to the grid",
           show=False),
    *_both("g", "tokenize", "Tokenize", "tokenize",
           "See the selected token on the Tokenize screen", show=False),
    *_both("p", "pixels", "Pixels", "pixels",
           "The map as real pixels, where the terminal has them", show=False),
    Binding("less_than_sign,comma", "window(-1)", "Window before", show=False,
            id="attention.window-before", tooltip="The window before, of a long text"),
    Binding("greater_than_sign,full_stop", "window(1)", "Next window", show=False,
            id="attention.window-next", tooltip="The next window of a long text"),
    Binding("ctrl+o", "open_file", "Open file", show=False, priority=True, id="attention.open",
            tooltip="Take the text from a local file"),
]  # fmt: skip
