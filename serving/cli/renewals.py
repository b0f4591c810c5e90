"""The forecast of `renewcast renewals`."""

from __future__ import annotations

from pathlib import Path

from features.utils.cli import progress_bar, write_result
from features.utils.progress import subprogress
from serving.cli.context import assess_signals, frame_writer, selected_champion
from serving.cli.filter_options import NO_OPTIONS, Chosen, select_from_signals


def forecast(
    signals: str,
    as_of: str | None,
    period: str | None,
    days: int | None,
    out: Path | None,
    engine: str,
    as_json: bool,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Forecast the contracts that are due and print or write the forecast.

    Parameters
    ----------
    period, days : a quarter or month, or a number of days ahead; 90 days if neither is given.
    out : a file for every account due.
    only : the options that filter the accounts.

    Raises
    ------
    BadRequest : the period or days cannot be forecast, or the file type is unknown.
    """
    from features.signals.cutoff import cutoff_of
    from features.utils.periods import forecast_period
    from models.home import current_home
    from models.predictions.table_export import suffix_of
    from serving.cli.tables.renewals import print_renewals
    from serving.renewals.forecast import accounts_frame, forecast_renewals
    from serving.renewals.inputs import inputs_from_signals

    if out is not None:
        suffix_of(out)
    instant = cutoff_of(signals, as_of, engine)
    asked = forecast_period(instant, period, days)
    with progress_bar("forecasting renewals") as tell:
        champion = selected_champion()
        opened, found = assess_signals(signals, instant, engine, champion, subprogress(tell, 0.0, 0.9))
        selection = select_from_signals(only, opened, instant, found, champion)
        payload = forecast_renewals(found, asked, inputs_from_signals(opened, instant, current_home()), selection)
    file = frame_writer(accounts_frame(payload))
    write_result(as_json, lambda: payload, lambda console: print_renewals(payload, console), out, file)
