"""Looking for leaks before a model is believed: a snapshot that changes when the future is taken away, a feature that
knows too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from features.catalogue import KEYS
from features.clock import Grid
from features.signals import open_signals
from features.snapshot import snapshot

MOST_SEPARATING = 0.98
"""An AUC above this is not skill: the feature has seen the outcome."""
MINIMUM_CLASS = 20
"""Fewer rows of a class than this say nothing about separation."""


def vanished_future(address: str | Path, frame: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int) -> list[str]:
    """Take away everything at or after ``as_of`` (and everything loaded then), rebuild, and name what changed.

    Parameters
    ----------
    address : the signals source, read again.
    frame : snapshots built with the future in reach, among them those of ``as_of``.
    as_of : the date to look at.
    horizon_days : as for the frame.

    Returns
    -------
    list of str
        A line per feature that differs in any bit; empty for none.
    """
    cut = open_signals(address, as_of.to_pydatetime())
    try:
        blind = snapshot(cut, Grid.single(as_of.to_pydatetime()), horizon_days=horizon_days)
    finally:
        cut.close()
    seeing = frame[frame["as_of"] == as_of].reset_index(drop=True)
    if seeing["account_id"].tolist() != blind["account_id"].tolist():
        return ["which accounts are active at a date changes when everything after it is taken away"]
    changed = [c for c in frame.columns if c not in KEYS and not seeing[c].equals(blind[c])]
    return [f"{name} changes when everything after its date is taken away" for name in changed]


def too_good(frame: pd.DataFrame, happened: npt.ArrayLike, features: list[str]) -> list[str]:
    """Name every feature that separates the classes alone: an AUC above 0.98, either way, where it is known.

    Parameters
    ----------
    frame : snapshots, shape (n, ...).
    happened : labels 0 or 1, shape (n,).
    features : the numeric features to look at.
    """
    y = np.asarray(happened) == 1
    found = []
    for name in features:
        values = frame[name].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        positives, negatives = int((y & known).sum()), int((~y & known).sum())
        if min(positives, negatives) < MINIMUM_CLASS:
            continue
        ranks = rankdata(values[known])
        auc = (ranks[y[known]].sum() - positives * (positives + 1) / 2) / (positives * negatives)
        if max(auc, 1 - auc) > MOST_SEPARATING:
            found.append(f"{name} separates the outcomes alone (AUC {max(auc, 1 - auc):.3f})")
    return found
