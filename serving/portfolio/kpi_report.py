"""The portfolio's KPIs with components, previous values and targets, in total and by segment, CSM and region."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.custom.current_catalogue import current_catalogue
from features.definitions.feature import Feature
from features.kpi.acquisition import acquisition_parts
from features.kpi.components import FEATURES, churn_parts, instant_parts, period_parts, product_parts
from features.kpi.definitions import KPIS, PRODUCT_KPIS, Kpi
from features.kpi.product_usage import product_usage_parts
from features.revenue.arr import facts, people, products
from features.revenue.arr_movements import UNKNOWN_PRODUCT
from features.revenue.history_start import history_start
from features.signals.signals import OpenSignals
from features.snapshots.snapshot import snapshot
from features.utils.account_hierarchies import parents_of, top_accounts
from features.utils.dates import DAY, Grid, to_iso
from features.utils.periods import Period, period_ending
from features.utils.progress import Progress, no_progress
from models.health.rubric import Rubric
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.rules.kpi_targets import kpi_targets_file
from serving.portfolio.contribution_rows import GROUP_COLUMNS, ContributionRows, KpiSum
from serving.portfolio.health_kpis import advocates, health_parts
from serving.portfolio.kpi_filter import KpiFilter
from serving.portfolio.kpi_values import Contributions, KpiContributions, holding, kpi_value, kpis_of, with_groups
from serving.portfolio.rule_kpis import play_parts, review_parts

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
    contributions: KpiContributions | None = None,
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
    contributions : what `kpi_contributions` returns for the period, if it is there already.

    Returns
    -------
    dict for JSON of as_of, period and last_period (name, start, end), contractual, rubric, targets_version, measures (a
    record each: measure, title, unit, better, over, value, numerator, denominator, left_out, unknown, last, quarter,
    target, met), by (for each of `serving.portfolio.kpi_values.DIVISIONS` the groups, with accounts, ARR and the same
    KPIs) and advocates. A ``parent`` is the top account of a company with several accounts, and its group holds all of
    them; the other accounts are in the group None. ``by`` also has the KPIs of ARR and renewals of each ``product``;
    None is the unknown product, of subscriptions (or orders) that name none. An unknown value is None, and ``unknown``
    gives the reason. ``left_out`` counts the accounts with unknown data. If the terms of more than a few accounts are
    overwritten, all KPIs that depend on terms are unknown, and so is every KPI by segment, because an account's ARR
    determines its segment.
    ``quarter`` is the value over the last three months of a year, for KPIs over the period; None for all others.
    """
    at, frames = period.end, {} if frames is None else frames
    if contributions is None:
        contributions = kpi_contributions(signals, period, rubric, active_days, progress, frames, rollup_folder)
    everyone = account_groups(people(signals))
    held = with_groups(facts(signals, at, active_days)[["account_id", "arr"]], everyone)
    held = held.assign(segment=segment_of(held["arr"].to_numpy(dtype=np.float64)))
    promoters = [] if frames[at].empty else advocates(frames[at], rubric.score(frames[at]), everyone)
    targets, grouped = kpi_targets_file().over(period.years), contributions.with_groups(everyone.drop(columns="name"))
    found = kpis_of(grouped, targets, held, promoters, only)
    if only is None:
        found["by"]["product"] = _products(signals, period, active_days, contributions.now.missing)
    return {
        "as_of": to_iso(at),
        "period": _span(period),
        "last_period": _span(period.before()),
        "contractual": signals.contractual,
        "rubric": rubric.name,
        "rubric_version": rubric.version,
        "targets_version": kpi_targets_file().version,
        **found,
    }


