"""The command that drafts a mapping of a company's own tools: `connect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.utils.cli import AsJson, print_json, progress_bar, write_result

app = typer.Typer()


@app.command()
def connect(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Folder of exports, database address or object store of each tool; NAME=SOURCE gives it a name.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the mapping to this .toml file.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE.OPTION=VALUE", help="An option of a pack; repeat for several."),
    ] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="Write the SQL of the packs into the mapping, to be edited.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Only print the JSON Schema of mapping files, for editors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recognize tools by their tables, and draft the mapping to the data contract.

    Lists what the mapping assumes, with counts. The last line is to compare with your own figures."""
    if schema:
        from features.sources.mapping.json_schema import mapping_schema

        print_json(mapping_schema())
        return
    from features.connect.connection import connect as run
    from features.errors import BadRequest
    from training.cli.tables.connect import print_connection

    if not sources:
        raise BadRequest("there is no source", "at least one folder, database or object store", "add SOURCE")
    with progress_bar("connecting") as progress:
        result = run(sources, out, _options(option), expand=expand, force=force, progress=progress)
    write_result(as_json, result.as_dict, lambda console: print_connection(result, console))


def _options(given: list[str] | None) -> dict[str, str]:
    """Parse ``SOURCE.OPTION=VALUE``."""
    from features.errors import BadRequest

    options = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign:
            raise BadRequest("--option is not valid", "SOURCE.OPTION=VALUE, such as crm.arr_column=arr__c")
        options[name.strip()] = value.strip()
    return options
