"""Dates at which a source has overwritten the terms of subscriptions: nothing may be learned from the terms there.

A source that keeps the current term only (see `features.signals.contract_terms`) still knows the terms of an account
at an earlier date
if the account has not renewed since: it left, or it is in that term to this day. So *that* they are known tells what
became of the account. At a date where the terms of more than a few accounts are unknown they are therefore taken as
unknown for all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.families.subscriptions import terms_read
from features.signals.contract_terms import TOLERATED_SHARE
from models.peer_groups.segments import ARR_FEATURE

Bools = npt.NDArray[np.bool_]


def overwritten_rows(as_of: pd.Series[Any], arr: npt.ArrayLike) -> Bools:
    """Which rows lie at a date where the source has overwritten terms.

    Parameters
    ----------
    as_of : of each row, an account that is active then. Shape (n,).
    arr : its ARR; NaN where its terms are unknown. Shape (n,).

    Returns
    -------
    bool, shape (n,).
    """
    unknown = pd.Series(np.isnan(np.asarray(arr, dtype=np.float64)), index=as_of.index)
    share = unknown.groupby(as_of.to_numpy()).transform("mean")
    return np.asarray(share > TOLERATED_SHARE, dtype=np.bool_)


def mask_terms(frame: pd.DataFrame, rows: Bools, catalogue: Catalogue) -> pd.DataFrame:
    """Snapshots with every feature that reads terms unknown in ``rows``; the frame itself where there are none."""
    if not rows.any():
        return frame
    hidden: dict[str, Any] = {}
    for name in terms_read(catalogue):
        column = frame[name]
        unknown = np.nan if catalogue[name].kind == "number" else None
        hidden[name] = column.astype(object).where(~rows, None) if unknown is None else column.mask(rows)
    return frame.assign(**hidden)


def mask_overwritten_terms(frame: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Snapshots of contracts, all active accounts of each date among them, with the terms unknown wherever the source
    has overwritten them."""
    if ARR_FEATURE not in frame:
        return frame
    return mask_terms(frame, overwritten_rows(frame["as_of"], frame[ARR_FEATURE]), catalogue)


def mask_growth(labels: pd.DataFrame, rows: Bools) -> pd.DataFrame:
    """Labels without expansion, contraction and ARR in ``rows``; churn needs no terms. The frame itself where there
    are none."""
    if not rows.any():
        return labels
    hidden = labels.assign(**{name: labels[name].mask(rows) for name in ("expansion", "contraction", "arr")})
    return hidden.assign(expansion_kind=labels["expansion_kind"].where(~rows, None))
