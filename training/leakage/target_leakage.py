"""Target leakage: features that separate the outcomes alone, or that are filled in for one outcome only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.definitions.feature import Feature
from features.utils.arrays import Bools, Floats, Ints
from models.targets import Target
from training.leakage.report import LeakFinding, LeakSeverity

SEPARATION_LIMIT = 0.98
"""A feature with a higher AUC contains the outcome."""
MINIMUM_ACCOUNTS = 10
"""With fewer accounts of either outcome, separation may be chance."""
NEARLY_EMPTY = 0.05
"""A feature known for at most this share of one outcome's snapshots is nearly empty there."""
MOSTLY_KNOWN, HALF_KNOWN = 0.8, 0.5
"""A nearly empty feature known for this share of the other outcome's snapshots was filled in afterward, or may have
been."""
PURE_SHARE = 0.98
"""A category in which at least this share of the accounts has the outcome is pure."""
LEAK_SHARE = 0.5
"""A pure category that covers this share of the accounts with the outcome is a leak; a rarer one may be chance, or a
discontinued plan."""
EVERY_DAYS = 28
"""Snapshots closer together are nearly identical."""
MAXIMUM_ROWS = 40_000
"""Approximate maximum number of rows; larger frames are sampled by account."""

OTHER_SNAPSHOTS, OTHER_ACCOUNTS = "the other snapshots", "the accounts without it"


@dataclass(frozen=True)
class Separation:
    """Result of the search for one target.

    Parameters
    ----------
    rows, accounts_with, accounts_without : number of snapshots, and of accounts with and without the outcome.
    lacking : why the search could not run; empty if it did.
    findings : at most one per feature.
    """

    rows: int
    accounts_with: int
    accounts_without: int
    lacking: str
    findings: tuple[LeakFinding, ...]


@dataclass(frozen=True)
class _View:
    """Rows of two classes: those with the outcome, and those with which they are compared.

    Parameters
    ----------
    rows : positions in the frame, shape (n,).
    y : whether the row has the outcome, shape (n,).
    account : account number of the row, shape (n,).
    against : description of the rows without the outcome.
    """

    rows: Ints
    y: Bools
    account: Ints
    against: str

    def enough(self, among: Bools) -> bool:
        """Return whether both classes have enough accounts ``among`` these rows."""
        return all(len(np.unique(self.account[among & of])) >= MINIMUM_ACCOUNTS for of in (self.y, ~self.y))


def find_separating_features(
    frame: pd.DataFrame, happened: npt.ArrayLike, catalogue: Catalogue, target: Target
) -> Separation:
    """Find every feature that separates the outcomes of ``target`` alone.

    Each feature is checked twice: the snapshots with the outcome are compared with all others, and then with the
    snapshots of accounts that never have the outcome. A value that is overwritten after an account's end also appears
    in its earlier snapshots, which the first comparison counts as snapshots of staying accounts.

    Parameters
    ----------
    frame : snapshots, shape (n, ...): account_id, as_of and the catalogue's features.
    happened : labels, 0 or 1, NaN where unknown, shape (n,).
    catalogue : the features to check.
    target : the target of the labels.

    Returns
    -------
    Separation
    """
    y = np.asarray(happened, dtype=np.float64)
    account = pd.factorize(frame["account_id"])[0].astype(np.int64)
    ever = np.unique(account[y == 1])
    rows = _sampled_rows(frame, np.isfinite(y))
    with_it = np.isin(account[rows], ever)
    all_with, all_without = len(np.unique(account[rows][y[rows] == 1])), len(np.unique(account[rows][~with_it]))
    if min(all_with, all_without) < MINIMUM_ACCOUNTS:
        lacking = (
            f"{all_with} accounts with {target} and {all_without} without; at least {MINIMUM_ACCOUNTS} of each are "
            "needed to distinguish a leak from chance"
        )
        return Separation(len(rows), all_with, all_without, lacking, ())
    separate = rows[(y[rows] == 1) | ~with_it]
    comparisons = ((rows, OTHER_SNAPSHOTS), (separate, OTHER_ACCOUNTS))
    views = [_View(r, y[r] == 1, account[r], words) for r, words in comparisons]
    findings: list[LeakFinding] = []
    for feature in catalogue.values():
        values = frame[feature.name].to_numpy()
        check = _number if feature.kind == "number" else _category
        candidates = [finding for view in views for finding in check(feature, values[view.rows], view, target)]
        # Report the most severe finding; the first one of equal severity.
        findings += sorted(candidates, key=lambda f: f.severity != "failure")[:1]
    return Separation(len(rows), all_with, all_without, "", tuple(findings))


