"""The candidate model of one target: its recipe is judged by a backtest, then fitted on every known label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.utils.arrays import Floats
from features.utils.dates import to_iso
from features.utils.progress import Progress, subprogress
from models.artifacts.bundle import Bundle, BundleContents, bundle_schema, feature_entries, write_bundle
from models.artifacts.model_card import ModelCard
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.explain.comparables import Comparables
from models.explain.reasons import TargetExplainer
from models.health.rubric import Rubric
from models.health.score_calibration import HealthFacts
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.renewals.renewal_model import renewal_model_json
from models.targets import Target
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import Origins
from training.dataset.sufficiency import Sufficiency
from training.dataset.target_rows import TargetRows
from training.dataset.training_data import TrainingData
from training.estimators.estimator_ensemble import EstimatorRecipe, fit_estimators
from training.estimators.fitted_model import FittedModel, fit_model
from training.evaluation.backtest import run_backtest
from training.evaluation.by_horizon import HorizonMetrics
from training.evaluation.by_segment import SegmentMetrics, evaluate_by_segment
from training.evaluation.capacity_value import CapacityValue, capacity_value
from training.evaluation.champion_comparison import UnreadableChampion, compare_with_champion
from training.evaluation.comparison import Comparison
from training.evaluation.due_accounts import compare_due
from training.evaluation.involuntary_churn import InvoluntaryChurn, evaluate_involuntary
from training.evaluation.promotion_gates import Gate, all_passed, evaluate_gates
from training.evaluation.reason_stability import ReasonStability, reason_stability
from training.evaluation.test_predictions import ScoredTestRows
from training.renewals.candidate import RenewalCandidate

#: Accounts of the newest snapshot that are explained: they give the contributions of comparable accounts.
EXPLAINED = 1000
#: The same for models in the ONNX format, whose contributions take longer.
EXPLAINED_BY_SAMPLING = 200
OUTCOME_ACCOUNTS = "outcome_accounts"
"""Manifest key: the number of accounts with the outcome that a model was fitted on."""


@dataclass(frozen=True)
class Release:
    """The contents that all bundles of a run share.

    Parameters
    ----------
    data : the training data.
    rubric : the health score that is released with the models.
    health : the churn observed at each score, for every rubric.
    portfolio : the portfolio that the models belong to.
    renewals : the renewal model, which belongs to the bundle of churn; None without a candidate for churn.
    """

    data: TrainingData
    rubric: Rubric
    health: HealthFacts
    portfolio: PortfolioIdentity
    renewals: RenewalCandidate | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A judged recipe, and the final model to release.

    Parameters
    ----------
    enough : the target, the origins of the backtest, and the amount of data.
    judgement : the comparison with base rate, renewal date, health scores and single models in the backtest.
    tested : the predicted rows of the backtest and each candidate's predictions.
    by_horizon : the evaluation at the other horizons, including those that could not be evaluated.
    due : the comparison on the accounts whose renewal was within the horizon; None if it was not possible.
    by_segment : the evaluation by segment.
    work : the value of each candidate's ranking to a team.
    gates : the promotion gates.
    final : the model fitted by the same recipe on every known outcome.
    explainer : explains the newest snapshot.
    stability : how far the members of the ensemble agree on the reasons.
    by_renewal : probability by the renewal in the backtest (`training.evaluation.backtest.Backtest`), of each labelled
        snapshot.
    involuntary : the model of involuntary churn and its evaluation; None for other targets.
    recipe : the recipe of a user; None for the product's own.
    """

    enough: Sufficiency
    judgement: Comparison
    tested: ScoredTestRows
    by_horizon: tuple[HorizonMetrics, ...]
    due: Comparison | None
    by_segment: tuple[SegmentMetrics, ...]
    work: tuple[CapacityValue, ...]
    gates: tuple[Gate, ...]
    final: FittedModel
    explainer: TargetExplainer
    stability: ReasonStability
    by_renewal: Floats
    involuntary: InvoluntaryChurn | None = None
    recipe: EstimatorRecipe | None = None

    @property
    def subject(self) -> str:
        """The name of the recipe among the candidates of the backtest."""
        return self.judgement.subject

    @property
    def target(self) -> Target:
        """The predicted target."""
        return self.enough.target

    @property
    def origins(self) -> Origins:
        """The origins of the backtest."""
        return self.enough.require()

    @property
    def newest_snapshots(self) -> dict[str, str]:
        """The newest training snapshot of the final model, an ISO 8601 date, by the days of the horizon."""
        return {str(days): to_iso(at) for days, at in self.final.newest_dates().items()}

    @property
    def calibrator(self) -> dict[str, Any]:
        """The calibrator to release."""
        return self.final.calibrator

    @property
    def failed_gates(self) -> tuple[str, ...]:
        """The names of the failed gates."""
        return tuple(gate.name for gate in self.gates if not gate.passed)

    @property
    def promotable(self) -> bool:
        """Whether the candidate passes every gate."""
        return all_passed(self.gates)

    def write(self, folder: Path, version: str, release: Release, card: ModelCard | None = None) -> Bundle:
        """Write the bundle to release, with its model card."""
        prepared, ensemble = release.data.prepared, self.final.ensemble
        numbers = [name for name, feature in prepared.catalogue.items() if feature.kind == "number"]
        encoding = ensemble.encoding
        kinds = None if self.involuntary is None else self.involuntary.scorer_parameters()
        parts = BundleContents(
            target=self.target,
            version=version,
            horizon_days=release.data.config.horizon_days,
            grace_days=prepared.grace_days,
            trained_through=prepared.signals.data_through,
            created_at=datetime.now(UTC),
            catalogue_version=prepared.catalogue.version,
            base_rate=self.final.rate,
            metrics={m.name: _number(m.value) for m in self.judgement[self.subject].metrics}
            | {OUTCOME_ACCOUNTS: self.final.outcomes},
            gates={gate.name: asdict(gate) for gate in self.gates},
            model_text=ensemble.text,
            calibrator=self.calibrator,
            newest_snapshots=self.newest_snapshots,
            schema=bundle_schema(
                encoding.features,
                encoding.levels,
                Peers.of(prepared.latest, numbers),
                prepared.catalogue,
                ensemble.scorer_parameters()
                | {"comparables": self.explainer.comparables.to_json()}
                | {"importance": feature_importance(self.explainer)}
                | ({} if kinds is None else {"involuntary": kinds}),
            ),
            rubric=release.rubric,
            health=release.health,
            card=card,
            portfolio=release.portfolio,
            renewals=self._renewals(release),
            onnx=ensemble.onnx,
        )
        return write_bundle(folder, parts, prepared.catalogue)

    def _renewals(self, release: Release) -> bytes | None:
        if self.target != "churn" or release.renewals is None or not (models := release.renewals.models()):
            return None
        catalogue = release.data.prepared.catalogue
        stages = {}
        for stage, model in models.items():
            encoding = model.ensemble.encoding
            schema = {"features": feature_entries(encoding.features, encoding.levels, catalogue)}
            stages[stage] = (model.ensemble.text, schema | model.ensemble.scorer_parameters(), model.calibrator)
        return renewal_model_json(stages)


