"""The renewal forecast, as `renewals` tells it."""

from __future__ import annotations

from pathlib import Path

from features.utils.cli import progress_bar, write_result
from features.utils.progress import subprogress
from serving.cli.context import champion_at_hand, frame_file, portfolio_at_hand


def forecast(
    signals: str, as_of: str, period: str | None, days: int | None, out: Path | None, engine: str, as_json: bool
) -> None:
    """Tell what will become of the contracts that are due.

    Parameters
    ----------
    period, days : a quarter or a month, or the next so many days; 90 days if neither is given.
    out : a file for every account due.

    Raises
    ------
    BadRequest : period and days that cannot be forecast, or a file of another kind.
    """
    from features.utils.dates import parse_instant
    from features.utils.periods import forecast_period
    from models.home import current_home
    from models.predictions.table_export import suffix_of
    from serving.cli.tables.renewals import print_renewals
    from serving.renewals.forecast import accounts_frame, renewals_of
    from serving.renewals.inputs import known_from

    if out is not None:
        suffix_of(out)
    instant = parse_instant(as_of)
    asked = forecast_period(instant, period, days)
    with progress_bar("looking ahead") as tell:
        opened, found = portfolio_at_hand(signals, instant, engine, champion_at_hand(), subprogress(tell, 0.0, 0.9))
        told = renewals_of(found, asked, known_from(opened, instant, current_home()))
    file = frame_file(accounts_frame(told))
    write_result(as_json, lambda: told, lambda console: print_renewals(told, console), out, file)
