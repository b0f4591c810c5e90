"""`card`: print or write model cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, write_result

app = typer.Typer()


@app.command()
def card(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the cards to a .md, .html or .json file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the champions' model cards: intended use, data, metrics with intervals, limits, and who promoted them."""
    from features.utils.atomic_files import write_file
    from features.utils.formatting import count_of
    from models.artifacts.champion_bundles import champion_documents
    from models.home import current_home
    from serving.portfolio.model_card_markdown import card_markdown
    from serving.portfolio.model_cards import model_cards

    kinds = (".md", ".html", ".json")
    if out is not None and out.suffix not in kinds:
        raise BadRequest(
            f"unsupported file extension for a card: {out.suffix or 'none'}",
            ", ".join(kinds),
        )
    home = current_home()
    cards = model_cards(home, champion_documents(home))
    if not cards:
        raise BadRequest("there is no champion", "a promoted model", "train one with `renewcast train`")

    def write(out: Path) -> str:
        if out.suffix == ".html":
            from serving.pages.model_card import cards_html

            text = cards_html(cards)
        else:
            text = json.dumps(cards, indent=1) + "\n" if out.suffix == ".json" else card_markdown(cards)
        write_file(out, text)
        return f"{count_of(len(cards), 'model card')} in {out}"

    write_result(as_json, lambda: cards, lambda _: typer.echo(card_markdown(cards), nl=False), out, write)