def kpi_contributions(
    signals: OpenSignals,
    period: Period,
    rubric: Rubric,
    active_days: int,
    progress: Progress = no_progress,
    frames: dict[datetime, pd.DataFrame] | None = None,
    rollup_folder: Path | None = None,
    lives: pd.DataFrame | None = None,
) -> KpiContributions:
    """Compute what every account contributes to the KPIs of a period and of the one before, as known at its end.

    Parameters
    ----------
    signals, period, rubric, active_days, progress, frames, rollup_folder : as in `kpi_report`.
    lives : rows of `features.kpi.cohort_retention.account_lives` at the period's end, for the costs of acquisition;
        None leaves them out.
    """
    at, frames = period.end, {} if frames is None else frames
    progress(0.0, "computing snapshots at both ends of the period")
    _add_missing_frames(signals, period, rubric, active_days, frames, rollup_folder)
    progress(0.6, "adding up changes")
    now = _parts(signals, period, at, rubric, active_days, frames, lives)
    progress(0.8, "adding up changes in the previous period")
    last = _parts(signals, period.before(), at, rubric, active_days, frames)
    recent = None
    if period.name == "year":
        quarter = period_ending(at, "quarter")
        components = _period_parts(signals, quarter, at, active_days)
        components.append(instant_parts(signals, frames[at], quarter, active_days))
        recent = Contributions(_rows(signals, components), _missing(signals, quarter))
    return KpiContributions(
        Contributions(now, _missing(signals, period)), Contributions(last, _missing(signals, period.before())), recent
    )


def account_groups(everyone: pd.DataFrame) -> pd.DataFrame:
    """Return account_id, name, csm, region and parent (the top account of a company with several) of each account.

    Parameters
    ----------
    everyone : the accounts with name, csm, region and parent_id (`features.revenue.arr.people`).
    """
    tops = top_accounts(parents_of(everyone))
    grouped = everyone.assign(parent=everyone["account_id"].map(tops).astype(object))
    return pd.DataFrame(grouped[["account_id", "name", *GROUP_COLUMNS]])


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
    lives: pd.DataFrame | None = None,
) -> ContributionRows:
    frame = frames[period.end]
    components = [
        *_period_parts(signals, period, known_at, active_days),
        instant_parts(signals, frame, period, active_days),
        product_usage_parts(signals, frame, period.end),
        review_parts(signals, frame, period.end),
    ]
    components += [churn_parts(signals, period.end, span, known_at, active_days) for span in ("month", "year")]
    if not frame.empty:
        components.append(health_parts(frame, rubric.score(frame), signals.contractual))
    if lives is not None:
        components.append(acquisition_parts(signals, period, lives, active_days))
    return _rows(signals, components)


def _period_parts(signals: OpenSignals, period: Period, known_at: datetime, active_days: int) -> list[pd.DataFrame]:
    """Return the contributions to the KPIs of a period, those that depend on rules included."""
    parts = period_parts(signals, period, known_at, active_days)
    # The accounts that this KPI is of are all accounts of the period.
    moved = parts[parts["measure"] == "expansion_revenue_share"]
    return [parts, play_parts(signals, period, known_at, moved)]


def _rows(signals: OpenSignals, components: list[pd.DataFrame]) -> ContributionRows:
    parts = _with_stated_terms(
        signals, pd.concat([each for each in components if len(each)] or components[:1], ignore_index=True)
    )
    return ContributionRows.of(parts.assign(segment=segment_of(parts["arr"].to_numpy(dtype=np.float64))))


def _with_stated_terms(signals: OpenSignals, parts: pd.DataFrame) -> pd.DataFrame:
    """Return the contributions with terms that are overwritten only where a source overwrites terms.

    What a spreadsheet does not state is unknown for its own reason: whether an account left has no influence on it. So
    only that account is left out.
    """
    return parts if signals.states is None else parts.assign(overwritten=False)


def _products(
    signals: OpenSignals, period: Period, active_days: int, missing: Mapping[str, str]
) -> list[dict[str, Any]]:
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
        sums, sums_last = (ContributionRows.of(each).sums() for each in parts)
        kpis = [
            {
                "measure": kpi.code,
                **kpi_value(kpi, sums.get(kpi.code, KpiSum()), missing),
                "last": kpi_value(kpi, sums_last.get(kpi.code, KpiSum()), missing)["value"],
            }
            for kpi in KPIS
            if kpi.code in PRODUCT_KPIS
        ]
        out.append({"group": name or None, **holding(arr[name]), "measures": kpis})
    return out


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
