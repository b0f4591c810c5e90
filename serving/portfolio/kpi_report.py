"""The portfolio's KPIs with components, previous values and targets, in total and by segment, CSM and region."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.custom.current_catalogue import current_catalogue
from features.definitions.feature import Feature
from features.kpi.components import FEATURES, churn_parts, instant_parts, period_parts, product_parts
from features.kpi.definitions import AT_INSTANT, AT_START, KPIS, PRODUCT_KPIS, Kpi
from features.revenue.arr import facts, people, products
from features.revenue.arr_movements import UNKNOWN_PRODUCT
from features.revenue.history_start import history_start
from features.signals.contract_terms import TOLERATED_SHARE
from features.signals.signals import OpenSignals
from features.snapshots.snapshot import snapshot
from features.utils.account_hierarchies import parents_of, top_accounts
from features.utils.dates import DAY, Grid, to_iso
from features.utils.periods import Period, period_ending
from features.utils.progress import Progress, no_progress
from models.health.rubric import Rubric
from models.peer_groups.segments import ARR_FEATURE, segment_names, segment_of
from models.rules.kpi_targets import kpi_targets_file, meets_target
from serving.portfolio.health_kpis import advocates, health_parts
from serving.portfolio.kpi_filter import KpiFilter

DIVISIONS = ("segment", "csm", "region", "parent")
PRODUCTS_SHOWN = 50
"""Maximum number of products with KPIs of their own: those with the largest ARR, and the unknown product."""


def kpi_report(
    signals: OpenSignals,
    period: Period,
    rubric: Rubric,
    active_days: int,
    progress: Progress = no_progress,
    frames: dict[datetime, pd.DataFrame] | None = None,
    rollup_folder: Path | None = None,
    only: KpiFilter | None = None,
) -> dict[str, Any]:
    """Compute every KPI of a period, as known at its end, with those of the previous period.

    Parameters
    ----------
    signals : validated signals.
    period : only data known before its end is used.
    rubric : the health score rubric.
    active_days : without contracts, an order within this many days makes an account active.
    frames : snapshots with the features of `kpi_features`, by instant. Missing ones are computed and added.
    rollup_folder : the folder of roll-ups of large feeds, as for `features.snapshots.snapshot.snapshot`.
    only : the accounts that count; None for all. KPIs by product are left out then.

    Returns
    -------
    dict for JSON of as_of, period and last_period (name, start, end), contractual, rubric, targets_version, measures (a
    record each: measure, title, unit, better, over, value, numerator, denominator, left_out, unknown, last, quarter,
    target, met), by (for each of `DIVISIONS` the groups, with accounts, ARR and the same KPIs) and advocates. A
    ``parent`` is the top account of a company with several accounts, and its group holds all of them; the other
    accounts are in the group None. ``by`` also has the KPIs of ARR and renewals of each ``product``; None is the
    unknown product, of subscriptions (or orders) that name none. An unknown value is None, and ``unknown`` gives the
    reason. ``left_out`` counts the accounts with unknown data. If the terms of more than a few accounts are
    overwritten, all KPIs that depend on terms are unknown, and so is every KPI by segment, because an account's ARR
    determines its segment.
    ``quarter`` is the value over the last three months of a year, for KPIs over the period; None for all others.
    """
    at, frames = period.end, {} if frames is None else frames
    progress(0.0, "computing snapshots at both ends of the period")
    _add_missing_frames(signals, period, rubric, active_days, frames, rollup_folder)
    progress(0.6, "adding up changes")
    now = _parts(signals, period, at, rubric, active_days, frames)
    progress(0.8, "adding up changes in the previous period")
    last = _parts(signals, period.before(), at, rubric, active_days, frames)
    everyone = people(signals)
    tops = top_accounts(parents_of(everyone))
    everyone = everyone.assign(parent=everyone["account_id"].map(tops).astype(object))
    held = _with_groups(facts(signals, at, active_days)[["account_id", "arr"]].assign(numerator=0.0), everyone)
    now, last = _with_groups(now, everyone), _with_groups(last, everyone)
    if only is not None:
        now, last, held = (only.apply(each) for each in (now, last, held))
    targets = {target.measure: target.over(period.years) for target in kpi_targets_file().targets}
    missing, missing_last = (_missing(signals, span) for span in (period, period.before()))
    missing_recent = _missing(signals, period_ending(period.end, "quarter"))
    if only is not None:
        missing |= only.unknown(past=False)
        missing_last, missing_recent = (each | only.unknown(past=True) for each in (missing_last, missing_recent))
        if only.segment is not None:
            missing, missing_last = (
                why | _not_by_segment(p) for why, p in zip((missing, missing_last), (now, last), strict=True)
            )
    sums, sums_last = _sums(now, []), _sums(last, [])
    frame = frames[at]
    recent = _recent(signals, period, active_days, frame, everyone, only)
    return {
        "as_of": to_iso(at),
        "period": _span(period),
        "last_period": _span(period.before()),
        "contractual": signals.contractual,
        "rubric": rubric.name,
        "rubric_version": rubric.version,
        "targets_version": kpi_targets_file().version,
        "measures": [
            {
                **_kpi(m, _value(m, sums, missing), _value(m, sums_last, missing_last), targets.get(m.code)),
                "quarter": None if recent is None or m.over != "period" else _value(m, recent, missing_recent),
            }
            for m in KPIS
        ],
        "by": {division: _groups(division, now, last, (missing, missing_last), held) for division in DIVISIONS}
        | {"product": [] if only is not None else _products(signals, period, active_days, missing)},
        "advocates": [] if frame.empty else _advocates(advocates(frame, rubric.score(frame), everyone), only),
    }


def _advocates(accounts: list[dict[str, Any]], only: KpiFilter | None) -> list[dict[str, Any]]:
    return [each for each in accounts if only is None or each["account_id"] in only.present]


def kpi_features(rubric: Rubric) -> Catalogue:
    """Return the features that the KPIs need: a small part of the catalogue, for a fast snapshot."""
    catalogue = current_catalogue()
    wanted = {*FEATURES, ARR_FEATURE, *(signal.feature for _, signal in rubric.signals)}
    chosen: dict[str, Feature] = {name: f for name, f in catalogue.items() if name in wanted}
    while more := {f.own_past for f in chosen.values() if f.own_past is not None} - set(chosen):
        chosen |= {name: catalogue[name] for name in more}
    return Catalogue(tuple(f for name, f in catalogue.items() if name in chosen), catalogue.windows)


def _add_missing_frames(
    signals: OpenSignals,
    period: Period,
    rubric: Rubric,
    active_days: int,
    frames: dict[datetime, pd.DataFrame],
    rollup_folder: Path | None,
) -> None:
    """Compute the missing snapshots at both ends of the period in one pass."""
    if missing := [at for at in (period.start, period.end) if at not in frames]:
        days = max((missing[-1] - missing[0]) // DAY, 1)
        grid = Grid(missing[0], days, len(missing))
        computed = snapshot(
            signals, grid, horizon_days=active_days, catalogue=kpi_features(rubric), rollup_folder=rollup_folder
        )
        for at in missing:
            frames[at] = computed[computed["as_of"] == pd.Timestamp(at)].reset_index(drop=True)


def _parts(
    signals: OpenSignals,
    period: Period,
    known_at: datetime,
    rubric: Rubric,
    active_days: int,
    frames: dict[datetime, pd.DataFrame],
) -> pd.DataFrame:
    frame = frames[period.end]
    components = [
        period_parts(signals, period, known_at, active_days),
        instant_parts(signals, frame, period, active_days),
    ]
    components += [churn_parts(signals, period.end, span, known_at, active_days) for span in ("month", "year")]
    if not frame.empty:
        components.append(health_parts(frame, rubric.score(frame), signals.contractual))
    return _with_stated_terms(
        signals, pd.concat([each for each in components if len(each)] or components[:1], ignore_index=True)
    )


def _with_stated_terms(signals: OpenSignals, parts: pd.DataFrame) -> pd.DataFrame:
    """Return the contributions with terms that are overwritten only where a source overwrites terms.

    What a spreadsheet does not state is unknown for its own reason: whether an account left has no influence on it. So
    only that account is left out.
    """
    return parts if signals.states is None else parts.assign(overwritten=False)


def _recent(
    signals: OpenSignals,
    period: Period,
    active_days: int,
    frame: pd.DataFrame,
    everyone: pd.DataFrame,
    only: KpiFilter | None,
) -> dict[Any, Any] | None:
    """Return the sums of the last quarter of a year; None for other periods."""
    if period.name != "year":
        return None
    quarter = period_ending(period.end, "quarter")
    components = [period_parts(signals, quarter, period.end, active_days)]
    components.append(instant_parts(signals, frame, quarter, active_days))
    parts = _with_stated_terms(
        signals, pd.concat([each for each in components if len(each)] or components[:1], ignore_index=True)
    )
    grouped = _with_groups(parts, everyone)
    return _sums(grouped if only is None else only.apply(grouped), [])


def _with_groups(parts: pd.DataFrame, everyone: pd.DataFrame) -> pd.DataFrame:
    grouped = parts.merge(everyone[["account_id", "csm", "region", "parent"]], on="account_id", how="left")
    grouped["segment"] = segment_of(grouped["arr"].to_numpy(dtype=np.float64))
    return grouped.assign(left_out=grouped["numerator"].isna().astype(np.int64))


def _sums(parts: pd.DataFrame, by: list[str]) -> dict[Any, tuple[float, float, float, int, int, int, int]]:
    """Return numerator, denominator, net denominator, and the numbers of accounts with a value, left out, in total
    and with overwritten terms, by KPI and group."""
    groups = parts.groupby([*by, "measure"], dropna=False, sort=False)
    totals = groups.agg(
        numerator=("numerator", "sum"),
        denominator=("denominator", "sum"),
        net=("net", "sum"),
        with_value=("numerator", "count"),
        left_out=("left_out", "sum"),
        accounts=("account_id", "size"),
        overwritten=("overwritten", "sum"),
    )
    return {
        key: (float(n), float(d), float(net), int(k), int(out), int(total), int(lost))
        for key, n, d, net, k, out, total, lost in zip(totals.index, *(totals[c] for c in totals.columns), strict=True)
    }


def _overwritten(kpi: Kpi, sums: dict[Any, Any], *group: Any, segments: bool = False) -> str | None:
    """Return why a KPI is unknown if too many accounts have overwritten terms; else None.

    ``segments``: the KPI is by segment, so that it depends on the ARR.
    """
    if not (kpi.terms or segments):
        return None
    key = (*group, kpi.code) if group else kpi.code
    *_, accounts, overwritten = sums.get(key, (0, 0))
    if not overwritten > TOLERATED_SHARE * accounts:
        return None
    when = kpi.terms or (AT_INSTANT if kpi.over == "instant" else AT_START)
    return f"the terms of {overwritten:,} of {accounts:,} accounts are unknown {when}: the source overwrites them"


def _value(kpi: Kpi, sums: dict[Any, Any], missing: dict[str, str], *group: Any) -> dict[str, Any]:
    key = (*group, kpi.code) if group else kpi.code
    numerator, denominator, net, with_value, left_out, *_ = sums.get(key, (0.0, 0.0, 0.0, 0, 0))
    why = missing.get(kpi.code) or _overwritten(kpi, sums, *group)
    if why is None and not with_value:
        why = kpi.unknown if left_out else kpi.nothing
    elif why is None and kpi.denominator and not min(denominator, net) > 0:
        why = kpi.not_above_zero
    if why is not None:
        empty = {"value": None, "numerator": None, "denominator": None}
        return {**empty, "left_out": left_out, "unknown": why}
    value = kpi.factor * numerator / denominator if kpi.denominator else numerator
    return {
        "value": value,
        "numerator": numerator,
        "denominator": denominator if kpi.denominator else None,
        "left_out": left_out,
        "unknown": None,
    }


def _kpi(kpi: Kpi, now: dict[str, Any], last: dict[str, Any], target: dict[str, Any] | None) -> dict[str, Any]:
    about = {name: getattr(kpi, name) for name in ("title", "unit", "better", "over")}
    met = meets_target(target, now["value"])
    return {"measure": kpi.code, **about, **now, "last": last, "target": target, "met": met}


def _groups(
    division: str, now: pd.DataFrame, last: pd.DataFrame, missing: tuple[dict[str, str], ...], held: pd.DataFrame
) -> list[dict[str, Any]]:
    """Return the groups of a breakdown with every KPI. The group of unknown accounts comes last, as None."""
    now, last, held = (
        each.assign(**{division: each[division].astype(object).where(each[division].notna(), "")})
        for each in (now, last, held)
    )
    sums, sums_last = (_sums(each, [division]) for each in (now, last))
    holdings = {name: own["arr"].to_numpy(dtype=np.float64) for name, own in held.groupby(division, sort=False)}
    groups = {key[0] for key in (*sums, *sums_last)}
    segments = division == "segment"
    order = list(segment_names()) if segments else sorted(groups - {""})
    unknown, unknown_last = missing
    if segments:
        unknown, unknown_last = (why | _not_by_segment(p) for why, p in zip(missing, (now, last), strict=True))
    out = []
    for name in [*order, *([""] if "" in groups else [])]:
        kpis = []
        for kpi in KPIS:
            value = _value(kpi, sums, unknown, name)
            value_last = _value(kpi, sums_last, unknown_last, name)
            kpis.append({"measure": kpi.code, **value, "last": value_last["value"]})
        out.append({"group": name or None, **_holding(holdings.get(name, np.zeros(0))), "measures": kpis})
    return out


def _holding(arr: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the active accounts and their ARR; None if it is unknown for one of them."""
    return {"accounts": len(arr), "arr": None if np.isnan(arr).any() else math.fsum(arr)}


