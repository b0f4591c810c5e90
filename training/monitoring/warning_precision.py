"""Precision of early warnings: what followed the warnings of past dates.

The warnings are recomputed on weekly point-in-time snapshots, with the rules in force now, at dates whose outcome is
known. An *episode* is one warning of one account, from the date on which its status becomes "risk" until it ends. Its
outcome is whether the account churned within the horizon of that date. An intervention before an account stayed does
not show that it saved the account; only accounts that were held out at random show that
(`models.rules.intervention_effects`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.errors import InsufficientData
from features.signals.signals import OpenSignals
from features.snapshots.snapshot import snapshot
from features.sources.engine import newest_versions
from features.utils.arrays import Bools, Floats, Objects
from features.utils.dates import WEEK_DAYS, to_iso
from features.utils.formatting import count_of, percent
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import ARR_FEATURE
from models.rules.early_warnings import RENEWAL, WarningsFile, find_warnings
from models.rules.history import WEEKS, PortfolioHistory
from training.config import TrainConfig
from training.dataset.labelled_snapshots import labelled_grid
from training.dataset.labels import label
from training.dataset.overwritten_terms import mask_overwritten_terms
from training.evaluation.test_predictions import MetricEstimate
from training.statistics.account_bootstrap import AccountBootstrap, interval

#: Number of weekly dates at which episodes may begin: the newest ones with a known outcome.
MATURED_WEEKS = 26
#: Minimum number of accounts that churned, and of accounts that stayed, for an interval.
MINIMUM_ACCOUNTS = 5
RESAMPLES = 500
_KEYS = ["account_id", "as_of"]


@dataclass(frozen=True)
class WarningOutcomes:
    """Outcomes of the episodes of one warning, or of all warnings.

    Parameters
    ----------
    code : the warning; None for all warnings.
    episodes, accounts : number of episodes, and of accounts that have at least one.
    churned, stayed : episodes by outcome within the horizon.
    stayed_after_intervention : those of ``stayed`` in which an intervention began within the horizon; None if the
        signals contain no interventions.
    churn_rate : share of ``churned``, with its 95% interval (accounts resampled). The interval is NaN with fewer than
        `MINIMUM_ACCOUNTS` accounts of either outcome.
    churned_accounts_warned : accounts that churned and had the warning at one of the dates within the horizon before.
    recall : those as a share of all accounts that churned; NaN if none did.
    """

    code: str | None
    episodes: int
    accounts: int
    churned: int
    stayed: int
    stayed_after_intervention: int | None
    churn_rate: MetricEstimate
    churned_accounts_warned: int
    recall: float

    @property
    def stayed_without_intervention(self) -> int | None:
        """Episodes in which the account stayed and no intervention began; None without interventions."""
        return None if self.stayed_after_intervention is None else self.stayed - self.stayed_after_intervention

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"stayed_without_intervention": self.stayed_without_intervention}


@dataclass(frozen=True)
class WarningPrecision:
    """Precision and recall of the early warnings.

    Parameters
    ----------
    first, last, dates : the first and last weekly date at which an episode may begin, and the number of dates.
    horizon_days : days in which a churn counts.
    total : the episodes of all warnings.
    by_code : the episodes of each warning that has any, most episodes first.
    churned_accounts : accounts that churned within the horizon of one of the dates.
    rows : account-dates of these dates.
    rows_without_warning : those without any warning of status "risk".
    churn_rate_without_warning : share of these that were followed by a churn, with its 95% interval.
    """

    first: datetime
    last: datetime
    dates: int
    horizon_days: int
    total: WarningOutcomes
    by_code: tuple[WarningOutcomes, ...]
    churned_accounts: int
    rows: int
    rows_without_warning: int
    churn_rate_without_warning: MetricEstimate

    @property
    def has_interventions(self) -> bool:
        """Whether interventions are recorded for these dates."""
        return self.total.stayed_after_intervention is not None

    @property
    def summary(self) -> tuple[str, ...]:
        """The result in words, one sentence each."""
        total, days = self.total, self.horizon_days
        if not total.episodes:
            return (f"no early warning began at these dates; {self._without_warning}", self._recall)
        stayed = f"{total.stayed:,} stayed"
        caution = "an intervention before an account stayed does not show that it saved the account"
        if total.stayed_after_intervention is None:
            caution = "no interventions are recorded in this period, so it is unknown which accounts were saved"
        else:
            stayed = (
                f"{total.stayed_after_intervention:,} stayed after an intervention (saved, possibly), "
                f"{total.stayed_without_intervention:,} stayed without one"
            )
        return (
            f"{count_of(total.episodes, 'early warning')} for {count_of(total.accounts, 'account')}: "
            f"{total.churned:,} churned within {days} days ({_in_words(total.churn_rate)}), {stayed}",
            self._without_warning,
            self._recall,
            caution,
        )

    @property
    def _without_warning(self) -> str:
        rate = _in_words(self.churn_rate_without_warning)
        return (
            f"churn rate of the {self.rows_without_warning:,} of {self.rows:,} account-dates without a warning: {rate}"
        )

    @property
    def _recall(self) -> str:
        total = self.total
        share = f" ({percent(total.recall)})" if self.churned_accounts else ""
        return (
            f"of {count_of(self.churned_accounts, 'account')} that churned, {total.churned_accounts_warned:,}{share} "
            f"had a warning in the {self.horizon_days} days before"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "first": to_iso(self.first),
            "last": to_iso(self.last),
            "dates": self.dates,
            "horizon_days": self.horizon_days,
            "total": self.total.as_dict(),
            "by_code": [each.as_dict() for each in self.by_code],
            "churned_accounts": self.churned_accounts,
            "rows": self.rows,
            "rows_without_warning": self.rows_without_warning,
            "churn_rate_without_warning": self.churn_rate_without_warning,
            "summary": list(self.summary),
        }


def measure_warnings(
    signals: OpenSignals, horizon_days: int, grace_days: int, catalogue: Catalogue
) -> WarningPrecision:
    """Recompute the early warnings of past dates and compare them with what followed.

    Parameters
    ----------
    signals : the current signals.
    horizon_days, grace_days : H and G of the churn model; a date has matured H + G days later.
    catalogue : the features in force.

    Raises
    ------
    InsufficientData
        If there are too few dates with a known outcome, or no account is active at them.
    RulesError
        If the file of the early warnings is invalid.
    """
    rules = read_rules("warnings", WarningsFile)
    weeks = MATURED_WEEKS + WEEKS
    config = TrainConfig(
        horizon_days=horizon_days,
        grace_days=grace_days,
        every_days=WEEK_DAYS,
        history_days=(weeks - 1) * WEEK_DAYS,
        # The number of dates is bounded, and weekly dates are needed.
        snapshots=10**12,
    )
    grid, grace = labelled_grid(signals, config)
    used = catalogue.subset([ARR_FEATURE, RENEWAL, *(feature for _, feature in rules.used())])
    frame = snapshot(signals, grid, horizon_days=horizon_days, catalogue=used)
    if signals.contractual:
        frame = mask_overwritten_terms(frame, used)
    dates = past_dates(frame)
    rows = frame.loc[frame["as_of"].isin(dates), _KEYS].reset_index(drop=True)
    labels = label(signals, rows, horizon_days, grace)
    return measure_episodes(labels, warnings_at_risk(frame, rules, dates), _interventions(signals), dates, horizon_days)


def past_dates(frame: pd.DataFrame) -> list[pd.Timestamp]:
    """Return the dates at which warnings are computed, oldest first.

    At the first of them, no episode begins: the warnings of that date may have begun earlier. A date needs one before
    it, because only then are noisy signs confirmed.

    Parameters
    ----------
    frame : weekly snapshots.

    Raises
    ------
    InsufficientData
        If there are fewer than three dates.
    """
    dates = sorted(pd.Timestamp(date) for date in frame["as_of"].unique())
    if len(dates) < 3:
        raise InsufficientData(
            [f"{count_of(3 - len(dates), 'weekly date')} with a known outcome and active accounts"],
            "wait for more history, or load older data",
        )
    return dates[1:][-(MATURED_WEEKS + 1) :]


def warnings_at_risk(frame: pd.DataFrame, rules: WarningsFile, dates: Sequence[pd.Timestamp]) -> pd.DataFrame:
    """Find the warnings of status "risk" at each date, from that date and the weeks before it.

    Parameters
    ----------
    frame : weekly snapshots of the portfolio: account_id, as_of and the features of the rules.
    rules : the rules of the warnings.
    dates : the dates to assess.

    Returns
    -------
    DataFrame
        One row per account, date and warning: account_id, as_of, code.
    """
    # As many weeks as a scored portfolio has.
    lookback = timedelta(weeks=WEEKS - 1)
    found = []
    for date in dates:
        weeks = frame[(frame["as_of"] <= date) & (frame["as_of"] >= date - lookback)]
        history = PortfolioHistory(weeks)
        found += [
            (account, date, warning.code)
            for account, warnings in zip(history.accounts, find_warnings(history, rules), strict=True)
            for warning in warnings
            if warning.standing == "risk"
        ]
    result = pd.DataFrame(found, columns=[*_KEYS, "code"]).drop_duplicates(ignore_index=True)
    return result.astype({"as_of": frame["as_of"].dtype})


def measure_episodes(
    labels: pd.DataFrame,
    at_risk: pd.DataFrame,
    interventions: pd.DataFrame,
    dates: Sequence[pd.Timestamp],
    horizon_days: int,
) -> WarningPrecision:
    """Count the episodes of the warnings by outcome.

    Parameters
    ----------
    labels : account_id, as_of and churn (0 or 1; rows with NaN are ignored) of every account active at each date.
    at_risk : account_id, as_of and code of the warnings of status "risk"; see `warnings_at_risk`.
    interventions : account_id and occurred_at (UTC), without held-out accounts.
    dates : at least two weekly dates; no episode begins at the first one.
    horizon_days : H.
    """
    labels = labels.loc[(labels["as_of"] > dates[0]) & labels["churn"].notna(), [*_KEYS, "churn"]]
    rows = at_risk.merge(labels, on=_KEYS)
    begins = _begins(at_risk).merge(rows, on=[*_KEYS, "code"])
    horizon = timedelta(days=horizon_days)
    in_period = (interventions["occurred_at"] >= dates[1]) & (interventions["occurred_at"] < dates[-1] + horizon)
    treated = _has_intervention(begins, interventions, horizon) if in_period.any() else None
    churned = labels["churn"].to_numpy() == 1
    churned_accounts = labels.loc[churned, "account_id"].nunique()
    warned = rows[rows["churn"] == 1]

    def outcomes(code: str | None, chosen: Bools, warned: pd.DataFrame) -> WarningOutcomes:
        accounts, churn = begins["account_id"].to_numpy(dtype=object)[chosen], begins["churn"].to_numpy()[chosen]
        number = warned["account_id"].nunique()
        return WarningOutcomes(
            code=code,
            episodes=len(churn),
            accounts=len(set(accounts)),
            churned=int((churn == 1).sum()),
            stayed=int((churn == 0).sum()),
            stayed_after_intervention=None if treated is None else int((treated[chosen] & (churn == 0)).sum()),
            churn_rate=_rate(churn, accounts),
            churned_accounts_warned=number,
            recall=number / churned_accounts if churned_accounts else float("nan"),
        )

    codes = begins["code"].to_numpy(dtype=object)
    by_code = [outcomes(code, codes == code, warned[warned["code"] == code]) for code in sorted(set(codes))]
    quiet = labels.merge(at_risk[_KEYS].drop_duplicates(), on=_KEYS, how="left", indicator="warned")
    quiet = quiet[quiet["warned"] == "left_only"]
    return WarningPrecision(
        first=dates[1].to_pydatetime(),
        last=dates[-1].to_pydatetime(),
        dates=len(dates) - 1,
        horizon_days=horizon_days,
        total=outcomes(None, np.ones(len(begins), dtype=bool), warned),
        by_code=tuple(sorted(by_code, key=lambda each: -each.episodes)),
        churned_accounts=churned_accounts,
        rows=len(labels),
        rows_without_warning=len(quiet),
        churn_rate_without_warning=_rate(quiet["churn"].to_numpy(), quiet["account_id"].to_numpy(dtype=object)),
    )


def _begins(at_risk: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose account did not have the same warning a week before."""
    columns = [*_KEYS, "code"]
    before = at_risk[columns].assign(as_of=at_risk["as_of"] + timedelta(days=WEEK_DAYS))
    both = at_risk[columns].merge(before, on=columns, how="left", indicator="before")
    return both.loc[both["before"] == "left_only", columns]


