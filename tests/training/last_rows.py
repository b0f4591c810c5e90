"""Contracts as a billing system exports them that stores one row per subscription and overwrites it at renewal."""

from __future__ import annotations

import pandas as pd

INSTANTS = ("started_at", "ended_at", "renewal_at")


def last_rows(subscriptions: pd.DataFrame, term_started: bool = False) -> pd.DataFrame:
    """One row per subscription: the terms of its last row, and the start of its first.

    Parameters
    ----------
    subscriptions : one row per subscription and term, in the contract's columns. Rows of one account that follow each
        other without a gap are one subscription; of several side by side, those of the nearest ARR.
    term_started : with ``term_started_at``, the start of the current term: the first row of its renewal date.
    """
    plain = {name: pd.to_datetime(subscriptions[name], utc=True).dt.tz_convert(None) for name in INSTANTS}
    rows = subscriptions.assign(**plain).sort_values(
        ["account_id", "started_at", "arr"], ascending=[True, True, False], ignore_index=True
    )
    chains: list[list[int]] = []
    ends: dict[tuple[str, pd.Timestamp], list[list[int]]] = {}
    for i, row in enumerate(rows.itertuples(index=False)):
        open_ = ends.get((row.account_id, row.started_at), [])
        if open_:
            chain = min(open_, key=lambda c: abs(rows["arr"][c[-1]] - row.arr))
            open_.remove(chain)
            chain.append(i)
        else:
            chain = [i]
            chains.append(chain)
        if pd.notna(row.ended_at):
            ends.setdefault((row.account_id, row.ended_at), []).append(chain)
    last = rows.loc[[c[-1] for c in chains]].reset_index(drop=True)
    first = rows["started_at"].loc[[c[0] for c in chains]].reset_index(drop=True)
    result = last.assign(started_at=first, seats=last["seats"].astype("Int64"))
    if term_started:
        began = []
        for chain in chains:
            renewal = rows["renewal_at"][chain[-1]]
            term = [i for i in chain if rows["renewal_at"][i] == renewal]
            began.append(rows["started_at"][term[0] if term else chain[-1]])
        result["term_started_at"] = pd.Series(began)
    return result