def _sampled_rows(frame: pd.DataFrame, defined: Bools) -> Ints:
    """Return the rows to check: at dates four weeks apart, and of as many accounts as fit."""
    dates = pd.DatetimeIndex(frame["as_of"])
    chosen, last = [], None
    for date in sorted(dates[defined].unique(), reverse=True):
        if last is None or last - date >= pd.Timedelta(days=EVERY_DAYS):
            chosen.append(date)
            last = date
    rows: Ints = np.flatnonzero(defined & np.asarray(dates.isin(chosen)))
    if len(rows) > MAXIMUM_ROWS:
        ids, place = np.unique(frame["account_id"].to_numpy(dtype=object)[rows], return_inverse=True)
        drawn = np.array([crc32(str(i).encode()) / 2**32 for i in ids])
        rows = rows[drawn[place] < MAXIMUM_ROWS / len(rows)]
    return rows


def _number(feature: Feature, values: npt.NDArray[Any], view: _View, target: Target) -> Iterator[LeakFinding]:
    number = values.astype(np.float64)
    defined = np.isfinite(number)
    yield from _separating_values(feature, defined, lambda: _auc(number[defined], view.y[defined]), view, target)
    yield from _separating_coverage(feature, defined, view, target)


def _category(feature: Feature, values: npt.NDArray[Any], view: _View, target: Target) -> Iterator[LeakFinding]:
    codes = pd.factorize(values)[0].astype(np.int64)
    defined = codes >= 0
    rates = _rates_elsewhere(codes, view)
    yield from _separating_values(feature, defined, lambda: _auc(rates[defined], view.y[defined]), view, target)
    yield from _separating_coverage(feature, defined, view, target)
    yield from _separating_category(feature, codes, view, target)


def _separating_values(
    feature: Feature, defined: Bools, auc: Callable[[], float], view: _View, target: Target
) -> Iterator[LeakFinding]:
    if view.enough(defined) and (value := auc()) > SEPARATION_LIMIT:
        yield _finding(
            feature, target, "failure", f"alone separates {target} from {view.against} (AUC {value:.3f})", view
        )


def _separating_coverage(feature: Feature, defined: Bools, view: _View, target: Target) -> Iterator[LeakFinding]:
    with_it, without = (float(defined[of].mean()) for of in (view.y, ~view.y))
    low, high = min(with_it, without), max(with_it, without)
    severity: LeakSeverity | None = None
    if (1 + high - low) / 2 > SEPARATION_LIMIT or (low <= NEARLY_EMPTY and high >= MOSTLY_KNOWN):
        severity = "failure"
    elif low <= NEARLY_EMPTY and high >= HALF_KNOWN:
        severity = "note"
    if severity is not None:
        words = f"is known for {with_it:.0%} of the snapshots with {target} and {without:.0%} of {view.against}"
        yield _finding(feature, target, severity, words, view)


def _separating_category(feature: Feature, codes: Ints, view: _View, target: Target) -> Iterator[LeakFinding]:
    """Find a value that only accounts with the outcome have. It is not named: it may be a customer's value."""
    of_outcome = np.unique(view.account[view.y])
    for code in range(int(codes.max(initial=-1)) + 1):
        has = np.unique(view.account[codes == code])
        with_it = np.intersect1d(has, np.unique(view.account[view.y & (codes == code)]))
        pure = len(with_it) >= MINIMUM_ACCOUNTS and len(with_it) >= PURE_SHARE * len(has)
        if pure and view.against == OTHER_ACCOUNTS:
            share = len(with_it) / len(of_outcome)
            words = f"has a value that hardly any account without {target} has, and {share:.0%} of those with it have"
            yield _finding(feature, target, "failure" if share >= LEAK_SHARE else "note", words, view)


def _finding(feature: Feature, target: Target, severity: LeakSeverity, words: str, view: _View) -> LeakFinding:
    cause = "; it may have been overwritten after the outcome" if view.against == OTHER_ACCOUNTS else ""
    return LeakFinding("separation", feature.name, f"{feature.name} {words}{cause}", severity, target)


def _auc(values: Floats, y: Bools) -> float:
    """Return the AUC of ``values`` in the better direction: 0.5 is chance, 1 separates the classes; both must occur."""
    positives, negatives = int(y.sum()), int((~y).sum())
    ranks = pd.Series(values).rank().to_numpy(np.float64)
    auc = (ranks[y].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(auc, 1 - auc))


def _rates_elsewhere(codes: Ints, view: _View) -> Floats:
    """Return the outcome rate of each row's category among the accounts of the other half, shape (n,).

    So a category with few accounts cannot predict its own rows.
    """
    half, rates = view.account % 2 == 0, np.zeros(len(codes))
    overall = float(view.y.mean())
    many = int(codes.max(initial=-1)) + 2
    for mine in (half, ~half):
        rows = np.bincount(codes[~mine] + 1, minlength=many)
        with_it = np.bincount(codes[~mine] + 1, weights=view.y[~mine], minlength=many)
        rates[mine] = ((with_it + overall) / (rows + 1))[codes[mine] + 1]
    return rates
