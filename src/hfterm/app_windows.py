"""The windows that open over whichever screen is in sight."""

from __future__ import annotations

import asyncio

from textual import work
from textual.app import App
from textual.screen import ModalScreen

from hfterm.engine.client import EngineClient
from hfterm.screens.session_keeper import SessionKeeper
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.settings import Settings


class Windows(App[None]):
    """An application whose screens share the windows of help, code, export, logs and Open in."""

    settings: Settings
    engine: EngineClient
    keeper: SessionKeeper

    def _workbench_screens(self) -> list[WorkbenchScreen]:
        return [screen for screen in self.screen_stack if isinstance(screen, WorkbenchScreen)]

    @property
    def workbench(self) -> WorkbenchScreen | None:
        """The workbench screen in sight, also under a modal."""
        screens = self._workbench_screens()
        return screens[-1] if screens else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ctrl+E exports the screen's table, but is left to a window that is over it."""
        if action == "export" and isinstance(self.screen, ModalScreen):
            return False
        return super().check_action(action, parameters)

    def action_open_in(self) -> None:
        """Open what is open here elsewhere."""
        # over a window that waits for a choice, another beginning would let go of the first
        if self.workbench is not None and not isinstance(self.screen, ModalScreen):
            self._open_in(self.workbench)

    @work(group="open-in", exclusive=True, exit_on_error=False)
    async def _open_in(self, bench: WorkbenchScreen) -> None:
        self.keeper.note(bench)
        bench.recent = self.keeper.recent
        window = bench.open_window()
        if window is None:
            self.notify("Nothing is open here that another screen could take.", severity="warning")
            return
        await asyncio.to_thread(window.look)
        wanted = await self.push_screen_wait(window)
        if wanted is not None:
            bench.post_message(wanted)

    def action_help(self) -> None:
        """Help for what is in sight."""
        from hfterm.screens.bindings import help_text, keys_here
        from hfterm.widgets.modals import HelpModal

        self.push_screen(HelpModal(help_text(self.screen), keys_here(self.screen)))

    def action_code(self) -> None:
        """Show the script."""
        from hfterm.widgets.modals import CodeModal

        code = self.workbench.code() if self.workbench else ""
        if not code:
            self.notify("Nothing is shown yet that code could reproduce.", severity="warning")
            return
        assert self.workbench is not None
        self.push_screen(CodeModal(code, self.workbench.script_name))

    def action_export(self) -> None:
        """Write the table in sight to a file."""
        window = self.workbench.export_window() if self.workbench else None
        if window is None:
            self.notify("There is nothing here to export.", severity="warning")
        else:
            self.push_screen(window)

    @work(thread=True, group="logs", exclusive=True, exit_on_error=False)
    def action_logs(self) -> None:
        """Show the engine's log."""
        from hfterm.system.log_tail import last_lines
        from hfterm.widgets.modals import LogsModal

        file = self.workbench.log_file if self.workbench else self.engine.log_file
        lines = last_lines(file, self.settings.logs_lines)
        self.call_from_thread(self.push_screen, LogsModal(file, lines))