def fit_candidate(
    data: TrainingData,
    target: Target,
    health: Mapping[str, Floats],
    leaks: Sequence[str] | None,
    champion: Bundle | UnreadableChampion | None,
    progress: Progress,
    recipe: EstimatorRecipe | None = None,
) -> Candidate:
    """Run the backtest, fit the final model, and evaluate the gates.

    Parameters
    ----------
    data : the labelled snapshots, n rows, and the amount of data.
    target : the target to predict.
    health : the health score of each row by every rubric to compare, 0 to 100, NaN for unknown, shape (n,) each; the
        key of the training's own rubric is `training.evaluation.baselines.HEALTH_SCORE`.
    leaks : the findings of the leak check for this target, one line each; None if it could not be run.
    champion : the current champion; it is compared only if it was not trained on the test's outcomes.
    progress : receives the share done and the current step.
    recipe : the recipe of a user; None for the product's own.

    Raises
    ------
    InsufficientData
        If there is too little data for a model.
    BadRequest
        If the classifier of the recipe cannot be fitted, or cannot be stored without pickling.
    """
    config, enough = data.config, data.facts[target]
    rows = TargetRows(data.prepared, target, health, config.horizon_days)
    recipes = [] if recipe is None else [recipe]
    if recipe is not None:
        # Before the backtest, which takes much longer.
        known = rows.main_horizon_only().training_design(enough.require().first)
        fit_estimators(known, recipe, 2, config.seed, lambda _: None).require_export()
    backtest = run_backtest(rows, enough.require(), config, subprogress(progress, 0.0, 0.6), recipes)
    subject = backtest.judgement.subject
    comparison = None
    if champion is not None:
        comparing = subprogress(progress, 0.6, 0.7)
        first = enough.require().first
        comparison = compare_with_champion(champion, rows, config, backtest.settings, first, comparing, recipe)
    fitting = subprogress(progress, 0.7, 0.95)
    final = fit_model(rows, data.prepared.signals.data_through, config, progress=fitting, recipe=recipe)
    progress(0.95, f"{target}: comparing reasons")
    explainer = explain_latest(final, data.prepared, target)
    candidate = Candidate(
        enough=enough,
        judgement=backtest.judgement,
        tested=backtest.tested,
        by_horizon=backtest.by_horizon if recipe is None else (),
        due=compare_due(backtest.tested, config.resamples, config.seed, subject),
        by_segment=evaluate_by_segment(backtest.tested, subject, config.capacity, config.seed),
        work=capacity_value(
            backtest.tested, config.capacity, config.save_rate, config.cost_per_account, config.seed, subject
        ),
        gates=evaluate_gates(backtest.judgement, enough, leaks, comparison, data.label_feed_faults),
        final=final,
        explainer=explainer,
        stability=reason_stability(explainer, len(explainer.frame)),
        by_renewal=backtest.by_renewal,
        involuntary=_involuntary_churn(data, rows, final) if target == "churn" else None,
        recipe=recipe,
    )
    progress(1.0, f"{target}: done")
    return candidate


