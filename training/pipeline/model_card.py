"""Build the model card of a trained candidate; see `models.artifacts.model_card`."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from features.utils.dates import to_iso
from models.artifacts import model_card as card
from models.renewals.renewal_model import LEADS
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.training_data import TrainingData
from training.evaluation.backtest import PARTS
from training.evaluation.baselines import BASE_RATE, BLEND, HEALTH_SCORE, LOGISTIC_REGRESSION, RENEWAL_DUE
from training.evaluation.by_segment import SegmentMetrics
from training.evaluation.capacity_value import RANDOM
from training.evaluation.comparison import Metric
from training.evaluation.involuntary_churn import InvoluntaryChurn
from training.evaluation.test_predictions import RESAMPLES, UNDEFINED, MetricEstimate, PartMetrics, ScoredTestRows
from training.leakage.report import LeakReport
from training.pipeline.candidate import Candidate, feature_importance
from training.renewals.candidate import RenewalCandidate
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import BINS, Predictions

#: The metrics on the card.
METRICS = (
    "roc_auc", "pr_auc", "brier", "brier_skill", "log_loss", "calibration_slope", "calibration_intercept",
    "calibration_error", "lift_10", "captured_10", "captured_20", "captured_arr_20",
)  # fmt: skip
#: The metrics of the involuntary-churn model on the card.
INVOLUNTARY_METRICS = ("roc_auc", "brier", "log_loss")
#: The metrics among the accounts whose renewal is due.
DUE_METRICS = ("roc_auc", "brier", "log_loss", "brier_skill")
RIVALS = (BLEND, BASE_RATE, RENEWAL_DUE, HEALTH_SCORE, *PARTS)
#: The rivals whose AUC by segment is on the card; the run's report has all of them.
SEGMENT_RIVALS = (HEALTH_SCORE, LOGISTIC_REGRESSION)
#: Number of features on the card.
NAMED = 20
#: Tail probability above a 95% interval.
UPPER_TAIL = 0.025


def build_model_card(
    candidate: Candidate,
    data: TrainingData,
    leaks: LeakReport,
    run_id: str,
    renewals: RenewalCandidate | None = None,
) -> card.ModelCard:
    """Build the model card of a candidate.

    Parameters
    ----------
    data : the training data.
    leaks : the report of the leak check.
    run_id : the MLflow run that the candidate is registered with.
    renewals : the renewal model, which is on the card of churn.
    """
    prepared, config, ensemble = data.prepared, data.config, candidate.final.ensemble
    comparison = candidate.judgement
    # Readers of a card know the product's candidates, not the names of a user's recipes.
    names = {} if candidate.recipe is None else {candidate.subject: "recipe", BLEND: "own_blend"}
    weights, dimensions = _weights(candidate, prepared)
    stability = candidate.stability
    return card.ModelCard(
        target=candidate.target,
        horizon_days=config.horizon_days,
        grace_days=prepared.grace_days,
        run_id=run_id,
        catalogue_version=prepared.catalogue.version,
        subject=names.get(comparison.subject, comparison.subject),
        grade=comparison.grade,
        words=comparison.words,
        slices=_slices(candidate),
        history_days=float(candidate.enough.history_days),
        missing_share={name: float(share) for name, share in candidate.enough.missing_share.items()},
        known_rate=comparison.known_rate,
        window_rate=comparison.window_rate,
        rivals=[
            card.CandidateMetrics(
                candidate=names.get(row.candidate, row.candidate),
                metrics={m.name: _metric(m) for m in row.metrics if m.name in METRICS},
            )
            for row in comparison.rows
            if row.candidate in (comparison.subject, *RIVALS)
        ],
        apart=[
            card.LossDifference(
                against=names.get(d.against, d.against), loss=d.loss, value=d.value, low=d.low, high=d.high
            )
            for d in comparison.differences
            if d.against in RIVALS
        ],
        calibrator=str(candidate.calibrator["kind"]),
        reliability=reliability_bins(candidate.tested, config.seed, comparison.subject),
        by_segment=[_subset_metrics(part, _segment_rivals(part)) for part in candidate.by_segment],
        by_horizon=[_subset_metrics(part, {}, part.enough, part.note) for part in candidate.by_horizon],
        features_read=len(ensemble.encoding.features),
        weights=weights,
        dimensions=dimensions,
        same_first=stability.same_first,
        reasons=card.ReasonCounts(
            members=stability.members, given=stability.given, at_least_two=stability.at_least_two
        ),
        newest_snapshots=candidate.newest_snapshots,
        due=[
            card.CandidateMetrics(
                candidate=names.get(row.candidate, row.candidate),
                metrics={name: _metric(row[name]) for name in DUE_METRICS},
            )
            for row in (candidate.due.rows if candidate.due else ())
            if row.candidate in (comparison.subject, *RIVALS)
        ],
        sight=[
            card.CapacityRecall(
                candidate=names.get(w.candidate, w.candidate),
                capacity=w.capacity,
                caught=_figure(w.caught),
                caught_arr=_figure(w.caught_arr),
                lift=_figure(w.lift),
            )
            for w in candidate.work
            if w.candidate in (comparison.subject, *RIVALS, RANDOM)
        ],
        fitted_share=ensemble.fitted_share,
        trees=ensemble.trees,
        leaves=ensemble.leaves,
        trees_share=ensemble.trees_share,
        involuntary=None if candidate.involuntary is None else _involuntary_card(candidate.involuntary),
        notes=[finding.words for finding in leaks.notes if finding.target in (None, candidate.target)],
        feeds=data.feeds.troubles(),
        recipe=None if candidate.recipe is None else candidate.recipe.words,
        renewals=_renewal_card(renewals) if renewals is not None and candidate.target == "churn" else None,
    )


def reliability_bins(tested: ScoredTestRows, seed: int = 0, subject: str = BLEND) -> list[card.ReliabilityBin]:
    """Return predicted and observed rates by decile of the probabilities, with intervals from resampled accounts.

    Parameters
    ----------
    tested : outcomes and probabilities of the test rows.
    seed : the seed of the resamples.
    subject : the candidate.

    Returns
    -------
    list of ReliabilityBin
    """
    data = Predictions(tested.y, tested.p[subject], tested.arr)
    bootstrap = AccountBootstrap(tested.accounts, RESAMPLES, seed)
    result = []
    for place in range(BINS):
        inside = (data.bins == place).astype(np.float64)
        if not (rows := int(inside.sum())):
            continue
        happened = inside * tested.y
        sums = [np.bincount(bootstrap.codes, values, bootstrap.accounts) for values in (happened, inside)]
        drawn = [bootstrap.counts @ values for values in sums]
        defined = drawn[1] > 0
        shares = np.where(defined, drawn[0] / np.where(defined, drawn[1], 1.0), np.nan)
        outcomes = int(happened.sum())
        low, high = interval(shares)
        if not outcomes:
            # No resample has an outcome either, yet the upper limit is above 0 (Clopper and Pearson 1934).
            high = 1.0 - UPPER_TAIL ** (1.0 / len({*tested.accounts[inside == 1]}))
        figure = (outcomes / rows, low, high)
        predicted = float((inside * tested.p[subject]).sum() / rows)
        result.append(card.ReliabilityBin(said=predicted, happened=_figure(figure), rows=rows, outcomes=outcomes))
    return result


def _involuntary_card(model: InvoluntaryChurn) -> card.InvoluntaryChurnCard:
    figures, comparison = model.figures, model.judgement
    return card.InvoluntaryChurnCard(
        words=model.words,
        known_share=model.known_share,
        trained_on=dict(model.trained_on),
        tested_on=dict(model.tested_on),
        rate=None if figures is None else figures.rate,
        expected=None if figures is None else figures.expected,
        ratio=_figure(UNDEFINED if figures is None else figures.ratio),
        rivals=[
            card.CandidateMetrics(
                candidate=row.candidate, metrics={name: _metric(row[name]) for name in INVOLUNTARY_METRICS}
            )
            for row in (comparison.rows if comparison else ())
        ],
    )


def _renewal_card(renewals: RenewalCandidate) -> card.RenewalModelCard:
    return card.RenewalModelCard(
        leads=list(LEADS),
        reason=renewals.reason,
        stages=[
            card.RenewalStageCard(
                stage=each.stage,
                renewals=each.renewals,
                outcomes=each.outcomes,
                used=each.final is not None,
                reason=each.reason,
                rivals=[
                    card.CandidateMetrics(
                        candidate=row.candidate, metrics={name: _metric(row[name]) for name in DUE_METRICS}
                    )
                    for row in (each.judgement.rows if each.judgement else ())
                ],
                apart=[
                    card.LossDifference(against=d.against, loss=d.loss, value=d.value, low=d.low, high=d.high)
                    for d in (each.judgement.differences if each.judgement else ())
                ],
            )
            for each in renewals.stages
        ],
    )


def _slices(candidate: Candidate) -> dict[str, card.DataSlice]:
    return {
        name: card.DataSlice(
            first=_day(part.first),
            last=_day(part.last),
            dates=part.dates,
            rows=part.rows,
            accounts=part.accounts,
            accounts_with_outcome=part.accounts_with_outcome,
        )
        for name, part in candidate.enough.slices.items()
    }


def _weights(
    candidate: Candidate, prepared: LabelledSnapshots
) -> tuple[list[card.FeatureImportance], dict[str, float]]:
    """Return the share of each feature and dimension in the predictions of the newest snapshot."""
    catalogue, shares = prepared.catalogue, feature_importance(candidate.explainer)
    weights = [
        card.FeatureImportance(
            feature=name, words=catalogue[name].words, dimension=catalogue[name].dimension, share=min(share, 1.0)
        )
        for name, share in sorted(shares.items(), key=lambda each: -each[1])[:NAMED]
        if share > 0
    ]
    dimensions: dict[str, float] = {}
    for name, share in shares.items():
        dimension = catalogue[name].dimension
        dimensions[dimension] = dimensions.get(dimension, 0.0) + share
    return weights, {name: min(share, 1.0) for name, share in sorted(dimensions.items(), key=lambda each: -each[1])}


def _metric(metric: Metric) -> card.MetricEstimate:
    return _figure((metric.value, metric.low, metric.high), metric.good)


def _segment_rivals(segment: SegmentMetrics) -> dict[str, card.MetricEstimate]:
    if segment.judgement is None:
        return {}
    return {row.candidate: _metric(row["roc_auc"]) for row in segment.judgement.rows if row.candidate in SEGMENT_RIVALS}


def _subset_metrics(
    part: PartMetrics, rivals: dict[str, card.MetricEstimate], judged: bool = True, note: str = ""
) -> card.SubsetMetrics:
    return card.SubsetMetrics(
        name=part.name,
        rows=part.rows,
        accounts=part.accounts,
        happened=part.happened,
        rate=_number(part.rate),
        expected=_number(part.expected),
        ratio=_figure(part.ratio),
        roc_auc=_figure(part.roc_auc),
        beside=rivals,
        judged=judged,
        note=note,
    )


def _figure(figure: MetricEstimate, good: str = "") -> card.MetricEstimate:
    value, low, high = (_number(each) for each in figure)
    return card.MetricEstimate(value=value, low=low, high=high, good=good)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _day(instant: datetime) -> str:
    return to_iso(instant)
