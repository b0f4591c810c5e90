"""The renewal forecast of an assessed portfolio: the accounts due and the expected outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Texts, equal_to
from features.utils.dates import to_iso
from features.utils.formatting import count_of, money
from features.utils.periods import Period
from models.artifacts.bundle import Bundle
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_names
from models.predictions.assessment import Assessment
from models.predictions.payload import format_instant
from models.predictions.target_predictions import TargetScores
from models.renewals.due_accounts import DueAccounts, ModelProbabilities, find_due_accounts
from models.renewals.forecast import ForecastValue, GroupForecast, forecast_due_renewals, outcome_probabilities
from models.renewals.historical_rates import HistoricalRates
from models.renewals.past_forecasts import FIGURES, PastFigure, PastForecasts, bias_distributions
from models.renewals.renewal_model import LEADS
from models.scorer.base import RENEWAL_FEATURE
from serving.renewals.schemas import BACKTEST_FIGURES
from serving.snapshots.account_attributes import AccountSelection

DIVISIONS = ("segment", "csm", "region", "parent")
"""The breakdowns of a forecast."""
GRACE_DAYS = 30
"""The grace period without a model: how long after its end a new subscription still counts as a renewal."""


@dataclass(frozen=True)
class ForecastInputs:
    """The inputs of a forecast besides the assessment.

    Parameters
    ----------
    habits : rates of past renewals; None if unavailable.
    people : name, csm and region of each account by its id.
    past : the backtest, if there is one.
    tops : the top account of every account that has a parent or is one.
    """

    habits: HistoricalRates | None = None
    people: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    past: PastForecasts | None = None
    tops: Mapping[str, str] = field(default_factory=dict)


def forecast_renewals(
    assessment: Assessment, period: Period, inputs: ForecastInputs, selection: AccountSelection | None = None
) -> dict[str, Any]:
    """Forecast the renewals of a period.

    Parameters
    ----------
    assessment : the assessed portfolio.
    period : the period.
    inputs : past renewals, people and the backtest.
    selection : the accounts that count; None for all. Rates of past renewals are always those of all accounts.

    Returns
    -------
    dict for JSON
        A `serving.renewals.schemas.Renewals`, with all accounts listed.
    """
    as_of = assessment.as_of.to_pydatetime()
    churn, growth = assessment.target_scores["churn"], assessment.target_scores["expansion"]
    arr, until = (number_column(assessment.frame, name) for name in (ARR_FEATURE, RENEWAL_FEATURE))
    grace = GRACE_DAYS if churn.bundle is None else churn.bundle.manifest.grace_days
    expansion = None if growth.bundle is None else _probabilities(growth)
    model = None if churn.bundle is None else churn.bundle.renewals
    predicted = None if model is None else model.predict(assessment.frame)
    selection = AccountSelection.everyone(assessment) if selection is None else selection
    rows = selection.rows
    due = find_due_accounts(as_of, period, until, arr, _probabilities(churn), expansion, grace, predicted)
    due = replace(due, due=due.due & rows, complete=due.complete & rows, overdue=due.overdue & rows)
    segment, ids = assessment.rule_results.segments, assessment.account_ids
    csm, region = (np.array([_person(inputs, each, name) for each in ids], dtype=object) for name in ("csm", "region"))
    parent = np.array([inputs.tops.get(account) for account in ids], dtype=object)
    habits = inputs.habits or HistoricalRates.none()
    leaving, grown = bias_distributions(inputs.past.quarters if inputs.past else ())
    divisions = {"segment": segment, "csm": csm, "region": region, "parent": parent}
    divisions_forecast = {name: values[due.complete] for name, values in divisions.items()}
    renewals = due.of(arr, segment)
    forecasts = forecast_due_renewals(renewals, habits, leaving, grown, divisions_forecast)
    outcomes = np.full((len(arr), 4), np.nan)
    outcomes[due.complete] = outcome_probabilities(renewals, habits)
    listed = due.due | due.overdue
    names = {
        "segment": [*segment_names(), *([None] if equal_to(segment[rows], None).any() else [])],
        "csm": _names(csm[rows]),
        "region": _names(region[rows]),
        # Most companies have no renewal in a period.
        "parent": _names(parent[listed]),
    }
    accounts = _accounts(assessment, due, arr, until, divisions, inputs, outcomes)
    return {
        "as_of": format_instant(as_of),
        "period": period.name,
        "start": to_iso(period.start),
        "end": to_iso(period.end),
        "grace_days": grace,
        "whole": _due(due, arr, np.ones(len(arr), dtype=bool), forecasts["all", None]),
        **{
            f"by_{division}": [
                {division: name} | _due(due, arr, equal_to(divisions[division], name), forecasts.get((division, name)))
                for name in names[division]
            ]
            for division in divisions
        },
        "accounts": accounts,
        "more_accounts": 0,
        "past_renewals": habits.whole.renewals,
        "shared_error": leaving.mean,
        "bridge": _bridge(due, np.where(rows, arr, 0.0), churn),
        "filter": selection.account_filter.applied,
        "backtest": None if inputs.past is None else _backtest(inputs.past),
        "notes": _notes(due, arr, inputs, churn, growth),
    }


def _bridge(due: DueAccounts, arr: Floats, churn: TargetScores) -> dict[str, Any] | None:
    """Return the steps from the portfolio's ARR at risk within the model's horizon to the expected lost ARR."""
    if churn.bundle is None:
        return None
    now, lost = np.nan_to_num(churn.probability * arr), np.nan_to_num(due.leaves * arr)
    return {
        "horizon_days": churn.bundle.manifest.horizon_days,
        "arr_at_risk": float(now.sum()),
        "not_due": float(now[~due.due & ~due.overdue].sum()),
        "overdue": float(now[due.overdue].sum()),
        "not_forecast": float(now[due.due & ~due.complete].sum()),
        "until_renewal": float((lost - now)[due.complete].sum()),
        "expected_lost_arr": float(lost[due.complete].sum()),
    }


def _probabilities(scores: TargetScores) -> ModelProbabilities:
    """Return the probabilities of a model at its horizons."""
    days = 90 if scores.bundle is None else scores.bundle.manifest.horizon_days
    return ModelProbabilities(scores.by_horizon or {days: scores.probability}, scores.low, scores.high)


def _person(inputs: ForecastInputs, account: str, field_name: str) -> str | None:
    value = inputs.people.get(account, {}).get(field_name)
    return None if value is None else str(value)


def _names(values: Texts) -> list[str | None]:
    """Return the groups, sorted, with None last if it occurs."""
    return [
        *sorted({str(each) for each in values if each is not None}),
        *([None] if equal_to(values, None).any() else []),
    ]


def _due(due: DueAccounts, arr: Floats, rows: Bools, forecast: GroupForecast | None) -> dict[str, Any]:
    left_out = due.due & ~due.complete & rows
    overdue = due.overdue & rows
    empty = forecast is None or not forecast.accounts
    return {
        "accounts": int((due.due & rows).sum()),
        "arr": _sum(arr[due.due & rows]),
        "not_forecast_accounts": int(left_out.sum()),
        "not_forecast_arr": _sum(arr[left_out]),
        "overdue_accounts": int(overdue.sum()),
        "overdue_arr": _sum(arr[overdue]),
        "renewal_model_accounts": int((due.complete & due.by_renewal_model & rows).sum()),
        **{name: None if empty else _figure(getattr(forecast, name)) for name in FIGURES},
    }


def _sum(values: Floats) -> float:
    return float(np.nansum(values))


def _figure(figure: ForecastValue | None) -> dict[str, Any] | None:
    return None if figure is None else {"expected": figure.value, "interval": [figure.low, figure.high]}


def _accounts(
    assessment: Assessment,
    due: DueAccounts,
    arr: Floats,
    until: Floats,
    divisions: Mapping[str, Texts],
    inputs: ForecastInputs,
    outcomes: Floats,
) -> list[dict[str, Any]]:
    rows = np.flatnonzero(due.due | due.overdue)
    loss = np.nan_to_num(due.leaves * arr, nan=-1.0)
    order = rows[np.lexsort((rows, -np.nan_to_num(arr[rows]), -loss[rows], due.overdue[rows]))].tolist()
    bands, days = assessment.health.band.tolist(), pd.to_timedelta(until, unit="D")
    dates = (assessment.as_of + days).strftime("%Y-%m-%d")
    accounts = []
    for row in order:
        account = assessment.account_ids[row]
        leaves, amount = _number(due.leaves[row]), _number(arr[row])
        accounts.append(
            {
                "account_id": account,
                "name": _person(inputs, account, "name"),
                **{division: values[row] for division, values in divisions.items()},
                "arr": amount,
                "renewal_at": dates[row],
                "overdue": bool(due.overdue[row]),
                "notice_at": None if (notice := _person(inputs, account, "notice_at")) is None else notice[:10],
                "health_band": str(bands[row]),
                "churn_probability": leaves,
                "expansion_probability": None if due.grows is None else _number(due.grows[row]),
                "contraction_probability": _number(outcomes[row, 1]),
                "kept_probability": _number(outcomes[row, 2]),
                "method": _method(due, row),
                "expected_lost_arr": None if leaves is None or amount is None else leaves * amount,
            }
        )
    return accounts


def _method(due: DueAccounts, row: int) -> str | None:
    if not np.isfinite(due.leaves[row]):
        return None
    return "renewal_model" if due.by_renewal_model[row] else "derivation"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _backtest(past: PastForecasts) -> dict[str, Any]:
    counted = [(name, *past.coverage(name)) for name in FIGURES]
    return {
        "made_at": to_iso(past.made_at),
        "data_through": to_iso(past.data_through),
        "coverage": [{"figure": name, "inside": inside, "of": of} for name, inside, of in counted],
        "quarters": [
            {
                "period": quarter.period,
                "by": quarter.by,
                "accounts": quarter.accounts,
                "arr": quarter.arr,
                **{name: _past(quarter.figures.get(name)) for name in BACKTEST_FIGURES},
            }
            for quarter in past.quarters
        ],
    }


def _past(figure: PastFigure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    both = {"interval": [figure.low, figure.high], "inside": figure.inside}
    return {"expected": figure.expected, "happened": figure.happened} | both


def _notes(
    due: DueAccounts, arr: Floats, inputs: ForecastInputs, churn: TargetScores, growth: TargetScores
) -> list[str]:
    notes = []
    if churn.bundle is None:
        notes.append(
            "there is no churn model, so this lists what is due, without a forecast; `renewcast check SIGNALS` says "
            "what a model needs"
        )
    else:
        notes.extend(_forecast_notes(due, inputs, churn.bundle, growth))
    if overdue := int(due.overdue.sum()):
        notes.append(f"{count_of(overdue, 'account')} with {money(_sum(arr[due.overdue]))} ARR past the renewal date")
    return notes


def _forecast_notes(due: DueAccounts, inputs: ForecastInputs, bundle: Bundle, growth: TargetScores) -> list[str]:
    """Return what limits the forecast."""
    notes = []
    if left_out := int((due.due & ~due.complete).sum()):
        notes.append(
            f"{left_out:,} of the accounts due are not forecast: too new, without ARR, or beyond the longest horizon"
        )
    notes.extend(_method_notes(due, bundle))
    if growth.bundle is None:
        notes.append("there is no expansion model: growth is forecast at the rate of the portfolio's past renewals")
    if inputs.habits is None or not inputs.habits.whole.renewals:
        notes.append("no past renewals are known: the forecast assumes unchanged ARR for accounts that stay")
    if inputs.past is None:
        notes.append(
            "the intervals have not been checked against past quarters; run `renewcast renewals SIGNALS --backtest`"
        )
    return notes


def _method_notes(due: DueAccounts, bundle: Bundle) -> list[str]:
    """Return how many accounts the renewal model forecasts, or why there is none."""
    if bundle.renewals is None:
        card = None if bundle.card is None else bundle.card.renewals
        why = f": {card.reason}" if card is not None and card.reason else ""
        return [f"all probabilities are derived from the churn and expansion models; there is no renewal model{why}"]
    total, modeled = int(due.complete.sum()), int((due.complete & due.by_renewal_model).sum())
    if not total:
        return []
    return [
        f"{modeled:,} of {count_of(total, 'account')} are forecast with the renewal model, the others only by the "
        f"churn and expansion models; the renewal model is for renewals {LEADS[0]} to {LEADS[-1]} days ahead, and not "
        "for monthly contracts"
    ]


def filter_forecast(forecast_payload: Mapping[str, Any], by: str | None, limit: int | None) -> dict[str, Any]:
    """Limit a forecast to one breakdown and the first accounts.

    Parameters
    ----------
    forecast_payload : the forecast.
    by : segment, csm, region or parent; None for all.
    limit : the number of accounts; None for all.

    Returns
    -------
    dict for JSON
    """
    accounts: Sequence[Any] = forecast_payload["accounts"]
    shown = accounts if limit is None else accounts[:limit]
    left_out = {f"by_{name}": None for name in DIVISIONS if by not in (None, name)}
    return {**forecast_payload, **left_out, "accounts": list(shown), "more_accounts": len(accounts) - len(shown)}


def accounts_frame(forecast_payload: Mapping[str, Any]) -> pd.DataFrame:
    """Return the accounts of a forecast as a table, one row each."""
    return pd.DataFrame(forecast_payload["accounts"])
