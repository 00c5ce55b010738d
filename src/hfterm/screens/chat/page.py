"""What every tab of the Chat screen is, and what they tell the screen."""

from __future__ import annotations

from textual.message import Message

from hfterm.widgets.tab_page import TabPage


class TokensWanted(Message):
    """The tokens of an answer should be seen."""

    def __init__(self, message: int) -> None:
        super().__init__()
        self.message = message


class GoOnFrom(Message):
    """An answer should go on from one of its tokens, another in its place."""

    def __init__(self, message: int, at: int, token_id: int) -> None:
        super().__init__()
        self.message, self.at, self.token_id = message, at, token_id


class ConversationWanted(Message):
    """A conversation that was kept should be gone on with."""

    def __init__(self, conversation: int) -> None:
        super().__init__()
        self.conversation = conversation


class ChatPage(TabPage):
    """A tab."""

    HELP = "## Chat\n`F3` and `F4` go through the tabs."

    def come(self) -> None:
        """The page came in sight."""

    def again(self) -> None:
        """Do again what the page does."""

    def show_prompt(self, prompt: str) -> None:
        """A window with what the model read last, or the reason that there is none."""
        if not prompt:
            self.notice.show("No prompt was made yet.", "Send a message first.", "note")
            return
        from hfterm.screens.chat.prompt_modal import PromptModal

        self.app.push_screen(PromptModal(prompt))
