"""The keys of the Predict screen.

The function keys have priority because a text area uses F6 and F7 itself, and those with Alt
because a terminal sends their letter along, which a text area would take.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType

KEYS: list[BindingType] = [
    Binding("f5,r", "run", "Run", key_display="F5", id="predict.run",
            tooltip="Run the model on the text, or on the file"),
    Binding("f6", "pick_model", "Model", key_display="F6", priority=True, id="predict.model",
            tooltip="Choose another model: starter, cache, path or hub id"),
    Binding("m", "pick_model", "Model", show=False, id="predict.model-letter",
            tooltip="Choose another model (while no text is being typed)"),
    Binding("f7", "load_options", "Load", key_display="F7", priority=True, id="predict.load",
            tooltip="How the model is loaded: dtype, quantization, device, random weights"),
    Binding("f3,left_square_bracket", "tab(-1)", "Tab before", show=False,
            id="predict.previous-tab", tooltip="The tab before this one"),
    Binding("f4,right_square_bracket", "tab(1)", "Next tab", key_display="F4",
            id="predict.next-tab", tooltip="The next tab"),
    Binding("alt+t", "task", "Next task", show=False, priority=True, id="predict.task",
            tooltip="The next task"),
    Binding("t", "task", "Next task", show=False, id="predict.task-letter",
            tooltip="The next task (while no text is being typed)"),
    Binding("ctrl+o", "open_file", "Open file", show=False, priority=True, id="predict.open",
            tooltip="Take the text from a local file"),
]  # fmt: skip
