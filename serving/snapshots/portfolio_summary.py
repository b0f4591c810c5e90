"""Summary of the portfolio: accounts, ARR, health and expected churn, in total and by band and segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from features.utils.arrays import Bools, Floats, equal_to
from models.health.rubric import INSUFFICIENT
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE, segment_names
from models.predictions.assessment import Assessment
from models.predictions.payload import model_payload
from models.predictions.risk_bands import BANDS
from models.predictions.schema import Fraction, ModelReference, PredictionStatus, ResponseModel, ScorePoints
from models.targets import TARGETS
from serving.schemas.account_filter import AppliedFilter

Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]

HEALTH_BANDS = ("green", "yellow", "red", INSUFFICIENT)


class AccountGroup(ResponseModel):
    """Totals of a group of accounts.

    A figure that is unknown for all of them is null, never zero. A figure that is known for some of them covers these,
    and the number of accounts that it leaves out is given.
    """

    accounts: Count
    arr: Amount | None = Field(description="The sum per year, in the currency of the signals.")
    arr_unknown: Count = Field(description="Accounts with unknown ARR, which the sum leaves out.")
    mean_health: ScorePoints | None
    health_unknown: Count = Field(description="Accounts without a score, which the mean leaves out.")
    mean_churn_probability: Fraction | None
    churn_unknown: Count = Field(description="Accounts without a probability, which mean and sums leave out.")
    expected_churned_accounts: Amount | None = Field(description="The sum of the probabilities, for horizon_days.")
    expected_churned_arr: Amount | None = Field(
        description="ARR at risk: the sum of churn probability within horizon_days times ARR."
    )
    expected_churned_arr_unknown: Count = Field(description="Accounts lacking either, which that sum leaves out.")


class HealthBandGroup(AccountGroup):
    """The accounts of one health band."""

    band: Literal["green", "yellow", "red", "insufficient_data"]


class ChurnBandGroup(AccountGroup):
    """The accounts of one churn risk band."""

    band: Literal["low", "medium", "high"] | None = Field(description="Null if not scored.")


class SegmentGroup(AccountGroup):
    """The accounts of one segment."""

    segment: str | None = Field(description="Null if the ARR is unknown.")


class Coverage(ResponseModel):
    """How much data the figures are based on."""

    health: Fraction | None = Field(
        description="The mean share of the rubric's weight that has data; null without accounts."
    )
    churn: dict[PredictionStatus, Count] = Field(description="Accounts by status.")
    expansion: dict[PredictionStatus, Count]


class Portfolio(ResponseModel):
    """The portfolio at one time. The bands contain every account once, and so do the segments."""

    as_of: str
    data_through: str
    scored_at: str
    open_questions: list[str] = Field(
        description="What the mapping of the signals has not answered: until then, the figures are uncertain."
    )
    horizon_days: int | None
    whole: AccountGroup
    by_health_band: list[HealthBandGroup]
    by_churn_band: list[ChurnBandGroup]
    by_segment: list[SegmentGroup]
    expansion_ready: Count = Field(description="Accounts that are ready for an expansion offer.")
    base_rates: dict[str, Fraction | None] = Field(
        description="By target: the share of accounts with this outcome in the training data; null without a model."
    )
    coverage: Coverage
    rubric: str
    rubric_version: str
    models: dict[str, ModelReference | None] = Field(description="By target; null without a model.")
    filter: AppliedFilter | None = Field(description="The accounts that the figures are of; null: all accounts.")


def summarize_portfolio(assessment: Assessment, selected: Bools | None = None) -> dict[str, Any]:
    """Return the fields of `Portfolio` except for its dates and its filter.

    Parameters
    ----------
    assessment : the assessed portfolio.
    selected : True for the accounts that count; None for all. Shape (n,).
    """
    seen = assessment.target_scores
    rows = np.ones(len(assessment.frame), dtype=bool) if selected is None else selected
    coverage = assessment.health_coverage[rows]
    bundles = {target: seen[target].bundle for target in TARGETS}
    return {
        "horizon_days": next((b.manifest.horizon_days for b in bundles.values() if b is not None), None),
        "whole": _group(assessment, rows),
        "by_health_band": _by(assessment, rows, "band", assessment.health_band, HEALTH_BANDS),
        "by_churn_band": _by(assessment, rows, "band", seen["churn"].band, (*reversed(BANDS), None)),
        "by_segment": _by(assessment, rows, "segment", assessment.rule_results.segments, (*segment_names(), None)),
        "expansion_ready": int((assessment.ready & rows).sum()),
        "base_rates": {target: None if b is None else b.manifest.base_rate for target, b in bundles.items()},
        "coverage": {
            "health": float(coverage.mean()) if len(coverage) else None,
            **{target: _counts(seen[target].status[rows]) for target in TARGETS},
        },
        "rubric": assessment.champion.rubric.name,
        "rubric_version": assessment.champion.rubric.version,
        "models": {target: model_payload(bundle) for target, bundle in bundles.items()},
    }


def _by(
    assessment: Assessment, rows: Bools, name: str, values: npt.NDArray[np.object_], keys: Sequence[str | None]
) -> list[dict[str, Any]]:
    """Return a group for each key, including empty ones, so that a chart always has the same bars."""
    return [{name: key, **_group(assessment, rows & equal_to(values, key))} for key in keys]


def _group(assessment: Assessment, rows: Bools) -> dict[str, Any]:
    return group_figures(
        number_column(assessment.frame, ARR_FEATURE)[rows],
        assessment.health_score[rows],
        assessment.target_scores["churn"].probability[rows],
    )


def group_figures(arr: Floats, score: Floats, probability: Floats) -> dict[str, Any]:
    """Return the fields of `AccountGroup`.

    Parameters
    ----------
    arr, score, probability : ARR, health score and churn probability (0 to 1) of each account of the group; NaN if
        unknown. Shape (n,) each.
    """
    at_stake = probability * arr
    return {
        "accounts": len(arr),
        "arr": sum_of_known(arr),
        "arr_unknown": _unknown(arr),
        "mean_health": _mean(score),
        "health_unknown": _unknown(score),
        "mean_churn_probability": _mean(probability),
        "churn_unknown": _unknown(probability),
        "expected_churned_accounts": sum_of_known(probability),
        "expected_churned_arr": sum_of_known(at_stake),
        "expected_churned_arr_unknown": _unknown(at_stake),
    }


def sum_of_known(values: Floats) -> float | None:
    """Return the sum of the known values: 0 without accounts, None if all values are unknown.

    Parameters
    ----------
    values : the values; NaN if unknown. Shape (n,).
    """
    known = values[~np.isnan(values)]
    return None if len(values) and not len(known) else float(known.sum())


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _unknown(values: Floats) -> int:
    return int(np.isnan(values).sum())


def _counts(statuses: npt.NDArray[np.object_]) -> dict[str, int]:
    names, counts = np.unique(statuses.astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}
