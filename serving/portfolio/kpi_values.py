"""Values of KPIs from the contributions of accounts: for a portfolio or some of its accounts, and by group."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.kpi.definitions import AT_INSTANT, AT_START, KPIS, Kpi
from models.peer_groups.segments import segment_names
from models.rules.kpi_targets import meets_target
from serving.portfolio.contribution_rows import ContributionRows, KpiSum, Sums
from serving.portfolio.kpi_filter import KpiFilter

DIVISIONS = ("segment", "csm", "region", "parent")


@dataclass(frozen=True)
class Contributions:
    """The contributions of accounts to the KPIs of one period.

    Parameters
    ----------
    rows : a row per KPI and account.
    missing : the KPIs that are unknown, each with the reason.
    """

    rows: ContributionRows
    missing: Mapping[str, str]

    def of(self, only: KpiFilter, past: bool) -> Contributions:
        """Return the contributions of the accounts that match a filter.

        Parameters
        ----------
        only : the filter.
        past : whether the period is over, so that all of its KPIs need accounts that have left.
        """
        rows = only.select(self.rows)
        missing = {**self.missing, **only.unknown(past)}
        if only.segment is not None:
            missing |= not_by_segment(rows.sums())
        return Contributions(rows, missing)


@dataclass(frozen=True)
class KpiContributions:
    """The contributions from which the KPIs of a period are computed, for all accounts or for any of them.

    Parameters
    ----------
    now, last : of the period, and of the period before.
    recent : of the last quarter of a year; None for other periods.
    """

    now: Contributions
    last: Contributions
    recent: Contributions | None

    def of(self, only: KpiFilter | None) -> KpiContributions:
        """Return the contributions of the accounts that match a filter; None selects all."""
        if only is None:
            return self
        recent = None if self.recent is None else self.recent.of(only, past=True)
        return KpiContributions(self.now.of(only, past=False), self.last.of(only, past=True), recent)

    def of_measures(self, measures: Collection[str]) -> KpiContributions:
        """Return the contributions to some figures."""
        now, last = (replace(each, rows=each.rows.of_measures(measures)) for each in (self.now, self.last))
        recent = self.recent
        recent = None if recent is None else replace(recent, rows=recent.rows.of_measures(measures))
        return KpiContributions(now, last, recent)

    def with_groups(self, accounts: pd.DataFrame) -> KpiContributions:
        """Return the contributions with the groups of their accounts.

        Parameters
        ----------
        accounts : account_id and the groups of each account, active or not.
        """
        now, last = (replace(each, rows=each.rows.with_groups(accounts)) for each in (self.now, self.last))
        return KpiContributions(now, last, self.recent)


def with_groups(rows: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the groups of their accounts.

    Parameters
    ----------
    rows : rows with account_id.
    accounts : account_id and the columns to add, one row per account.
    """
    once = accounts.drop_duplicates("account_id").set_index("account_id")
    own = once.reindex(rows["account_id"].to_numpy(dtype=object))
    return rows.assign(**{str(name): own[name].to_numpy(dtype=object) for name in own})


def not_by_segment(sums: Sums) -> dict[str, str]:
    """Return the KPIs that are unknown by segment, each with the reason: the ARR decides the segment.

    Parameters
    ----------
    sums : the sums by KPI of all segments that count.
    """
    found = {kpi.code: _overwritten(kpi, sums.get(kpi.code, KpiSum()), segments=True) for kpi in KPIS}
    return {code: why for code, why in found.items() if why is not None}


def _overwritten(kpi: Kpi, total: KpiSum, segments: bool = False) -> str | None:
    """Return why a KPI is unknown if too many accounts have overwritten terms; else None.

    ``segments``: the KPI is by segment, so that it depends on the ARR.
    """
    if not (kpi.terms or segments) or not total.overwritten_terms:
        return None
    when = kpi.terms or (AT_INSTANT if kpi.over == "instant" else AT_START)
    return overwritten_words(total, when)


def overwritten_words(total: KpiSum, when: str) -> str:
    """Return the reason why a figure is unknown if the source overwrites the terms of too many accounts."""
    lost, accounts = f"{total.overwritten:,}", f"{total.accounts:,}"
    return f"the terms of {lost} of {accounts} accounts are unknown {when}: the source overwrites them"


