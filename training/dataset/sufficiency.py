"""Data sufficiency: facts about the labelled history, and the minimums below which no model is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.contract.current_contract import current_tables, event_tables
from features.errors import InsufficientData
from features.feed_health.feed_health import NO_RHYTHM
from features.feed_health.silences import patience_days
from features.signals.signals import OpenSignals
from models.targets import Target
from training.dataset.origins import Origins, choose_origins

# With fewer than a hundred accounts, people know each account better than a model could.
MINIMUM_ACCOUNTS = 100
# Accounts with, and accounts without the outcome. Thirty support one or two effects in a regularized model (ten to
# twenty outcomes for each, Peduzzi et al. 1996). Twenty let a backtest distinguish an AUC of 0.7 from chance.
MINIMUM_OUTCOMES = {"train": 30, "backtest": 20}


@dataclass(frozen=True)
class SliceFacts:
    """Counts of one slice of the history. Accounts are distinct; rows overlap."""

    first: datetime
    last: datetime
    dates: int
    rows: int
    censored: int
    accounts: int
    rows_with_outcome: int
    accounts_with_outcome: int
    accounts_without_outcome: int


@dataclass(frozen=True)
class OutcomeCounts:
    """Outcome counts of one target.

    Parameters
    ----------
    accounts : distinct accounts with a label.
    accounts_with_outcome : those with the outcome.
    slices : facts by slice: "train" is known at the first origin, "backtest" is predicted from the origins, and "all"
        trains the model that ships; empty if the history is too short.
    missing : what is missing and how much, one line each; empty if there is enough.
    origins : the origins of the backtest, None if the history is too short.
    """

    accounts: int
    accounts_with_outcome: int
    slices: dict[str, SliceFacts]
    missing: tuple[str, ...]
    origins: Origins | None


@dataclass(frozen=True)
class Sufficiency:
    """Facts about the labelled history of one target, and what is missing.

    Parameters
    ----------
    target : "churn" or "expansion".
    history_days : days from the first snapshot date to the end of the data.
    accounts : distinct accounts with a label.
    slices : facts by slice: "train" is known at the first origin, "backtest" is predicted from the origins, and "all"
        trains the model that ships; empty if the history is too short.
    missing_share : share of unknown values, 0 to 1, by signal table.
    stale_days : days from the newest row of each event table to the end of the data.
    missing : what is missing and how much, one line each; empty if there is enough.
    notes : warnings that do not prevent training.
    origins : the origins of the backtest, None if the history is too short.
    """

    target: Target
    history_days: float
    accounts: int
    slices: dict[str, SliceFacts]
    missing_share: dict[str, float]
    stale_days: dict[str, float]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    origins: Origins | None

    def require(self) -> Origins:
        """Return the origins of the backtest.

        Raises
        ------
        InsufficientData
            If anything is missing; the error lists all of it.
        """
        if self.missing or self.origins is None:
            cure = "add history or accounts; until then, use the health score"
            raise InsufficientData(list(self.missing), cure)
        return self.origins

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values, instants as ISO 8601, without the origins."""
        facts = {name: asdict(part) for name, part in self.slices.items()}
        for part in facts.values():
            part.update(first=part["first"].isoformat(), last=part["last"].isoformat())
        own = {k: getattr(self, k) for k in ("target", "history_days", "accounts", "missing_share", "stale_days")}
        return own | {"slices": facts, "missing": list(self.missing), "notes": list(self.notes)}


def sufficiency(
    signals: OpenSignals,
    labels: pd.DataFrame,
    as_ofs: Iterable[datetime],
    target: Target,
    unknown: Mapping[str, float],
    horizon_days: int = 90,
    grace_days: int = 30,
) -> Sufficiency:
    """Collect the facts for one target and compare them with the minimums.

    Parameters
    ----------
    signals : the source.
    labels : `training.dataset.labels.label` of the snapshots of all `as_ofs`.
    as_ofs : the instants of the grid.
    target, horizon_days, grace_days : what is predicted.
    unknown : `missing_share` of the snapshots.

    Returns
    -------
    Sufficiency
    """
    dates = sorted(as_ofs)
    counts = count_outcomes(labels, dates, target, horizon_days, grace_days, signals.data_through)
    silences = _silences(signals)
    first = dates[0] if dates else signals.data_through
    return Sufficiency(
        target=target,
        history_days=(signals.data_through - first).total_seconds() / 86_400,
        accounts=counts.accounts,
        slices=counts.slices,
        missing_share=dict(unknown),
        stale_days={name: days for name, (days, _) in silences.items()},
        missing=counts.missing,
        notes=tuple(
            f"{name}: the newest row is {days:.0f} days older than the end of the data"
            for name, (days, allowed) in silences.items()
            if days > allowed
        ),
        origins=counts.origins,
    )


