"""Data sufficiency: facts about the labelled history, and the minimums below which no model is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.contract.schema import EVENT_TABLES
from features.errors import InsufficientData
from features.feed_health.feed_health import NO_RHYTHM
from features.feed_health.silences import patience_days
from features.signals.signals import OpenSignals
from models.targets import Target
from training.dataset.time_split import TimeSplit, split_dates

# With fewer than a hundred accounts, people know each account better than a model could.
MINIMUM_ACCOUNTS = 100
# Accounts with, and accounts without the outcome. Thirty support one or two effects in a regularized model (ten to
# twenty outcomes for each, Peduzzi et al. 1996). Ten let a calibrator estimate a level within a factor of two
# (1.96 / sqrt(10) = 0.6 in log-odds), and a test distinguish an AUC of 0.75 from chance.
MINIMUM_OUTCOMES = {"train": 30, "calibration": 10, "test": 10}


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
    slices : facts by slice ("train", "calibration", "test"); empty if the history is too short to be split.
    missing : what is missing and how much, one line each; empty if there is enough.
    split : the split, None if the history is too short.
    """

    accounts: int
    accounts_with_outcome: int
    slices: dict[str, SliceFacts]
    missing: tuple[str, ...]
    split: TimeSplit | None


@dataclass(frozen=True)
class Sufficiency:
    """Facts about the labelled history of one target, and what is missing.

    Parameters
    ----------
    target : "churn" or "expansion".
    history_days : days from the first snapshot date to the end of the data.
    accounts : distinct accounts with a label.
    slices : facts by slice ("train", "calibration", "test"); empty if the history is too short to be split.
    missing_share : share of unknown values, 0 to 1, by signal table.
    stale_days : days from the newest row of each event table to the end of the data.
    missing : what is missing and how much, one line each; empty if there is enough.
    notes : warnings that do not prevent training.
    split : the split, None if the history is too short.
    """

    target: Target
    history_days: float
    accounts: int
    slices: dict[str, SliceFacts]
    missing_share: dict[str, float]
    stale_days: dict[str, float]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    split: TimeSplit | None

    def require(self) -> TimeSplit:
        """Return the split.

        Raises
        ------
        InsufficientData
            If anything is missing; the error lists all of it.
        """
        if self.missing or self.split is None:
            cure = "add history or accounts; until then, use the health score"
            raise InsufficientData(list(self.missing), cure)
        return self.split

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values, instants as ISO 8601, without the split itself."""
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
        split=counts.split,
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
    parts: TimeSplit | None = None
    try:
        parts = split_dates(as_ofs, horizon_days, grace_days, data_through)
    except InsufficientData as error:
        missing += error.missing
    labelled = labels[labels[target].notna()]
    active = labels["account_id"][labels["active"]].nunique()
    if active < MINIMUM_ACCOUNTS:
        missing.append(
            f"{MINIMUM_ACCOUNTS - active} more accounts ({active} are active; at least {MINIMUM_ACCOUNTS} are needed)"
        )
    slices = {name: _facts(labels, target, parts, name) for name in MINIMUM_OUTCOMES} if parts else {}
    for name, facts in slices.items():
        missing += _missing_accounts(facts, target, name)
    with_outcome = labelled["account_id"][labelled[target] == 1].nunique()
    return OutcomeCounts(labelled["account_id"].nunique(), with_outcome, slices, tuple(missing), parts)


def _facts(labels: pd.DataFrame, target: Target, parts: TimeSplit, name: str) -> SliceFacts:
    dates = parts.slices()[name]
    rows = labels[parts.mask(name, labels["as_of"])]
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
    for name in EVENT_TABLES:
        if signals.has(name):
            at = signals.tables[name].occurred_at
            rows = signals.tables[name].group_by(day=at.date()).aggregate(newest=at.max()).to_pyarrow().to_pandas()
            if len(rows):
                age = signals.data_through - rows["newest"].max().replace(tzinfo=signals.data_through.tzinfo)
                days = np.sort(pd.to_datetime(rows["day"]).to_numpy().astype("datetime64[D]").astype(np.int64))
                silences[name] = age.total_seconds() / 86_400, math.inf if name in NO_RHYTHM else patience_days(days)
    return silences