def kpi_value(kpi: Kpi, total: KpiSum, missing: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of a KPI (`serving.portfolio.kpi_schemas.KpiValue`).

    Parameters
    ----------
    kpi : the KPI.
    total : its sums.
    missing : the KPIs that are unknown, each with the reason.
    """
    why = missing.get(kpi.code) or _overwritten(kpi, total)
    if why is None and not total.with_value:
        why = kpi.unknown if total.left_out else kpi.nothing
    elif why is None and kpi.denominator and not min(total.denominator, total.net) > 0:
        why = kpi.not_above_zero
    if why is not None:
        empty = {"value": None, "numerator": None, "denominator": None}
        return {**empty, "left_out": total.left_out, "unknown": why}
    value = kpi.factor * total.numerator / total.denominator if kpi.denominator else total.numerator
    return {
        "value": value,
        "numerator": total.numerator,
        "denominator": total.denominator if kpi.denominator else None,
        "left_out": total.left_out,
        "unknown": None,
    }


def kpis_of(
    contributions: KpiContributions,
    targets: Mapping[str, dict[str, Any] | None],
    held: pd.DataFrame,
    promoters: Sequence[Mapping[str, Any]],
    only: KpiFilter | None = None,
) -> dict[str, Any]:
    """Return KPIs, groups and advocates of the accounts that match a filter.

    Parameters
    ----------
    contributions : the contributions of all accounts, with their groups.
    targets : as in `kpi_measures`.
    held : account_id, arr, segment and the groups of the active accounts.
    promoters : the advocates (`serving.portfolio.kpi_schemas.Advocate`).
    only : the accounts that count; None for all.

    Returns
    -------
    dict for JSON
        measures, by and advocates of `serving.portfolio.kpi_schemas.PortfolioKpis`, without products.
    """
    chosen = contributions.of(only)
    if only is not None:
        held = held[only.matches(held["account_id"].to_numpy(dtype=object), held["segment"].to_numpy(dtype=object))]
    return {
        "measures": kpi_measures(chosen, targets),
        "by": {division: kpi_groups(division, chosen, held) for division in DIVISIONS} | {"product": []},
        "advocates": [each for each in promoters if only is None or each["account_id"] in only.present],
    }


def kpi_measures(contributions: KpiContributions, targets: Mapping[str, dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Return every KPI with its previous value and its target (`serving.portfolio.kpi_schemas.KpiResponse`).

    Parameters
    ----------
    contributions : the contributions of the accounts that count.
    targets : the target of each KPI over the period (`models.rules.kpi_targets.KpiTarget.over`).
    """
    now, last, recent = contributions.now.rows.sums(), contributions.last.rows.sums(), contributions.recent
    recent_sums: Sums = {} if recent is None else recent.rows.sums()
    out = []
    for kpi in KPIS:
        about = {name: getattr(kpi, name) for name in ("title", "unit", "better", "over")}
        value = kpi_value(kpi, now.get(kpi.code, KpiSum()), contributions.now.missing)
        quarter = None
        if recent is not None and kpi.over == "period":
            quarter = kpi_value(kpi, recent_sums.get(kpi.code, KpiSum()), recent.missing)
        target = targets.get(kpi.code)
        out.append(
            {
                "measure": kpi.code,
                **about,
                **value,
                "last": kpi_value(kpi, last.get(kpi.code, KpiSum()), contributions.last.missing),
                "target": target,
                "met": meets_target(target, value["value"]),
                "quarter": quarter,
            }
        )
    return out


def kpi_groups(division: str, contributions: KpiContributions, held: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the groups of a breakdown with every KPI (`serving.portfolio.kpi_schemas.KpiGroup`).

    Parameters
    ----------
    division : the breakdown, one of `DIVISIONS`.
    contributions : the contributions of the accounts that count, with their groups.
    held : account_id, arr and the groups of the active accounts that count.

    Returns
    -------
    list of dict
        The group of unknown accounts comes last, as None.
    """
    now, last = contributions.now, contributions.last
    sums, sums_last = (each.rows.sums(division) for each in (now, last))
    holdings = {
        name: own.to_numpy(dtype=np.float64)
        for name, own in held["arr"].groupby(held[division].astype(object).fillna(""), sort=False)
    }
    groups = {key[0] for key in (*sums, *sums_last)}
    segments = division == "segment"
    order = list(segment_names()) if segments else sorted(groups - {""})
    unknown, unknown_last = (
        {**each.missing, **(not_by_segment(each.rows.sums()) if segments else {})} for each in (now, last)
    )
    out = []
    for name in [*order, *([""] if "" in groups else [])]:
        kpis = []
        for kpi in KPIS:
            value = kpi_value(kpi, sums.get((name, kpi.code), KpiSum()), unknown)
            value_last = kpi_value(kpi, sums_last.get((name, kpi.code), KpiSum()), unknown_last)
            kpis.append({"measure": kpi.code, **value, "last": value_last["value"]})
        out.append({"group": name or None, **holding(holdings.get(name, np.zeros(0))), "measures": kpis})
    return out


def holding(arr: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the active accounts and their ARR; None if it is unknown for one of them."""
    return {"accounts": len(arr), "arr": None if np.isnan(arr).any() else math.fsum(arr)}
