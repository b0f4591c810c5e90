"""Masking of contract terms at dates for which a source has overwritten them.

A source that stores only the current term (see `features.signals.contract_terms`) has the terms of an account at an
earlier date only if the account has not renewed since: it left, or that term still runs. So whether the terms are known
reveals the outcome. At a date where the terms of more than a few accounts are unknown, they are treated as unknown for
all accounts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.families.subscriptions import terms_read
from features.signals.tolerances import TOLERATED_SHARE
from features.utils.arrays import Bools
from models.peer_groups.segments import ARR_FEATURE


def overwritten_rows(as_of: pd.Series[Any], arr: npt.ArrayLike) -> Bools:
    """Return which rows are at a date for which the source has overwritten terms.

    Parameters
    ----------
    as_of : date of each row; its account is active then. Shape (n,).
    arr : ARR of the account; NaN where its terms are unknown. Shape (n,).

    Returns
    -------
    ndarray of bool
        Shape (n,).
    """
    unknown = pd.Series(np.isnan(np.asarray(arr, dtype=np.float64)), index=as_of.index)
    share = unknown.groupby(as_of.to_numpy()).transform("mean")
    return np.asarray(share > TOLERATED_SHARE, dtype=np.bool_)


def mask_terms(frame: pd.DataFrame, rows: Bools, catalogue: Catalogue) -> pd.DataFrame:
    """Make every feature that reads contract terms unknown in some rows.

    Parameters
    ----------
    frame : snapshots, n rows.
    rows : the rows, shape (n,).
    catalogue : the features.

    Returns
    -------
    DataFrame
        The same frame if there are no such rows.
    """
    if not rows.any():
        return frame
    hidden: dict[str, Any] = {}
    for name in terms_read(catalogue):
        column = frame[name]
        unknown = np.nan if catalogue[name].kind == "number" else None
        hidden[name] = column.astype(object).where(~rows, None) if unknown is None else column.mask(rows)
    return frame.assign(**hidden)


def mask_overwritten_terms(frame: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Make contract terms unknown at dates for which the source has overwritten them.

    Parameters
    ----------
    frame : snapshots of all accounts that are active at each date.
    catalogue : their features.

    Returns
    -------
    DataFrame
        The same rows.
    """
    if ARR_FEATURE not in frame:
        return frame
    return mask_terms(frame, overwritten_rows(frame["as_of"], frame[ARR_FEATURE]), catalogue)


def mask_growth(labels: pd.DataFrame, rows: Bools) -> pd.DataFrame:
    """Remove expansion, contraction and ARR from some rows of labels.

    Parameters
    ----------
    labels : labels, n rows.
    rows : the rows, shape (n,).

    Returns
    -------
    DataFrame
        The same frame if there are no such rows.
    """
    if not rows.any():
        return labels
    hidden = labels.assign(**{name: labels[name].mask(rows) for name in ("expansion", "contraction", "arr")})
    return hidden.assign(expansion_kind=labels["expansion_kind"].where(~rows, None))
