"""Is there enough to learn from? Facts first, then the limits; below them, nothing is trained and called a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue import CATALOGUE, Catalogue
from features.contract import EVENT_TABLES
from features.errors import InsufficientData
from features.signals import Signals
from models.targets import Target
from training.split import Split, split

# Below a hundred accounts a person knows each of them better than a model could.
MINIMUM_ACCOUNTS = 100
# Accounts with, and accounts without the outcome. Thirty give a regularised model one or two findings (ten to twenty
# outcomes for each, Peduzzi et al. 1996). Ten let a calibrator place a level within a factor of two (1.96 / sqrt(10)
# = 0.6 in log-odds), and a test tell an AUC of 0.75 from chance.
MINIMUM_OUTCOMES = {"train": 30, "calibration": 10, "test": 10}
# A feed whose newest row is older than this is named; it does not forbid training.
STALE_DAYS = 14


@dataclass(frozen=True)
class SliceFacts:
    """What one slice of the history holds. Accounts are distinct; rows overlap."""

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
class Sufficiency:
    """The facts of one target, and what they lack.

    Parameters
    ----------
    target : "churn" or "expansion".
    history_days : days from the first snapshot date to the end of the data.
    accounts : distinct accounts with a label.
    slices : facts by slice ("train", "calibration", "test"); empty if the history is too short to be split.
    missing_share : share of unknown values, 0 to 1, by signal table.
    stale_days : days from the newest row of each event table to the end of the data.
    missing : what is lacking and by how much, a line each; empty is enough.
    notes : what does not forbid training, but should be known.
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
    split: Split | None

    def require(self) -> Split:
        """The split.

        Raises
        ------
        InsufficientData
            Anything is missing; the error lists all of it.
        """
        if self.missing or self.split is None:
            cure = "add history or accounts; until then the health score is the answer"
            raise InsufficientData(list(self.missing), cure)
        return self.split

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, instants as ISO 8601 text; without the split itself."""
        facts = {name: asdict(part) for name, part in self.slices.items()}
        for part in facts.values():
            part.update(first=part["first"].isoformat(), last=part["last"].isoformat())
        own = {k: getattr(self, k) for k in ("target", "history_days", "accounts", "missing_share", "stale_days")}
        return own | {"slices": facts, "missing": list(self.missing), "notes": list(self.notes)}


def sufficiency(
    signals: Signals,
    frame: pd.DataFrame,
    labels: pd.DataFrame,
    as_ofs: Iterable[datetime],
    target: Target,
    horizon_days: int = 90,
    grace_days: int = 30,
    catalogue: Catalogue = CATALOGUE,
) -> Sufficiency:
    """Collect the facts for one target and hold them against the limits.

    Parameters
    ----------
    signals : the source.
    frame : the snapshot of all `as_ofs`: account_id, as_of and the catalogue's features.
    labels : `training.labels.label` of the same rows, in the same order.
    as_ofs : the grid's instants.
    target, horizon_days, grace_days : what is to be predicted.
    """
    dates = sorted(as_ofs)
    missing: list[str] = []
    parts: Split | None = None
    try:
        parts = split(dates, horizon_days, grace_days, signals.data_through)
    except InsufficientData as short:
        missing += short.missing
    labelled = labels[labels[target].notna()]
    accounts = labelled["account_id"].nunique()
    active = labels["account_id"][labels["arr"].notna()].nunique()
    if active < MINIMUM_ACCOUNTS:
        missing.append(f"{MINIMUM_ACCOUNTS - active} more accounts ({active} active ones, at least {MINIMUM_ACCOUNTS})")
    slices = {name: _facts(labels, target, parts, name) for name in MINIMUM_OUTCOMES} if parts else {}
    for name, facts in slices.items():
        missing += _lacking(facts, target, name)
    stale = _staleness(signals)
    notes = [
        f"{table}: the newest row is {days:.0f} days older than the end of the data"
        for table, days in stale.items()
        if days > STALE_DAYS
    ]
    first = dates[0] if dates else signals.data_through
    return Sufficiency(
        target,
        (signals.data_through - first).total_seconds() / 86_400,
        accounts,
        slices,
        _missing_share(frame, catalogue),
        stale,
        tuple(missing),
        tuple(notes),
        parts,
    )


def _facts(labels: pd.DataFrame, target: Target, parts: Split, name: str) -> SliceFacts:
    dates = parts.slices()[name]
    rows = labels[parts.mask(name, labels["as_of"])]
    known = rows[rows[target].notna()]
    per_outcome = known.groupby(target)["account_id"].nunique()
    return SliceFacts(
        dates[0],
        dates[-1],
        len(dates),
        len(known),
        len(rows) - len(known),
        known["account_id"].nunique(),
        int((known[target] == 1).sum()),
        int(per_outcome.get(1.0, 0)),
        int(per_outcome.get(0.0, 0)),
    )


def _lacking(facts: SliceFacts, target: Target, name: str) -> list[str]:
    """A line for each outcome of which the slice holds too few accounts."""
    least = MINIMUM_OUTCOMES[name]
    counts = {f"with {target}": facts.accounts_with_outcome, f"without {target}": facts.accounts_without_outcome}
    return [
        f"{least - n} more accounts {which} among the {name} dates ({n}, at least {least})"
        + (": only one outcome occurs there" if n == 0 else "")
        for which, n in counts.items()
        if n < least
    ]


def _missing_share(frame: pd.DataFrame, catalogue: Catalogue) -> dict[str, float]:
    unknown = frame[list(catalogue)].isna().mean()
    tables = pd.Series({name: feature.table for name, feature in catalogue.items()})
    share = unknown.groupby(tables, sort=False).mean()
    return {str(table): float(np.nan_to_num(value, nan=1.0)) for table, value in share.items()}


def _staleness(signals: Signals) -> dict[str, float]:
    found = {}
    for name in EVENT_TABLES:
        if signals.has(name):
            newest = signals.tables[name].occurred_at.max().to_pyarrow().as_py()
            if newest is not None:
                age = signals.data_through - newest.replace(tzinfo=signals.data_through.tzinfo)
                found[name] = age.total_seconds() / 86_400
    return found
