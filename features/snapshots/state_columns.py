"""Features whose values come from states of the accounts (`features.sources.account_states`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from features.definitions.feature import Feature
from features.sources.account_states import KEYS, AccountStates
from features.utils.dates import DAY_SECONDS

UNTIL = "contract.days_to_renewal"
"""The feature that counts days until an instant; the others count days since one."""
OVERDUE = "contract.renewal_overdue"


def with_states(frame: pd.DataFrame, states: AccountStates, catalogue: Mapping[str, Feature]) -> pd.DataFrame:
    """Put the newest states known before each row's date into the features with the same meaning.

    Parameters
    ----------
    frame : snapshots, sorted by as_of and account_id.
    states : the states of the source.
    catalogue : the features of the frame.

    Returns
    -------
    DataFrame
        In the same columns and order. If the states are the sole source, rows of accounts without a state before their
        date are left out, and features without a state are unknown. Otherwise a feature keeps its value where there is
        no state.
    """
    known = states.rows.to_pandas().sort_values(KEYS[1], kind="stable")
    known = known.assign(account_id=known[KEYS[0]].astype(str))
    known[KEYS[1]] = pd.to_datetime(known[KEYS[1]], utc=True).dt.as_unit("us")
    rows = frame[["account_id", "as_of"]].reset_index(names="row")
    rows["account_id"] = rows["account_id"].astype(str)
    matched = pd.merge_asof(
        rows.sort_values("as_of", kind="stable"),
        known,
        left_on="as_of",
        right_on=KEYS[1],
        by="account_id",
        allow_exact_matches=False,
    ).sort_values("row")
    has_state = matched[KEYS[1]].notna().to_numpy()
    columns: dict[str, object] = {}
    for name in states.features:
        if name in catalogue:
            columns[name] = _values(matched[name], matched["as_of"], name, catalogue[name].kind == "category")
    if UNTIL in columns and OVERDUE in catalogue:
        left = np.asarray(columns[UNTIL], dtype=np.float64)
        columns[OVERDUE] = np.where(np.isnan(left), np.nan, (left < 0).astype(np.float64))
    if not states.sole:
        stated = {name: _where_known(frame[name], values) for name, values in columns.items()}
        return pd.DataFrame({str(name): stated.get(str(name), frame[name]) for name in frame.columns})
    unknown = np.full(len(frame), np.nan)
    every: dict[str, object] = {name: frame[name] for name in ("account_id", "as_of")}
    for name, feature in catalogue.items():
        if feature.kind == "category":
            every[name] = pd.Series(columns.get(name, [None] * len(frame)), index=frame.index, dtype="object")
        else:
            every[name] = columns.get(name, unknown)
    return pd.DataFrame(every)[has_state].reset_index(drop=True)


def _values(given: pd.Series, as_of: pd.Series, name: str, category: bool) -> object:
    if category:
        texts = given.astype(object)
        return texts.where(texts.notna(), None).to_numpy()
    if pd.api.types.is_datetime64_any_dtype(given):
        days = (as_of - pd.to_datetime(given, utc=True)).dt.total_seconds().to_numpy(dtype=np.float64) / DAY_SECONDS
        # A date after the snapshot's is not yet past: the newest use was just now.
        return -days if name == UNTIL else np.where(np.isnan(days), np.nan, np.maximum(days, 0.0))
    return given.to_numpy(dtype=np.float64, na_value=np.nan)


def _where_known(computed: pd.Series, values: object) -> object:
    stated = pd.Series(values, index=computed.index, dtype=computed.dtype)
    return stated.where(stated.notna(), computed)
