"""A whole simulated portfolio: lived through, written down, and the truth about its next 90 days beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.errors import BadRequest
from training.simulation.calendar import FIRST_YEAR, LAST_YEAR, SECONDS_A_DAY, day_number
from training.simulation.history import SimulatedHistory, simulate_history
from training.simulation.random_streams import random_stream
from training.simulation.tables.billing import billing_table, subscriptions_table
from training.simulation.tables.company import company_table, interventions_table
from training.simulation.tables.contacts import accounts_table as account_table
from training.simulation.tables.contacts import relationship_table
from training.simulation.tables.engagement import engagement_table, support_table
from training.simulation.tables.event_rows import account_ids, choice_array, float_array, timestamp_array
from training.simulation.tables.outcomes import outcomes_table
from training.simulation.tables.usage import usage_table
from training.simulation.tables.write import SimulationPaths, atomic_output, write_table
from training.simulation.true_probabilities import true_probabilities

MIN_ACCOUNTS, MAX_ACCOUNTS = 20, 90_000
MIN_WEEKS, MAX_WEEKS = 26, 1_040
TRUE_PROBABILITY_WEEKS_BACK = (52, 39, 26, 22, 18, 0)
"""Weeks before the end for which the truth is told; from 18 on, 90 days and 30 of grace still lie within the data."""
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


@dataclass(frozen=True)
class SimulationSummary:
    """What was written. Shares are 0 to 1; ``monthly_churn`` is in accounts lost a month, of those running.

    ``rows`` is the number of rows per table, ``truth`` included. ``as_ofs`` are the dates (midnight UTC) with truth.
    ``involuntary_share`` is that of the churned accounts lost to a failed payment (NaN if none churned).
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
        """The summary as a person reads it, a line each."""
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
) -> SimulationSummary:
    """Write a B2B SaaS portfolio as a folder of Parquet tables, and ``<folder>-truth.parquet`` beside it.

    The tables keep the contract of docs/reference/signals.md. The file of the truth holds ``account_id``, ``as_of``,
    ``churn`` and ``expansion``: the true probabilities in ``[as_of, as_of + 90 days)`` for the accounts active at a few
    dates. The same arguments write the same bytes. An earlier simulation in the same place is replaced with its truth,
    all at once; those beside it keep theirs.

    Parameters
    ----------
    out : the folder; its parents are made.
    accounts : how many there are in all, those that arrive during the time included (20 or more).
    weeks : how far back the data reach (26 or more).
    end : the day on which the data end, at 00:00 UTC; nothing has happened then or later.
    progress : called with the share done (0 to 1) and what is being done.

    Raises
    ------
    BadRequest : a number out of its range, or a place that holds something else.
    HomeError : a place that cannot be written.
    """
    _require_range("accounts", accounts, MIN_ACCOUNTS, MAX_ACCOUNTS)
    _require_range("weeks", weeks, MIN_WEEKS, MAX_WEEKS)
    _require_range("seed", seed, 0, 2**63)
    _require_range("the year of the end", end.year, FIRST_YEAR, LAST_YEAR)
    target = SimulationPaths.at(out)
    tell = progress or (lambda share, what: None)
    told = json.dumps({"accounts": accounts, "weeks": weeks, "seed": seed, "end": end.isoformat()})
    rows: dict[str, int] = {}
    with atomic_output(target) as (folder, truth_file):
        tell(0.0, "living through the weeks")
        history = simulate_history(accounts, weeks, seed, day_number(end))
        for number, (name, emit) in enumerate(_TABLES.items()):
            tell(0.05 + 0.02 * number, f"writing {name}")
            table = emit(history)
            slices = [table] if isinstance(table, pa.Table) else table
            rows[name] = write_table(slices, folder / f"{name}.parquet", told)
        back = [weeks_back for weeks_back in TRUE_PROBABILITY_WEEKS_BACK if weeks_back + _WARM_UP_WEEKS <= weeks]
        rows["truth"] = write_table(_true_probability_tables(history, back, tell), truth_file, told)
    tell(1.0, "written")
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


def _require_range(what: str, found: int, lowest: int, highest: int) -> None:
    if not lowest <= found <= highest:
        raise BadRequest(f"{what}: {found}", f"{what} from {lowest} to {highest}")


def _true_probability_tables(
    history: SimulatedHistory, back: list[int], tell: Callable[[float, str], None]
) -> Iterable[pa.Table]:
    """The truth at the dates so many weeks before the end, one slice each."""
    for number, weeks_back in enumerate(back):
        as_of = history.end - 7 * weeks_back
        at_start = 0.45 + 0.55 * number / len(back)
        found = true_probabilities(
            history.world,
            history.after[history.weeks - weeks_back - 1],
            as_of,
            random_stream(history.seed, f"truth {weeks_back}"),
            progress=partial(_report_progress, tell, at_start, 0.55 / len(back)),
        )
        yield pa.table(
            {
                "account_id": choice_array(account_ids(history), found.account),
                "as_of": timestamp_array(np.full(len(found.account), as_of * SECONDS_A_DAY)),
                "churn": float_array(found.churn),
                "expansion": float_array(found.expansion),
            }
        )


def _report_progress(tell: Callable[[float, str], None], begun: float, span: float, share: float) -> None:
    tell(begun + span * share, "working out the truth")
