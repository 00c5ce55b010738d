"""``hfterm library``: what is on this machine; bring, check and delete."""

from __future__ import annotations

from typing import Annotated

import typer

from hfterm.cli_work import AsJson, ask, failed, print_json, print_rows
from hfterm.errors import HftermError
from hfterm.library.types import LibraryItem
from hfterm.text import displayable

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name in the list.")]

library_app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(library_app, name="library", help="What is on this machine, and downloads.")


@library_app.callback(invoke_without_command=True)
def library(context: typer.Context, as_json: AsJson = False) -> None:
    """List models, adapters, tokenizers and data sets, those read last first."""
    if context.invoked_subcommand is not None:
        return
    from hfterm.engine.library_requests import ListLibrary
    from hfterm.sizes import size_text
    from hfterm.widgets.library_tables import LibraryRows

    found = ask(ListLibrary(folders=_folders()))
    if as_json:
        print_json(found)
        return
    for problem in found.problems:
        typer.echo(f"! {displayable(problem)}", err=True)
    if not found.items:
        typer.echo("Nothing is here yet. hfterm starter brings the starter kit.", err=True)
        return
    print_rows(LibraryRows(found.items))
    free = f", {size_text(found.free)} free" if found.free is not None else ""
    typer.echo(f"{size_text(sum(item.size for item in found.items))}{free}", err=True)


@library_app.command()
def download(
    ref: Annotated[str, typer.Argument(metavar="ID", help="A hub id: owner/name.")],
    dataset: Annotated[bool, typer.Option("--dataset", help="It is a data set.")] = False,
    revision: Annotated[str, typer.Option(help="A branch, tag or commit.")] = "",
    files: Annotated[
        list[str] | None, typer.Option("--files", help="A pattern of files, such as *.gguf.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Every file, not only what loading needs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a repository of the hub into the cache; what arrived before a Ctrl+C stays."""
    from hfterm.engine.library_requests import Fetch, PlanDownload
    from hfterm.library.wanted import wanted

    allow, ignore = wanted(
        "dataset" if dataset else "model", "everything" if everything else "what loading needs",
        tuple(files or ()),
    )  # fmt: skip
    plan = ask(
        PlanDownload(
            ref=ref, kind="dataset" if dataset else "model", revision=revision, allow=allow,
            ignore=ignore,
        )
    )  # fmt: skip
    folder = ask(Fetch(plan=plan), progress=True)
    if as_json:
        print_json(
            {"ref": ref, "commit": plan.commit, "bytes": plan.size, "files": len(plan.files),
             "path": folder}
        )  # fmt: skip
    else:
        typer.echo(folder)


@library_app.command()
def verify(name: Name, as_json: AsJson = False) -> None:
    """Read every byte of a thing and compare it with the hash that the hub names."""
    from hfterm.engine.library_requests import VerifyItem

    item = _find(name)
    found = ask(VerifyItem(item=item), progress=True)
    if as_json:
        print_json(found)
    for file, wrong in () if as_json else found.wrong:
        typer.echo(displayable(f"{file}: {wrong}" if file else wrong))
    if found.wrong:
        raise failed(
            HftermError(
                "damaged",
                f"{item.ref} is damaged.",
                "Delete it and bring it again." if item.deletable else "Write it again.",
            )
        )
    if not as_json:
        typer.echo(f"{found.right:,} files as they should be, {found.unknown:,} without a hash.")


@library_app.command()
def delete(
    name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete what hfterm or the hub brought, after saying what that frees."""
    from hfterm.engine.library_requests import DeleteItem, FreedBy
    from hfterm.sizes import size_text

    item = _find(name)
    freed = ask(FreedBy(item=item))
    told = displayable(f"{item.ref}, {item.place}: {size_text(freed)}")
    if not yes and not typer.confirm(f"Delete {told}?", err=True):
        raise typer.Exit(1)
    ask(DeleteItem(item=item))
    typer.echo(f"Deleted {told}.")


def _find(name: str) -> LibraryItem:
    from hfterm.engine.library_requests import ListLibrary

    items = ask(ListLibrary(folders=_folders())).items
    found = [item for item in items if item.ref == name]
    if len(found) != 1:
        near = ", ".join(item.ref for item in items[:12])
        remedy = f"There is: {near}." if near else "hfterm starter brings the starter kit."
        raise failed(HftermError("not-found", f"Nothing here is called {name!r}.", remedy))
    return found[0]


def _folders() -> tuple[str, ...]:
    """The folders that the settings name."""
    from hfterm import paths, settings

    wanted, _ = settings.load(paths.settings_file())
    return wanted.folders
