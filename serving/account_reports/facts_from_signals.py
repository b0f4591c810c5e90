"""The data about one account, read from signals with all its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest, UnknownAccount
from features.revenue.account_history import LISTED, account_rows
from features.revenue.arr import account_names, facts, movements
from features.signals.signals import OpenSignals
from features.utils.dates import DAY, midnight, to_iso
from features.utils.periods import Period, period_ending
from features.utils.progress import Progress, no_progress
from models.artifacts.champion import Champion
from models.home import Home
from models.peer_groups.peers import Peers
from models.predictions.account_lookup import find_account
from models.predictions.payload import account_answer, account_row
from models.predictions.table_export import plain_rows
from models.rules.business_reviews import business_reviews_file
from serving.account_reports.account_facts import AccountFacts, dated_contract, medians_of_peers, plain_row
from serving.scoring.score_portfolio import assess_portfolio, champion_horizon, complete_until, newest_events
from serving.snapshots.report_tables import REPORT_TABLES


def account_facts_from_signals(
    signals: OpenSignals,
    account: str,
    period: Period,
    as_of: datetime,
    home: Home,
    champion: Champion,
    progress: Progress = no_progress,
) -> AccountFacts:
    """Read the facts about an account from signals, with all its rows of a period.

    Parameters
    ----------
    signals : validated signals.
    account : its id, its name, or the beginning of its name (`models.predictions.account_lookup.find_account`).
    period : the period.
    as_of : the instant of the report.
    home : the home.
    champion : the bundles and the rubric in use.
    progress : called with the share done.

    Returns
    -------
    AccountFacts

    Raises
    ------
    UnknownAccount : it is not active at ``as_of``, or not clear which account is meant.
    """
    contracts = facts(signals, as_of, champion_horizon(champion))
    account_id = find_account(account, account_names(signals), frozenset(contracts["account_id"]))
    contract = _only(contracts, account_id)
    if contract is None:
        # Checked before scoring the portfolio, which takes a while.
        raise UnknownAccount(
            f"no such account is active at {to_iso(as_of)}", "an account of the signals", "check the id"
        )
    assessment, feeds, past = assess_portfolio(signals, as_of, home, champion, progress)
    data_through = complete_until(signals, as_of, feeds)
    prediction = account_answer(assessment, account_id, scored_at=datetime.now(UTC), data_through=data_through)
    own = past[past["account_id"] == account_id].sort_values("as_of")
    now = assessment.frame.iloc[[account_row(assessment, account_id)]]
    weeks = [plain_row(row) for frame in (own, now) for row in frame.to_dict("records")]
    one_date = signals.states is not None and signals.states.sole
    peers = Peers.of(assessment.frame, [metric.feature for metric in business_reviews_file().metrics])
    # One picture of the accounts shows no change.
    moved = (
        movements(signals, period.start, as_of, active_days=champion_horizon(champion))
        if period.start < as_of and not one_date
        else None
    )
    return AccountFacts(
        account_id,
        as_of,
        data_through,
        prediction,
        weeks[-1],
        tuple(weeks),
        dated_contract(contract, one_date, weeks[-1]),
        None if moved is None else _only(moved, account_id),
        account_rows(signals, account_id, period_ending(as_of, "year").start, as_of, REPORT_TABLES),
        current_catalogue(),
        one_date,
        frozenset(name for name in LISTED if signals.has(name)),
        medians_of_peers(peers, prediction["segment"]),
        period.start,
    )


def report_instant(signals: OpenSignals, period: Period) -> datetime:
    """Return the instant of a report.

    Parameters
    ----------
    signals : validated signals.
    period : the period of the report.

    Returns
    -------
    datetime
        The end of the period, or the midnight after the end of what is known by then, if earlier.

    Raises
    ------
    BadRequest : the signals end before the period begins.
    """
    through = complete_until(signals, period.end, newest_events(signals, period.end))
    if through < period.start:
        raise BadRequest(
            f"the signals end at {to_iso(through)}, before the period begins",
            f"signals of {to_iso(period.start)} or later",
            "choose an earlier period",
        )
    return min(period.end, midnight(through) + DAY)


def _only(frame: pd.DataFrame, account_id: str) -> dict[str, Any] | None:
    own = frame[frame["account_id"] == account_id].reset_index(drop=True)
    return plain_rows(own)[0] if len(own) else None