def _products(signals: OpenSignals, period: Period, active_days: int, missing: dict[str, str]) -> list[dict[str, Any]]:
    """Return the KPIs of ARR and renewals of each product, the largest first and the unknown product last, as None."""
    arr = {name: facts(signals, period.end, active_days, name)["arr"].to_numpy() for name in products(signals)}
    unnamed = [name for name in arr if name == UNKNOWN_PRODUCT]
    largest = sorted(arr.keys() - unnamed, key=lambda name: (-np.nansum(arr[name]), name))[:PRODUCTS_SHOWN]
    out = []
    for name in (*largest, *unnamed):
        parts = (
            _with_stated_terms(signals, product_parts(signals, each, name, active_days))
            for each in (period, period.before())
        )
        sums, sums_last = (_sums(p.assign(left_out=p["numerator"].isna().astype(np.int64)), []) for p in parts)
        kpis = [
            {
                "measure": kpi.code,
                **_value(kpi, sums, missing),
                "last": _value(kpi, sums_last, missing)["value"],
            }
            for kpi in KPIS
            if kpi.code in PRODUCT_KPIS
        ]
        out.append({"group": name or None, **_holding(arr[name]), "measures": kpis})
    return out


def _not_by_segment(parts: pd.DataFrame) -> dict[str, str]:
    """Return the KPIs that are unknown by segment, each with the reason."""
    sums = _sums(parts, [])
    return {m.code: why for m in KPIS if (why := _overwritten(m, sums, segments=True)) is not None}


