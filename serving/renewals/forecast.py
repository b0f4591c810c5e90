"""The renewal forecast of an assessed portfolio: who is due, and what is expected of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.utils.dates import to_iso
from features.utils.formatting import count_of, money
from features.utils.periods import Period
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_names
from models.predictions.assessment import Assessment
from models.predictions.payload import instant_words
from models.predictions.target_predictions import Outlook
from models.renewals.due_accounts import InPeriod, Said, in_period
from models.renewals.forecast import Expected, Forecast, forecast
from models.renewals.historical_rates import Habits
from models.renewals.past_forecasts import FIGURES, PastFigure, PastForecasts, levels
from models.scorer.base import RENEWAL_FEATURE

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

GRACE_DAYS = 30
"""Where no model says another grace: how long a new subscription undoes a churn."""


@dataclass(frozen=True)
class ForecastInputs:
    """What a forecast needs beside the assessment.

    ``habits`` of past renewals, None where nobody has looked; ``people`` what is known of each account by its id: name
    and csm; ``past`` the backtest, None without one.
    """

    habits: Habits | None = None
    people: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    past: PastForecasts | None = None


def forecast_renewals(assessment: Assessment, period: Period, known: ForecastInputs) -> dict[str, Any]:
    """All that `serving.renewals.schemas.Renewals` says, every account listed."""
    as_of = assessment.as_of.to_pydatetime()
    churn, growth = assessment.outlooks["churn"], assessment.outlooks["expansion"]
    arr, until = (number_column(assessment.frame, name) for name in (ARR_FEATURE, RENEWAL_FEATURE))
    grace = GRACE_DAYS if churn.bundle is None else churn.bundle.manifest.grace_days
    growing = None if growth.bundle is None else _said(growth)
    due = in_period(as_of, period, until, arr, _said(churn), growing, grace)
    segment = assessment.judged.segments
    csm = np.array([_person(known, account, "csm") for account in assessment.account_ids], dtype=object)
    habits = known.habits or Habits.none()
    leaving, grown = levels(known.past.quarters if known.past else ())
    divisions = {"segment": segment, "csm": csm}
    told = {name: values[due.told] for name, values in divisions.items()}
    found = forecast(due.of(arr, segment), habits, leaving, grown, told)
    names = {
        "segment": [*segment_names(), *([None] if _anyone(segment, None).any() else [])],
        "csm": sorted({str(each) for each in csm if each is not None}) + ([None] if _anyone(csm, None).any() else []),
    }
    accounts = _accounts(assessment, due, arr, until, csm, known)
    return {
        "as_of": instant_words(as_of),
        "period": period.name,
        "start": to_iso(period.start),
        "end": to_iso(period.end),
        "grace_days": grace,
        "whole": _due(due, arr, np.ones(len(arr), dtype=bool), found["all", None]),
        **{
            f"by_{division}": [
                {division: name} | _due(due, arr, _anyone(divisions[division], name), found.get((division, name)))
                for name in names[division]
            ]
            for division in divisions
        },
        "accounts": accounts,
        "more_accounts": 0,
        "past_renewals": habits.whole.renewals,
        "shared_error": leaving.mean,
        "bridge": _bridge(due, arr, churn),
        "backtest": None if known.past is None else _backtest(known.past),
        "notes": _notes(due, arr, known, churn, growth),
    }


def _bridge(due: InPeriod, arr: Floats, churn: Outlook) -> dict[str, Any] | None:
    """From the portfolio's ARR at risk, within the model's horizon, to what this forecast expects to lose."""
    if churn.bundle is None:
        return None
    now, lost = np.nan_to_num(churn.probability * arr), np.nan_to_num(due.leaves * arr)
    return {
        "horizon_days": churn.bundle.manifest.horizon_days,
        "arr_at_risk": float(now.sum()),
        "not_due": float(now[~due.due & ~due.overdue].sum()),
        "overdue": float(now[due.overdue].sum()),
        "not_forecast": float(now[due.due & ~due.told].sum()),
        "until_renewal": float((lost - now)[due.told].sum()),
        "expected_lost_arr": float(lost[due.told].sum()),
    }


def _said(seen: Outlook) -> Said:
    """The horizons that a model knows; where it knows one only, that one."""
    days = 90 if seen.bundle is None else seen.bundle.manifest.horizon_days
    return Said(seen.by_horizon or {days: seen.probability}, seen.low, seen.high)


def _person(known: ForecastInputs, account: str, what: str) -> str | None:
    value = known.people.get(account, {}).get(what)
    return None if value is None else str(value)


def _anyone(values: Texts, wanted: str | None) -> Bools:
    return np.array([value == wanted for value in values], dtype=bool)


def _due(due: InPeriod, arr: Floats, rows: Bools, found: Forecast | None) -> dict[str, Any]:
    left_out = due.due & ~due.told & rows
    overdue = due.overdue & rows
    nothing = found is None or not found.accounts
    return {
        "accounts": int((due.due & rows).sum()),
        "arr": _sum(arr[due.due & rows]),
        "not_forecast_accounts": int(left_out.sum()),
        "not_forecast_arr": _sum(arr[left_out]),
        "overdue_accounts": int(overdue.sum()),
        "overdue_arr": _sum(arr[overdue]),
        **{name: None if nothing else _figure(getattr(found, name)) for name in FIGURES},
    }


def _sum(values: Floats) -> float:
    return float(np.nansum(values))


def _figure(told: Expected | None) -> dict[str, Any] | None:
    return None if told is None else {"expected": told.value, "interval": [told.low, told.high]}


def _accounts(
    assessment: Assessment, due: InPeriod, arr: Floats, until: Floats, csm: Texts, known: ForecastInputs
) -> list[dict[str, Any]]:
    rows = np.flatnonzero(due.due | due.overdue)
    loss = np.nan_to_num(due.leaves * arr, nan=-1.0)
    order = rows[np.lexsort((rows, -np.nan_to_num(arr[rows]), -loss[rows], due.overdue[rows]))].tolist()
    bands, days = assessment.health.band.tolist(), pd.to_timedelta(until, unit="D")
    dates = (assessment.as_of + days).strftime("%Y-%m-%d")
    found = []
    for row in order:
        account = assessment.account_ids[row]
        leaves, amount = _number(due.leaves[row]), _number(arr[row])
        found.append(
            {
                "account_id": account,
                "name": _person(known, account, "name"),
                "csm": csm[row],
                "segment": assessment.judged.segments[row],
                "arr": amount,
                "renewal_at": dates[row],
                "overdue": bool(due.overdue[row]),
                "notice_at": None if (given := _person(known, account, "notice_at")) is None else given[:10],
                "health_band": str(bands[row]),
                "churn_probability": leaves,
                "expansion_probability": None if due.grows is None else _number(due.grows[row]),
                "expected_lost_arr": None if leaves is None or amount is None else leaves * amount,
            }
        )
    return found


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
                **{name: _past(quarter.figures.get(name)) for name in ("renewed_arr", "grr", "nrr")},
            }
            for quarter in past.quarters
        ],
    }


def _past(told: PastFigure | None) -> dict[str, Any] | None:
    if told is None:
        return None
    both = {"interval": [told.low, told.high], "inside": told.inside}
    return {"expected": told.expected, "happened": told.happened} | both


def _notes(due: InPeriod, arr: Floats, known: ForecastInputs, churn: Outlook, growth: Outlook) -> list[str]:
    notes = []
    if churn.bundle is None:
        notes.append("there is no model of churn, so nothing is forecast; `renewcast train` makes one")
    elif left_out := int((due.due & ~due.told).sum()):
        notes.append(
            f"{left_out:,} of the accounts due are not forecast: too new, without ARR, or beyond the longest horizon"
        )
    if growth.bundle is None:
        notes.append("there is no model of expansion: growth is forecast at the rate of the portfolio's past renewals")
    if known.habits is None or not known.habits.whole.renewals:
        notes.append("no past renewal is known: everything that stays is taken to stay as it is")
    if known.past is None:
        notes.append(
            "the interval was never compared with past quarters; `renewcast renewals SIGNALS --backtest` does that"
        )
    if overdue := int(due.overdue.sum()):
        notes.append(
            f"{count_of(overdue, 'account')} ({money(_sum(arr[due.overdue]))} a year) past their renewal date, unsigned"
        )
    return notes


def filter_forecast(told: Mapping[str, Any], by: str | None, limit: int | None) -> dict[str, Any]:
    """A forecast with one division only (all of them if None), and the first ``limit`` accounts."""
    accounts: Sequence[Any] = told["accounts"]
    shown = accounts if limit is None else accounts[:limit]
    left_out = {f"by_{name}": None for name in ("segment", "csm") if by not in (None, name)}
    return {**told, **left_out, "accounts": list(shown), "more_accounts": len(accounts) - len(shown)}


def accounts_frame(told: Mapping[str, Any]) -> pd.DataFrame:
    """The accounts of a forecast as a table, one row each."""
    columns = list(dict.fromkeys(name for row in told["accounts"] for name in row))
    return pd.DataFrame(told["accounts"], columns=columns)