def _has_intervention(begins: pd.DataFrame, interventions: pd.DataFrame, horizon: timedelta) -> Bools:
    """Return for each episode whether an intervention began within the horizon of its beginning."""
    pairs = begins[_KEYS].reset_index(names="episode").merge(interventions, on="account_id")
    inside = (pairs["occurred_at"] >= pairs["as_of"]) & (pairs["occurred_at"] < pairs["as_of"] + horizon)
    return np.isin(np.arange(len(begins)), pairs.loc[inside, "episode"].to_numpy())


def _interventions(signals: OpenSignals) -> pd.DataFrame:
    """Return the interventions of accounts that were not held out: account_id, occurred_at."""
    if not signals.has("interventions"):
        return pd.DataFrame({"account_id": [], "occurred_at": pd.to_datetime([], utc=True)})
    table = newest_versions(signals.tables["interventions"]).select("account_id", "occurred_at", "held_out")
    rows: pd.DataFrame = table.to_pyarrow().to_pandas()
    rows = rows.assign(occurred_at=pd.to_datetime(rows["occurred_at"], utc=True))
    # A missing value counts as not held out.
    return rows.loc[~rows["held_out"].eq(True), ["account_id", "occurred_at"]]


def _rate(churn: Floats, accounts: Objects) -> MetricEstimate:
    """Return the churn rate and its interval; NaN if undefined."""
    if not len(churn):
        return float("nan"), float("nan"), float("nan")
    fewest = min(len(set(accounts[churn == outcome])) for outcome in (0, 1))
    values = AccountBootstrap(accounts, RESAMPLES).means(churn) if fewest >= MINIMUM_ACCOUNTS else np.array([np.nan])
    return float(churn.mean()), *interval(values)


def _in_words(rate: MetricEstimate) -> str:
    value, low, high = rate
    return percent(value) if np.isnan(low) else f"{percent(value)}; 95% interval {percent(low)} to {percent(high)}"
