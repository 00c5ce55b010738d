"""The keys of the Chat screen and of the conversation on it.

Those with Alt have priority because a terminal sends their letter along, which a text area would
take.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType

KEYS: list[BindingType] = [
    Binding("f5", "again", "Again", key_display="F5", id="chat.again",
            tooltip="Go on with an answer that was cut short; else answer again"),
    Binding("f6", "pick_model", "Model", key_display="F6", priority=True, id="chat.model",
            tooltip="Choose another model: starter, cache, path or hub id"),
    Binding("f7", "load_options", "Load", key_display="F7", priority=True, id="chat.load",
            tooltip="How the model is loaded, what that takes, and which adapter is on top"),
    Binding("f3,left_square_bracket", "tab(-1)", "Tab before", show=False,
            id="chat.previous-tab", tooltip="The tab before this one"),
    Binding("f4,right_square_bracket", "tab(1)", "Next tab", key_display="F4",
            id="chat.next-tab", tooltip="The next tab"),
    Binding("alt+n", "new", "New", key_display="alt+n", priority=True, id="chat.new",
            tooltip="Begin a new conversation; this one is kept"),
    Binding("alt+s", "settings", "Sampling", key_display="alt+s", priority=True,
            id="chat.settings", tooltip="Show the sampling and the system prompt, or hide them"),
    Binding("alt+e", "editor", "$EDITOR", show=False, priority=True, id="chat.editor",
            tooltip="Write the message in $EDITOR"),
    Binding("alt+u", "unload", "Unload", show=False, priority=True, id="chat.unload",
            tooltip="Let the model go: its process ends, and all its memory is free"),
]  # fmt: skip

TURN_KEYS: list[BindingType] = [
    Binding("alt+g", "regenerate", "Another answer", show=False, priority=True,
            id="chat.regenerate", tooltip="Generate another answer; this one is kept beside it"),
    Binding("g", "regenerate", "Another answer", show=False, id="chat.regenerate-letter",
            tooltip="Generate another answer; this one is kept beside it"),
    Binding("alt+c", "go_on", "Go on", show=False, priority=True, id="chat.continue",
            tooltip="Go on with the answer where it ended"),
    Binding("c", "go_on", "Go on", show=False, id="chat.continue-letter",
            tooltip="Go on with the answer where it ended"),
    Binding("alt+m", "edit", "Edit", show=False, priority=True, id="chat.edit",
            tooltip="Change the text of the turn; the old one is kept beside it"),
    Binding("e", "edit", "Edit", show=False, id="chat.edit-letter",
            tooltip="Change the text of the turn; the old one is kept beside it"),
    Binding("alt+t", "tokens", "Tokens", show=False, priority=True, id="chat.tokens",
            tooltip="The answer's tokens: probability, entropy, alternatives"),
    Binding("t", "tokens", "Tokens", show=False, id="chat.tokens-letter",
            tooltip="The answer's tokens: probability, entropy, alternatives"),
    Binding("alt+p", "prompt", "Raw prompt", show=False, priority=True, id="chat.prompt",
            tooltip="The prompt as the template made it"),
    Binding("p", "prompt", "Raw prompt", show=False, id="chat.prompt-letter",
            tooltip="The prompt as the template made it"),
    Binding("alt+d", "drop_oldest", "Drop oldest", show=False, priority=True, id="chat.drop",
            tooltip="Leave the oldest turns out of the prompt, as many as it takes to fit"),
    Binding("left,alt+left", "turn_to(-1)", "Branch before", show=False, id="chat.previous-way",
            tooltip="The branch of the conversation before this one"),
    Binding("right,alt+right", "turn_to(1)", "Next branch", show=False, id="chat.next-way",
            tooltip="The next branch of the conversation"),
]  # fmt: skip