def explain_latest(
    model: FittedModel, prepared: LabelledSnapshots, target: Target, accounts: int = EXPLAINED
) -> TargetExplainer:
    """Return the explainer of some accounts of the newest snapshot, and the contributions of comparable accounts."""
    scorer, latest = model.scorer(), prepared.latest
    if model.ensemble.onnx:
        accounts = min(accounts, EXPLAINED_BY_SAMPLING)
    frame = latest.sample(min(accounts, len(latest)), random_state=0).reset_index(drop=True)
    matrix = scorer.encode(frame).matrix
    segments = segment_of(number_column(frame, ARR_FEATURE))
    contributions = scorer.member_contributions(matrix)
    numbers = [name for name, feature in prepared.catalogue.items() if feature.kind == "number"]
    return TargetExplainer(
        target,
        frame,
        scorer.features,
        scorer.raw(matrix),
        lambda rows: contributions[:, rows],
        Peers.of(latest, numbers),
        segments,
        prepared.catalogue,
        Comparables.of(contributions, segments),
    )


def feature_importance(explainer: TargetExplainer) -> dict[str, float]:
    """Return the share of each feature in the contributions to the explained predictions.

    Parameters
    ----------
    explainer : explains accounts of the newest snapshot.

    Returns
    -------
    dict of str to float
        The mean absolute contribution of each feature over their sum. They add up to 1, or are all 0 for a model that
        ignores its features.
    """
    parts = explainer.contribute(np.arange(len(explainer.frame))).mean(axis=0)
    moved = np.abs(parts[:, :-1]).mean(axis=0)
    return dict(zip(explainer.names, (moved / (moved.sum() or 1.0)).tolist(), strict=True))


def _involuntary_churn(data: TrainingData, rows: TargetRows, final: FittedModel) -> InvoluntaryChurn:
    prepared, config = data.prepared, data.config
    origins = data.facts["churn"].require()
    kind = prepared.labels["churn_kind"].to_numpy(dtype=object)
    before = rows.training_design(origins.first)
    later = origins.predicted_mask(prepared.frame["as_of"]) & (prepared.labels["churn"] == 1).to_numpy()
    return evaluate_involuntary(
        before,
        kind[before.row_index],
        prepared.catalogue,
        prepared.frame[later].reset_index(drop=True),
        kind[later],
        config.resamples,
        config.seed,
        (final.design, kind[final.design.row_index]),
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
