"""Features that know too much: one that separates the outcomes alone, or that is filled in for one of them only."""

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
from models.targets import Target
from training.leakage.report import LeakFinding, LeakSeverity

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SEPARATION_LIMIT = 0.98
"""An AUC above this is not skill: the feature has seen the outcome."""
MINIMUM_ACCOUNTS = 10
"""Fewer accounts with, or without, the outcome say nothing about separation: it may be chance."""
NEARLY_EMPTY = 0.05
"""A feature that is known for no more of one outcome's snapshots than this is nearly empty there."""
MOSTLY_KNOWN, HALF_KNOWN = 0.8, 0.5
"""If it is known for as many of the other's, it was filled in afterwards; between the two, it may have been."""
PURE_SHARE = 0.98
"""A category of whose accounts so many have the outcome tells it."""
LEAK_SHARE = 0.5
"""A pure category that so many of the accounts with the outcome are of is a leak; a rarer one may be chance, or a plan
that was withdrawn."""
EVERY_DAYS = 28
"""Snapshots closer together are nearly the same row."""
MAXIMUM_ROWS = 40_000
"""Rows that are looked at, about; of more, those of fewer accounts."""

ALL, NEVER = "the other snapshots", "the accounts that never do"


@dataclass(frozen=True)
class Separation:
    """What was looked at for one target, and found.

    Parameters
    ----------
    rows, accounts_with, accounts_without : snapshots, and accounts with and without the outcome among them.
    lacking : why there was nothing to look at; empty where there was.
    findings : a feature has one at most.
    """

    rows: int
    accounts_with: int
    accounts_without: int
    lacking: str
    findings: tuple[LeakFinding, ...]


@dataclass(frozen=True)
class _View:
    """Rows of two classes: those with the outcome, and the ones that they are held against.

    Parameters
    ----------
    rows : positions in the frame, shape (n,).
    y : whether the row has the outcome, shape (n,).
    account : number of the row's account, shape (n,).
    against : in words, what the outcome is held against.
    """

    rows: Ints
    y: Bools
    account: Ints
    against: str

    def enough(self, among: Bools) -> bool:
        """Whether either class has accounts enough ``among`` these rows."""
        return all(len(np.unique(self.account[among & of])) >= MINIMUM_ACCOUNTS for of in (self.y, ~self.y))


def find_separating_features(
    frame: pd.DataFrame, happened: npt.ArrayLike, catalogue: Catalogue, target: Target
) -> Separation:
    """Name every feature that tells ``target`` alone.

    Each is looked at twice. First, the snapshots with the outcome against all others. Then against the snapshots of
    accounts to which it never happens: what is written over an account after its end also stands in its earlier
    snapshots, which the first look takes for those of accounts that stay.

    Parameters
    ----------
    frame : snapshots, shape (n, ...): account_id, as_of and the catalogue's features.
    happened : labels 0 or 1, NaN where not known, shape (n,).
    catalogue : the features to look at.
    target : what the labels say.
    """
    y = np.asarray(happened, dtype=np.float64)
    account = pd.factorize(frame["account_id"])[0].astype(np.int64)
    ever = np.unique(account[y == 1])
    rows = _thinned(frame, np.isfinite(y))
    with_it = np.isin(account[rows], ever)
    all_with, all_without = len(np.unique(account[rows][y[rows] == 1])), len(np.unique(account[rows][~with_it]))
    if min(all_with, all_without) < MINIMUM_ACCOUNTS:
        lacking = (
            f"{all_with} accounts with {target} and {all_without} without; at least {MINIMUM_ACCOUNTS} of each are "
            "needed to tell a leak from chance"
        )
        return Separation(len(rows), all_with, all_without, lacking, ())
    apart = rows[(y[rows] == 1) | ~with_it]
    views = [_View(r, y[r] == 1, account[r], words) for r, words in ((rows, ALL), (apart, NEVER))]
    found = []
    for feature in catalogue.values():
        values = frame[feature.name].to_numpy()
        look = _number if feature.kind == "number" else _category
        told = [finding for view in views for finding in look(feature, values[view.rows], view, target)]
        # The worst is told; of equals, what was seen first.
        found += sorted(told, key=lambda f: f.severity != "failure")[:1]
    return Separation(len(rows), all_with, all_without, "", tuple(found))


