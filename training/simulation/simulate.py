"""Simulate a portfolio, and write its tables and the true probabilities of its next 90 days."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.errors import BadRequest
from training.simulation.calendar import FIRST_YEAR, LAST_YEAR, SECONDS_A_DAY, day_number
from training.simulation.history import SimulatedHistory, simulate_history
from training.simulation.market_options import MarketOptions
from training.simulation.order_process import draw_orders, true_order_probabilities
from training.simulation.presets import Pricing
from training.simulation.random_streams import random_stream
from training.simulation.tables.additions import COLUMNS, Addition, check_additions, pulse_table
from training.simulation.tables.billing import billing_table, subscriptions_table
from training.simulation.tables.company import company_table, interventions_table
from training.simulation.tables.contacts import accounts_table as account_table
from training.simulation.tables.contacts import relationship_table
from training.simulation.tables.engagement import engagement_table, support_table
from training.simulation.tables.event_rows import account_ids, choice_array, float_array, timestamp_array
from training.simulation.tables.orders import orders_table
from training.simulation.tables.outcomes import outcomes_table
from training.simulation.tables.usage import usage_table
from training.simulation.tables.write import SimulationPaths, atomic_output, write_parquet
from training.simulation.true_probabilities import FUTURES, TrueProbabilities, true_probabilities

MIN_ACCOUNTS, MAX_ACCOUNTS = 20, 90_000
MIN_WEEKS, MAX_WEEKS = 26, 1_040
TRUE_PROBABILITY_WEEKS_BACK = (52, 39, 26, 22, 18, 0)
"""Weeks before the end with true probabilities. From 18 on, 90 days and 30 days of grace are within the data."""
_WARM_UP_WEEKS = 8
_TABLES: dict[str, Callable[[SimulatedHistory], pa.Table | Iterable[pa.Table]]] = {
    "accounts": account_table,
    "subscriptions": subscriptions_table,
    "engagement": engagement_table,
    "support": support_table,
    "outcomes": outcomes_table,
    "relationship": relationship_table,
    "billing": billing_table,
    "company": company_table,
    "interventions": interventions_table,
    "usage": usage_table,
}
_ORDER_TABLES: dict[str, Callable[[SimulatedHistory], pa.Table | Iterable[pa.Table]]] = {
    "orders": orders_table,
    **{name: table for name, table in _TABLES.items() if name not in {"subscriptions", "billing", "usage"}},
}
"""Tables of a portfolio without contracts."""


@dataclass(frozen=True)
class SimulationSummary:
    """Summary of a simulation. Shares are 0 to 1; ``monthly_churn`` is the average monthly churn rate.

    ``rows`` is the number of rows per table, ``truth`` included. ``as_ofs`` are the dates (midnight UTC) with
    true probabilities.
    ``involuntary_share`` is the share of churned accounts lost to a failed payment (NaN if none churned).
    """

    folder: Path
    truth: Path
    rows: dict[str, int]
    accounts: int
    weeks: int
    seed: int
    end: date
    as_ofs: tuple[date, ...]
    churned: int
    monthly_churn: float
    involuntary_share: float

    def text(self) -> str:
        """Return the summary as two lines of text."""
        events = sum(self.rows.values()) - self.rows["truth"] - self.rows["accounts"]
        return (
            f"{self.accounts:,} accounts and {events:,} rows of {self.weeks} weeks up to {self.end} in {self.folder}\n"
            f"{self.churned:,} accounts churned ({self.monthly_churn:.1%} a month); "
            f"the true probabilities are in {self.truth}"
        )


def simulate(
    out: Path,
    accounts: int = 500,
    weeks: int = 156,
    seed: int = 0,
    end: date = date(2026, 9, 30),
    progress: Callable[[float, str], None] | None = None,
    options: MarketOptions | None = None,
    additions: Collection[str] = (),
) -> SimulationSummary:
    """Simulate a B2B SaaS portfolio, and write it as a folder of Parquet tables and ``<folder>-truth.parquet``.

    The tables follow the data contract in docs/reference/signals.md. The truth file contains ``account_id``, ``as_of``,
    ``churn`` and ``expansion``: the true probabilities in ``[as_of, as_of + 90 days)`` for the active accounts on a few
    dates. The same arguments write the same bytes. An earlier simulation in the same place is replaced together with
    its truth file.

    Parameters
    ----------
    out : the folder; missing parents are created.
    accounts : total number of accounts, including those that arrive later (20 or more).
    weeks : length of the history (26 or more).
    seed : of the random numbers.
    end : the day on which the data end, at 00:00 UTC.
    progress : called with the share done (0 to 1) and a description of the current step.
    options : the preset of the market and its settings; by default those of the default preset.
    additions : optional parts (`training.simulation.tables.additions.ADDITIONS`). They change no other value.

    Returns
    -------
    A summary of the written files.

    Raises
    ------
    BadRequest
        A number is out of range, the preset or an optional part is unknown, or the folder contains other files.
    HomeError
        The folder cannot be written.
    """
    _require_range("accounts", accounts, MIN_ACCOUNTS, MAX_ACCOUNTS)
    _require_range("weeks", weeks, MIN_WEEKS, MAX_WEEKS)
    _require_range("seed", seed, 0, 2**63)
    _require_range("the year of the end", end.year, FIRST_YEAR, LAST_YEAR)
    target = SimulationPaths.at(out)
    report = progress or (lambda share, what: None)
    options = options or MarketOptions()
    market = options.market()
    parts = check_additions(additions, market.pricing)
    about = {"accounts": accounts, "weeks": weeks, "seed": seed, "end": end.isoformat(), **options.as_dict()}
    metadata = json.dumps(about | ({"additions": sorted(parts)} if parts else {}))
    rows: dict[str, int] = {}
    with atomic_output(target) as (folder, truth_file):
        report(0.0, "simulating the weeks")
        history = simulate_history(accounts, weeks, seed, day_number(end), market)
        for number, (name, slices) in enumerate(portfolio_tables(history, parts)):
            report(0.05 + 0.02 * number, f"writing {name}")
            rows[name] = write_parquet(slices, folder / f"{name}.parquet", metadata)
        back = [weeks_back for weeks_back in TRUE_PROBABILITY_WEEKS_BACK if weeks_back + _WARM_UP_WEEKS <= weeks]
        rows["truth"] = write_parquet(_true_probability_tables(history, back, report), truth_file, metadata)
    report(1.0, "done")
    return SimulationSummary(
        folder=target.folder,
        truth=target.truth,
        rows=rows,
        accounts=accounts,
        weeks=weeks,
        seed=seed,
        end=end,
        as_ofs=tuple(date.fromordinal(end.toordinal() - 7 * weeks_back) for weeks_back in back),
        churned=int((history.left_on < history.end).sum()),
        monthly_churn=history.monthly_churn,
        involuntary_share=history.involuntary_share,
    )


def portfolio_tables(
    history: SimulatedHistory, additions: Collection[Addition]
) -> Iterator[tuple[str, Iterable[pa.Table]]]:
    """Yield the name of each table of a history, and its slices.

    Parameters
    ----------
    history : the simulated history.
    additions : optional parts.
    """
    tables = _ORDER_TABLES if history.traits.market.pricing is Pricing.ORDERS else _TABLES
    if "pulse" in additions:
        tables = {**tables, "pulse": pulse_table}
    for name, emit in tables.items():
        table = emit(history)
        slices: Iterable[pa.Table] = [table] if isinstance(table, pa.Table) else table
        for part, extend in COLUMNS.items():
            slices = extend(history, name, slices) if part in additions else slices
        yield name, slices


def _require_range(what: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise BadRequest(f"{what} is {value}", f"{lowest} to {highest}")


def true_probabilities_of(
    history: SimulatedHistory,
    weeks_back: int = 0,
    futures: int = FUTURES,
    progress: Callable[[float], None] = lambda share: None,
) -> TrueProbabilities:
    """Estimate the true probabilities of a history, of any preset, some weeks before its end.

    Parameters
    ----------
    history : the simulated history.
    weeks_back : weeks from the date to the end of the data.
    futures : number of simulated futures per account.
    progress : called with the share done, 0 to 1.
    """
    rng = random_stream(history.seed, f"truth {weeks_back}")
    if history.traits.market.pricing is Pricing.ORDERS:
        return true_order_probabilities(history, draw_orders(history), weeks_back, rng, futures, progress)
    state = history.after[history.weeks - weeks_back - 1]
    return true_probabilities(history.traits, state, history.end - 7 * weeks_back, rng, futures, progress)


def _true_probability_tables(
    history: SimulatedHistory, back: list[int], report: Callable[[float, str], None]
) -> Iterable[pa.Table]:
    """True probabilities on the dates ``back`` weeks before the end, one table each."""
    for number, weeks_back in enumerate(back):
        as_of = history.end - 7 * weeks_back
        at_start = 0.45 + 0.55 * number / len(back)
        truth = true_probabilities_of(
            history, weeks_back, progress=partial(_report_progress, report, at_start, 0.55 / len(back))
        )
        yield pa.table(
            {
                "account_id": choice_array(account_ids(history), truth.account),
                "as_of": timestamp_array(np.full(len(truth.account), as_of * SECONDS_A_DAY)),
                "churn": float_array(truth.churn),
                "expansion": float_array(truth.expansion),
            }
        )


def _report_progress(report: Callable[[float, str], None], begun: float, span: float, share: float) -> None:
    report(begun + span * share, "computing true probabilities")