def count_outcomes(
    labels: pd.DataFrame,
    as_ofs: Iterable[datetime],
    target: Target,
    horizon_days: int,
    grace_days: int,
    data_through: datetime,
) -> OutcomeCounts:
    """Count the outcomes per slice and list what is missing.

    Parameters
    ----------
    labels, as_ofs, target, horizon_days, grace_days : as in `sufficiency`.
    data_through : the instant up to which the source is complete.

    Returns
    -------
    OutcomeCounts
    """
    missing: list[str] = []
    labelled = labels[labels[target].notna()]
    origins: Origins | None = None
    dates = list(as_ofs)
    try:
        origins = choose_origins(dates, horizon_days, grace_days, data_through)
        if (earliest := _enough_known_at(labelled, target, horizon_days + grace_days)) is not None:
            with suppress(InsufficientData):
                origins = choose_origins(dates, horizon_days, grace_days, data_through, earliest)
    except InsufficientData as error:
        missing += error.missing
    active = labels["account_id"][labels["active"]].nunique()
    if active < MINIMUM_ACCOUNTS:
        missing.append(f"{MINIMUM_ACCOUNTS - active} more accounts ({active} active ones, at least {MINIMUM_ACCOUNTS})")
    slices: dict[str, SliceFacts] = {}
    if origins:
        parts = {"train": origins.train(origins.first), "backtest": origins.predicted(), "all": origins.labelled}
        slices = {name: _facts(labels, target, dates) for name, dates in parts.items()}
    for name in MINIMUM_OUTCOMES:
        missing += _missing_accounts(slices[name], target, name) if slices else []
    with_outcome = labelled["account_id"][labelled[target] == 1].nunique()
    return OutcomeCounts(labelled["account_id"].nunique(), with_outcome, slices, tuple(missing), origins)


def _enough_known_at(labelled: pd.DataFrame, target: Target, gap_days: int) -> datetime | None:
    """Return when enough accounts with the outcome, and without it, are known to train on; None if never."""
    needed = MINIMUM_OUTCOMES["train"]
    ends: list[datetime] = []
    for outcome in (1.0, 0.0):
        first = labelled[labelled[target] == outcome].groupby("account_id")["as_of"].min().sort_values()
        if len(first) < needed:
            return None
        ends.append(pd.Timestamp(first.iloc[needed - 1]).to_pydatetime() + timedelta(days=gap_days))
    return max(ends)


def _facts(labels: pd.DataFrame, target: Target, dates: Sequence[datetime]) -> SliceFacts:
    rows = labels[labels["as_of"].isin(pd.DatetimeIndex(list(dates)))]
    labelled = rows[rows[target].notna()]
    per_outcome = labelled.groupby(target)["account_id"].nunique()
    return SliceFacts(
        first=dates[0],
        last=dates[-1],
        dates=len(dates),
        rows=len(labelled),
        censored=len(rows) - len(labelled),
        accounts=labelled["account_id"].nunique(),
        rows_with_outcome=int((labelled[target] == 1).sum()),
        accounts_with_outcome=int(per_outcome.get(1.0, 0)),
        accounts_without_outcome=int(per_outcome.get(0.0, 0)),
    )


def _missing_accounts(facts: SliceFacts, target: Target, name: str) -> list[str]:
    """Return a line for each outcome with too few accounts in the slice."""
    minimum = MINIMUM_OUTCOMES[name]
    counts = {f"with {target}": facts.accounts_with_outcome, f"without {target}": facts.accounts_without_outcome}
    return [
        f"{minimum - n} more accounts {which} at the {name} dates (found {n}; at least {minimum} are needed)"
        + (": only one outcome occurs there" if n == 0 else "")
        for which, n in counts.items()
        if n < minimum
    ]


def missing_share(frame: pd.DataFrame, catalogue: Catalogue) -> dict[str, float]:
    """Return the share of unknown feature values.

    Parameters
    ----------
    frame : snapshots.
    catalogue : their features.

    Returns
    -------
    dict of str to float
        The share of each table, over its features.
    """
    unknown = frame[list(catalogue)].isna().mean()
    tables = pd.Series({name: feature.table for name, feature in catalogue.items()})
    share = unknown.groupby(tables, sort=False).mean()
    return {str(table): float(np.nan_to_num(value, nan=1.0)) for table, value in share.items()}


def _silences(signals: OpenSignals) -> dict[str, tuple[float, float]]:
    """Return, per event table with rows, the days since its newest row and the days its usual rhythm allows."""
    silences = {}
    for name in event_tables():
        if signals.has(name):
            at = signals.tables[name][current_tables()[name].at]
            rows = signals.tables[name].group_by(day=at.date()).aggregate(newest=at.max()).to_pyarrow().to_pandas()
            if len(rows):
                age = signals.data_through - rows["newest"].max().replace(tzinfo=signals.data_through.tzinfo)
                days = np.sort(pd.to_datetime(rows["day"]).to_numpy().astype("datetime64[D]").astype(np.int64))
                silences[name] = age.total_seconds() / 86_400, math.inf if name in NO_RHYTHM else patience_days(days)
    return silences
