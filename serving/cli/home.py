"""`home`: show the portfolio that the home belongs to, and store how its amounts and dates are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import BadRequest
from features.utils.cli import AsJson, Engine, progress_bar, write_result

if TYPE_CHECKING:
    from models.home import Home

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
    currency: Annotated[
        str | None,
        typer.Option("--currency", metavar="CODE", help="Store the base currency, such as EUR; none removes it."),
    ] = None,
    date_order: Annotated[
        str | None,
        typer.Option(
            "--date-order", metavar="ORDER", help="Store the order of dates: dmy, mdy or ymd; none removes it."
        ),
    ] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Show which portfolio the home belongs to: name, kind of business, tables and known accounts.

    With --currency or --date-order, store how amounts and dates are shown by all commands and the service.

    With SIGNALS, check that they belong to the same portfolio (exit code 2 if not)."""
    from features.signals.signals import open_signals
    from features.utils.formatting import count_of, day
    from models.artifacts.home_portfolio import current_user, read_identity, record_same_portfolio, require_portfolio
    from models.home import current_home
    from models.portfolio_settings import read_portfolio_settings

    home = current_home().require_own()
    if currency is not None or date_order is not None:
        _store(home, currency, date_order)
    stored = read_portfolio_settings(home)
    shown = f"currency: {stored.currency or 'none'}; order of dates: {stored.date_order or 'dmy'}"
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
            lambda: {"home": str(home.root), "portfolio": None, "settings": stored.model_dump()},
            lambda console: console.print(f"{home.root} belongs to no portfolio yet\n{shown}", markup=False),
        )
        return
    payload = identity.model_dump(mode="json", exclude={"sample", "key", "format_version"})
    lines = [
        f"{home.root} belongs to {identity.name}: {identity.kind}, {count_of(identity.accounts, 'known account')}",
        f"tables: {', '.join(identity.tables)}",
        shown,
        *(f"{day(each.at)}: {each.who} recorded new ids of the same portfolio: {each.why}" for each in identity.same),
    ]
    write_result(
        as_json,
        lambda: {"home": str(home.root), "portfolio": payload, "settings": stored.model_dump()},
        lambda console: console.print("\n".join(lines), markup=False),
    )


def _store(home: Home, currency: str | None, date_order: str | None) -> None:
    """Store the given settings of a home; "none" removes one.

    Raises
    ------
    BadRequest : a value cannot be used.
    """
    from pydantic import ValidationError

    from models.portfolio_settings import (
        PortfolioSettings,
        read_portfolio_settings,
        store_portfolio_settings,
        use_portfolio_settings,
    )

    given = {"currency": currency and currency.upper(), "date_order": date_order and date_order.lower()}
    changed = {name: None if value.lower() == "none" else value for name, value in given.items() if value is not None}
    try:
        settings = PortfolioSettings.model_validate(read_portfolio_settings(home).model_dump() | changed)
    except ValidationError:
        raise BadRequest(
            "a setting cannot be used",
            "--currency with a code of three letters, such as EUR, --date-order dmy, mdy or ymd, or none",
        ) from None
    store_portfolio_settings(home, settings)
    use_portfolio_settings(home)
