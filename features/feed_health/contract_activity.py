"""How far a table of contracts shows that it is kept up to date.

New contracts alone do not show it: a mature portfolio may win none for a year. Its contracts still end, get notice,
begin a new term, or move their renewal date. So a feed without new contracts is judged by these as well, unless they
contradict it: where renewed contracts are rows of their own, ends without the next row show that rows are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import ibis
import numpy as np
import pandas as pd

from features.contract.current_contract import current_tables
from features.signals.casting import SourceSchema, conformed_columns, source_schema, source_table
from features.signals.data_through import END, is_recorded_end
from features.sources.base import Source
from features.sources.engine import CUTOFF, collect
from features.utils.arrays import Ints
from features.utils.dates import DAY_SECONDS

CONTINUES = ("renewed", "upgraded", "downgraded")
"""Reasons of ends after which the account has another contract."""
FOLLOWED_DAYS = 30
"""A contract continues another one of its account if it starts at most this many days after its end."""
LONGEST_TERM_DAYS = 3 * 366
"""Contracts that are older than this have been renewed."""
DOUBT = 0.001
"""What has a smaller probability in a feed of the other kind decides between the two."""
SIGNS = ("started_at", "term_started_at", "notice_at", "recorded_end")


@dataclass(frozen=True)
class ContractActivity:
    """The signs that a table of contracts is kept up to date.

    Parameters
    ----------
    last : the newest of them; None without any.
    days : the distinct days with one (whole days since 1970), ascending.
    unfollowed : contracts that ended after the last start and should have been followed by another one.
    """

    last: datetime | None
    days: Ints
    unfollowed: int = 0


def contract_activity(source: Source, end: datetime) -> ContractActivity:
    """Return the signs that the contracts of ``source`` are kept up to date. `CUTOFF` must be set.

    Parameters
    ----------
    source : the source tables, with valid columns.
    end : the end of the data.
    """
    about = ("subscriptions", source_schema(source, "subscriptions"), "subscriptions" in source.text)
    rows = collect(source.connection, _contracts, *about).to_pandas()
    starts: pd.Series[Any] = rows["started_at"]
    if starts.empty:
        return ContractActivity(None, np.zeros(0, dtype=np.int64))
    unfollowed = _unfollowed(rows, starts.max())
    signs = starts if unfollowed else pd.concat([rows[name] for name in SIGNS]).dropna()
    days = np.unique(signs.to_numpy().astype("datetime64[s]").astype(np.int64) // DAY_SECONDS)
    last = signs.max().to_pydatetime().replace(tzinfo=UTC)
    if not unfollowed:
        synced = source.synced_tables.get("subscriptions")
        last = max(last, min(synced, end)) if synced else last
        last = end if last < end and _renewal_dates_move(rows, last, end) else last
    return ContractActivity(last, days, unfollowed)


def _contracts(name: str, schema: SourceSchema, text: bool) -> ibis.Table:
    """Return the contracts that began before the cut-off, with the instants that lie before it."""
    given, table = source_table(name, schema), current_tables()[name]
    rows = given.select(**conformed_columns(given, table, text)).cross_join(CUTOFF)
    rows = rows.filter(rows.started_at < rows.cutoff)
    recorded = is_recorded_end(rows, rows.cutoff)
    return rows.select(
        "account_id",
        "started_at",
        "renewal_at",
        "end_reason",
        runs=rows[END].isnull() | (rows[END] >= rows.cutoff),
        recorded_end=ibis.ifelse(recorded, rows[END], ibis.null("timestamp")),
        **{column: ibis.ifelse(rows[column] < rows.cutoff, rows[column], None) for column in SIGNS[1:3]},
    )


def _unfollowed(rows: pd.DataFrame, last: pd.Timestamp) -> int:
    """Return how many contracts ended after the ``last`` start, if their next rows are certainly missing; else 0."""
    ends = rows[["account_id", "recorded_end", "end_reason"]].dropna(subset="recorded_end")
    late = ends["recorded_end"] > last
    continued = int((late & ends["end_reason"].isin(CONTINUES)).sum())
    if continued:
        return continued
    before = ends[ends["recorded_end"] <= last - pd.Timedelta(days=FOLLOWED_DAYS)]
    if not late.any() or before.empty:
        return 0
    one_day = pd.Timedelta(days=1)
    followed = pd.merge_asof(
        before.assign(at=before["recorded_end"] - one_day).sort_values("at"),
        rows[["account_id", "started_at"]].sort_values("started_at"),
        left_on="at",
        right_on="started_at",
        by="account_id",
        direction="forward",
        tolerance=pd.Timedelta(days=FOLLOWED_DAYS) + one_day,
    )
    share = float(followed["started_at"].notna().mean())
    return int(late.sum()) if (1 - share) ** int(late.sum()) < DOUBT else 0


def _renewal_dates_move(rows: pd.DataFrame, last: datetime, end: datetime) -> bool:
    """Return whether renewal dates were moved on until the ``end``, because too few of those then ahead have passed.

    Only contracts that are older than any term count, so that their renewal dates are spread over a term. Contracts of
    one day may have one cause, and count once.
    """
    longest = pd.Timedelta(days=LONGEST_TERM_DAYS)
    edge, ahead = pd.Timestamp(end).tz_localize(None), rows["renewal_at"][rows["runs"]]
    # A renewal date is recorded at most a term before it.
    at = max(pd.Timestamp(last).tz_localize(None), ahead.max() - longest) if ahead.notna().any() else edge
    old = rows["runs"] & (rows["started_at"] <= at - longest)
    due = rows["renewal_at"][old & (rows["renewal_at"] >= at)].dt.normalize().drop_duplicates()
    if at >= edge or due.empty or not due.max() > edge:
        return False
    # The import takes longer than everything else here, and few portfolios need it.
    from scipy.stats import binom

    share = (edge - at) / (due.max() - at)
    return bool(binom.cdf(int((due < edge).sum()), len(due), share) < DOUBT)