def _missing(signals: OpenSignals, period: Period) -> dict[str, str]:
    """Return the KPIs of a period that the source cannot show, each with the reason."""
    starts = {"period": period.start, "month": period_ending(period.end - 30 * DAY, "month").start}
    starts["year"] = period_ending(period.end, "year").start
    known = history_start(signals)
    found = {}
    for kpi in KPIS:
        why = next((why for group in kpi.needs if (why := _unrecorded(kpi, group, signals))), None)
        if signals.states is not None and signals.states.sole and kpi.over != "instant":
            found[kpi.code] = "the source shows the accounts at one date"
        elif why is not None:
            found[kpi.code] = why
        elif kpi.code.startswith("logo_") and known is not None and starts[kpi.over] < known:
            found[kpi.code] = f"the source does not show who left before {to_iso(known)}"
    return found


def _unrecorded(kpi: Kpi, group: tuple[str, ...], signals: OpenSignals) -> str | None:
    """Return why no table of a group can show what a KPI counts; None if one of them can."""
    there = [name for name in group if signals.has(name)]
    if not there:
        return f"the source has no {' or '.join(group)}"
    lacks = [_not_recordable(kpi, name, signals) for name in there]
    return None if None in lacks else f"the source cannot record {' and '.join(filter(None, lacks))}"


def _not_recordable(kpi: Kpi, table: str, signals: OpenSignals) -> str | None:
    """Return what a KPI counts and a table cannot record; None if it can record everything."""
    records = signals.records.get(table, {})
    for name, column, values in kpi.counts:
        if name == table and column in records and not records[column] & set(values):
            return f"the {column} {' or '.join(values)} in {table}"
    return None


def _span(period: Period) -> dict[str, str]:
    return {"name": period.name, "start": to_iso(period.start), "end": to_iso(period.end)}
