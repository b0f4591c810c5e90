"""`home`: show the portfolio that the home belongs to."""

from __future__ import annotations

from typing import Annotated

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, Engine, progress_bar, write_result

app = typer.Typer()


@app.command("home")
def show_home(
    signals: Annotated[
        str | None, typer.Argument(metavar="SIGNALS", help="Signals to compare with the home's portfolio.")
    ] = None,
    same: Annotated[
        bool,
        typer.Option("--same-portfolio", help="Record that SIGNALS are the same portfolio with new account ids."),
    ] = False,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason. It is recorded.")] = None,
    who: Annotated[
        str | None,
        typer.Option("--by", metavar="NAME", help="Name of the person who decides (default: your user name)."),
    ] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Show which portfolio the home belongs to: name, kind of business, tables and known accounts.

    With SIGNALS, check that they belong to the same portfolio (exit code 2 if not)."""
    from features.signals.signals import open_signals
    from features.utils.formatting import count_of, day
    from models.artifacts.home_portfolio import current_user, read_identity, record_same_portfolio, require_portfolio
    from models.home import current_home

    home = current_home().require_own()
    if same and (signals is None or not why):
        raise BadRequest("--same-portfolio needs signals and a reason", "SIGNALS --same-portfolio --why TEXT")
    if signals is None:
        identity = read_identity(home)
    else:
        with progress_bar("reading") as tell:
            opened = open_signals(signals, None, tell, engine, home.rollups)
            try:
                identity = (
                    record_same_portfolio(home, opened, current_user(who), why or "")
                    if same
                    else require_portfolio(home, opened)
                )
            finally:
                opened.close()
    if identity is None:
        write_result(
            as_json,
            lambda: {"home": str(home.root), "portfolio": None},
            lambda console: console.print(f"{home.root} belongs to no portfolio yet", markup=False),
        )
        return
    payload = identity.model_dump(mode="json", exclude={"sample", "key", "format_version"})
    lines = [
        f"{home.root} belongs to {identity.name}: {identity.kind}, {count_of(identity.accounts, 'known account')}",
        f"tables: {', '.join(identity.tables)}",
        *(f"{day(each.at)}: {each.who} recorded new ids of the same portfolio: {each.why}" for each in identity.same),
    ]
    write_result(
        as_json,
        lambda: {"home": str(home.root), "portfolio": payload},
        lambda console: console.print("\n".join(lines), markup=False),
    )
