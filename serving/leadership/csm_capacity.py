"""Accounts per CSM against the ratios of the segments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from models.peer_groups.segments import segments_file
from serving.snapshots.portfolio_summary import sum_of_known

NO_CSM = "the accounts have no csm"


def csm_capacity(accounts: pd.DataFrame) -> dict[str, Any]:
    """Return the capacity (`serving.leadership.schemas.Capacity`).

    Parameters
    ----------
    accounts : the active accounts: csm and segment (None if unknown), arr and at_risk (ARR at risk; NaN if unknown).
    """
    ratios = {each.name: each.accounts_per_csm for each in segments_file().segments}
    load = accounts["segment"].map({name: 1.0 / ratio for name, ratio in ratios.items()}).astype(np.float64)
    accounts = accounts.assign(load=load)
    managed = accounts[accounts["csm"].notna()]
    by_csm = [_csm(str(name), own, list(ratios)) for name, own in managed.groupby("csm", sort=False)]
    return {
        "accounts": len(accounts),
        "csms": len(by_csm),
        "without_csm": len(accounts) - len(managed),
        "csms_needed": float(accounts["load"].sum()),
        "over": sum(each["over"] for each in by_csm),
        "by_segment": [
            each for name in (*ratios, None) if (each := _segment(name, accounts, ratios.get(name or "")))["accounts"]
        ],
        "by_csm": sorted(by_csm, key=lambda each: (-each["load"], each["csm"])),
        "unknown": None if by_csm or accounts.empty else NO_CSM,
    }


def _segment(name: str | None, accounts: pd.DataFrame, ratio: int | None) -> dict[str, Any]:
    own = accounts[accounts["segment"].isna() if name is None else accounts["segment"] == name]
    with_csm, csms = int(own["csm"].notna().sum()), int(own["csm"].nunique())
    return {
        "segment": name,
        "accounts": len(own),
        "arr": sum_of_known(own["arr"].to_numpy(dtype=np.float64)),
        "without_csm": len(own) - with_csm,
        "csms": csms,
        "accounts_per_csm": with_csm / csms if csms else None,
        "ratio": ratio,
        "csms_needed": None if ratio is None else len(own) / ratio,
    }


def _csm(name: str, own: pd.DataFrame, segments: list[str]) -> dict[str, Any]:
    counts = own["segment"].value_counts()
    load = float(own["load"].sum())
    return {
        "csm": name,
        "accounts": len(own),
        "arr": sum_of_known(own["arr"].to_numpy(dtype=np.float64)),
        "accounts_by_segment": {each: int(counts[each]) for each in segments if each in counts},
        "load": load,
        # A rounded sum of the shares of a full load can be slightly above 1.
        "over": load > 1.0 + 1e-9,
        "segment_unknown": int(own["segment"].isna().sum()),
        "expected_churned_arr": sum_of_known(own["at_risk"].to_numpy(dtype=np.float64)),
    }
