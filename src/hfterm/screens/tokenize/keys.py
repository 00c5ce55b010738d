"""The keys of the Tokenize screen.

The function keys have priority because a text area uses F6 and F7 itself, and those with Alt
because a terminal sends their letter along, which a text area would take; the letters have none,
so that they can be typed.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType

KEYS: list[BindingType] = [
    Binding("f6", "pick_model", "Model", key_display="F6", priority=True, id="tokenize.model",
            tooltip="Open another tokenizer: starter, cache, path or hub id"),
    Binding("m", "pick_model", "Model", show=False, id="tokenize.model-letter",
            tooltip="Open another tokenizer (while no text is being typed)"),
    Binding("f7,ctrl+o", "open_file", "Open", key_display="F7", priority=True, id="tokenize.open",
            tooltip="Tokenize a whole local file"),
    Binding("f3,left_square_bracket", "tab(-1)", "Tab before", show=False,
            id="tokenize.previous-tab", tooltip="The tab before this one"),
    Binding("f4,right_square_bracket", "tab(1)", "Next tab", key_display="F4",
            id="tokenize.next-tab", tooltip="The next tab"),
    Binding("alt+p", "toggle_pair", "Pair", show=False, priority=True, id="tokenize.pair",
            tooltip="A second sequence, as for question and context"),
    Binding("p", "toggle_pair", "Pair", show=False, id="tokenize.pair-letter",
            tooltip="A second sequence (while no text is being typed)"),
    Binding("alt+s", "toggle_specials", "Specials", show=False, priority=True,
            id="tokenize.specials",
            tooltip="With or without the special tokens the post-processor adds"),
    Binding("s", "toggle_specials", "Specials", show=False, id="tokenize.specials-letter",
            tooltip="With or without special tokens (while no text is being typed)"),
    Binding("alt+n", "new_text", "New text", show=False, priority=True, id="tokenize.new",
            tooltip="Leave the file and type a text again"),
    Binding("n", "new_text", "New text", show=False, id="tokenize.new-letter",
            tooltip="Leave the file and type again (while no text is being typed)"),
]  # fmt: skip