def _thinned(frame: pd.DataFrame, known: Bools) -> Ints:
    """The rows to look at: of dates four weeks apart, and of as many accounts as fit."""
    dates = pd.DatetimeIndex(frame["as_of"])
    kept, last = [], None
    for date in sorted(dates[known].unique(), reverse=True):
        if last is None or last - date >= pd.Timedelta(days=EVERY_DAYS):
            kept.append(date)
            last = date
    rows: Ints = np.flatnonzero(known & np.asarray(dates.isin(kept)))
    if len(rows) > MAXIMUM_ROWS:
        ids, place = np.unique(frame["account_id"].to_numpy(dtype=object)[rows], return_inverse=True)
        drawn = np.array([crc32(str(i).encode()) / 2**32 for i in ids])
        rows = rows[drawn[place] < MAXIMUM_ROWS / len(rows)]
    return rows


def _number(feature: Feature, values: npt.NDArray[Any], view: _View, target: Target) -> Iterator[LeakFinding]:
    number = values.astype(np.float64)
    known = np.isfinite(number)
    yield from _separating_values(feature, known, lambda: _auc(number[known], view.y[known]), view, target)
    yield from _separating_coverage(feature, known, view, target)


def _category(feature: Feature, values: npt.NDArray[Any], view: _View, target: Target) -> Iterator[LeakFinding]:
    codes = pd.factorize(values)[0].astype(np.int64)
    known = codes >= 0
    rates = _rates_elsewhere(codes, view)
    yield from _separating_values(feature, known, lambda: _auc(rates[known], view.y[known]), view, target)
    yield from _separating_coverage(feature, known, view, target)
    yield from _separating_category(feature, codes, view, target)


def _separating_values(
    feature: Feature, known: Bools, auc: Callable[[], float], view: _View, target: Target
) -> Iterator[LeakFinding]:
    if view.enough(known) and (found := auc()) > SEPARATION_LIMIT:
        yield _finding(
            feature, target, "failure", f"alone separates {target} from {view.against} (AUC {found:.3f})", view
        )


def _separating_coverage(feature: Feature, known: Bools, view: _View, target: Target) -> Iterator[LeakFinding]:
    with_it, without = (float(known[of].mean()) for of in (view.y, ~view.y))
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
    """A value that only accounts with the outcome take. It is not named: it may be a customer's."""
    of_outcome = np.unique(view.account[view.y])
    for code in range(int(codes.max(initial=-1)) + 1):
        has = np.unique(view.account[codes == code])
        told = np.intersect1d(has, np.unique(view.account[view.y & (codes == code)]))
        if len(told) >= MINIMUM_ACCOUNTS and len(told) >= PURE_SHARE * len(has) and view.against == NEVER:
            share = len(told) / len(of_outcome)
            words = f"has a value that hardly any account without {target} has, and {share:.0%} of those with it have"
            yield _finding(feature, target, "failure" if share >= LEAK_SHARE else "note", words, view)


def _finding(feature: Feature, target: Target, severity: LeakSeverity, words: str, view: _View) -> LeakFinding:
    cause = "; what is written over an account afterwards looks like this" if view.against == NEVER else ""
    return LeakFinding("separation", feature.name, f"{feature.name} {words}{cause}", severity, target)


def _auc(values: Floats, y: Bools) -> float:
    """How well ``values`` rank the classes, whichever way round: 0.5 is chance, 1 tells them apart; both occur."""
    positives, negatives = int(y.sum()), int((~y).sum())
    ranks = pd.Series(values).rank().to_numpy(np.float64)
    found = (ranks[y].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(found, 1 - found))


def _rates_elsewhere(codes: Ints, view: _View) -> Floats:
    """Each row's share of outcomes among the rows of its category, of the accounts of the other half: a category of few
    accounts cannot tell about itself. Shape (n,)."""
    half, rates = view.account % 2 == 0, np.zeros(len(codes))
    overall = float(view.y.mean())
    many = int(codes.max(initial=-1)) + 2
    for mine in (half, ~half):
        rows = np.bincount(codes[~mine] + 1, minlength=many)
        with_it = np.bincount(codes[~mine] + 1, weights=view.y[~mine], minlength=many)
        rates[mine] = ((with_it + overall) / (rows + 1))[codes[mine] + 1]
    return rates
