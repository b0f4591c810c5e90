"""The candidate model of one target: evaluated on test dates, then refitted on all labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.utils.arrays import Floats
from features.utils.progress import Progress, subprogress
from models.artifacts.bundle import Bundle, BundleContents, bundle_schema, write_bundle
from models.artifacts.model_card import ModelCard
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.health.rubric import Rubric
from models.health.score_calibration import HealthFacts
from models.peer_groups.peers import Peers
from models.targets import Target
from training.dataset.sufficiency import Sufficiency
from training.dataset.target_rows import TargetRows
from training.dataset.time_split import TimeSplit
from training.dataset.training_data import TrainingData
from training.estimators.blend import refit_blend
from training.evaluation.baselines import BLEND
from training.evaluation.benchmark import Benchmark, run_benchmark
from training.evaluation.by_horizon import HorizonMetrics
from training.evaluation.by_segment import SegmentMetrics, evaluate_by_segment
from training.evaluation.capacity_value import CapacityValue, capacity_value
from training.evaluation.champion_comparison import ChampionComparison, UnreadableChampion, compare_with_champion
from training.evaluation.comparison import Comparison
from training.evaluation.interval_width import true_probability_spread
from training.evaluation.involuntary_churn import InvoluntaryChurn, evaluate_involuntary
from training.evaluation.promotion_gates import Gate, all_passed, evaluate_gates
from training.evaluation.reason_stability import ReasonStability, reason_stability
from training.evaluation.test_predictions import ScoredTestRows
from training.pipeline.final_model import FinalModel, fit_final_model

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
    """

    data: TrainingData
    rubric: Rubric
    health: HealthFacts
    portfolio: PortfolioIdentity


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An evaluated model, and the final model to release.

    Parameters
    ----------
    enough : the target, the dates of each slice, and the amount of data.
    judgement : the comparison on the test dates with base rate, health scores, logistic regression and trees alone.
    tested : the test rows and each candidate's predictions.
    by_horizon : the evaluation at the other horizons, including those that could not be evaluated.
    by_segment : the evaluation by segment.
    work : the value of each candidate's ranking to a team.
    gates : the promotion gates.
    final : the model refitted with the same settings on every outcome known before the test, and calibrated on the
        test dates, which are used for nothing else.
    stability : how similar the reasons of two trainings are; None if not measured.
    involuntary : the model of involuntary churn and its evaluation; None for other targets.
    """

    enough: Sufficiency
    judgement: Comparison
    tested: ScoredTestRows
    by_horizon: tuple[HorizonMetrics, ...]
    by_segment: tuple[SegmentMetrics, ...]
    work: tuple[CapacityValue, ...]
    gates: tuple[Gate, ...]
    final: FinalModel
    stability: ReasonStability | None
    involuntary: InvoluntaryChurn | None = None

    @property
    def target(self) -> Target:
        """The predicted target."""
        return self.enough.target

    @property
    def split(self) -> TimeSplit:
        """The dates of each slice of the evaluation."""
        return self.enough.require()

    @property
    def calibrator(self) -> dict[str, Any]:
        """The calibrator to release, with the spread of log-odds between two trainings."""
        return self.final.calibrator | {"spread": true_probability_spread(self.stability)}

    @property
    def failed_gates(self) -> tuple[str, ...]:
        """The names of the failed gates."""
        return tuple(gate.name for gate in self.gates if not gate.passed)

    @property
    def promotable(self) -> bool:
        """Whether the candidate passes every gate."""
        return all_passed(self.gates)

    def write(self, folder: Path, version: str, release: Release, card: ModelCard | None = None) -> Bundle:
        """Write the bundle to release.

        Parameters
        ----------
        folder : the folder of the bundle.
        version : the version of the model.
        release : the contents that all bundles of the run share.
        card : the model card, if there is one.

        Returns
        -------
        Bundle
        """
        prepared, blend = release.data.prepared, self.final.blend
        numbers = [name for name, feature in prepared.catalogue.items() if feature.kind == "number"]
        encoding = blend.encoding
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
            metrics={m.name: _number(m.value) for m in self.judgement[BLEND].metrics}
            | {OUTCOME_ACCOUNTS: self.final.outcomes},
            gates={gate.name: asdict(gate) for gate in self.gates},
            model_text=blend.trees.text,
            calibrator=self.calibrator,
            schema=bundle_schema(
                encoding.features,
                encoding.levels,
                Peers.of(prepared.latest, numbers),
                prepared.catalogue,
                blend.scorer_parameters() | ({} if kinds is None else {"involuntary": kinds}),
            ),
            rubric=release.rubric,
            health=release.health,
            card=card,
            portfolio=release.portfolio,
        )
        return write_bundle(folder, parts, prepared.catalogue)


def fit_candidate(
    data: TrainingData,
    target: Target,
    health: Mapping[str, Floats],
    leaks: Sequence[str] | None,
    champion: Bundle | UnreadableChampion | None,
    progress: Progress,
) -> Candidate:
    """Run the benchmark, fit the final model, and evaluate the gates.

    Parameters
    ----------
    data : the labelled snapshots, n rows, and the amount of data.
    target : the target to predict.
    health : the health score of each row by every rubric to compare, 0 to 100, NaN for unknown, shape (n,) each; the
        key of the training's own rubric is `training.evaluation.baselines.HEALTH_SCORE`.
    leaks : the findings of the leak check for this target, one line each; None if it could not be run.
    champion : the current champion; it is compared only if it was not trained on the test's outcomes.
    progress : receives the share done and the current step.

    Raises
    ------
    InsufficientData
        If there is too little data for a model.
    """
    config, enough = data.config, data.facts[target]
    rows = TargetRows(data.prepared, target, health, config.horizon_days)
    benchmark = run_benchmark(rows, enough.require(), config, subprogress(progress, 0.0, 0.8))
    comparison = _compared_with_champion(data, benchmark, champion)
    progress(0.8, f"{target}: refitting on all known outcomes")
    final = _refit(data, rows, benchmark)
    stability = _stability(data, target, final, subprogress(progress, 0.9, 1.0))
    candidate = Candidate(
        enough=enough,
        judgement=benchmark.judgement,
        tested=benchmark.tested,
        by_horizon=benchmark.by_horizon,
        by_segment=evaluate_by_segment(benchmark.tested, BLEND, config.capacity, config.seed),
        work=capacity_value(benchmark.tested, config.capacity, config.save_rate, config.cost_per_account, config.seed),
        gates=evaluate_gates(benchmark.judgement, enough, leaks, comparison, data.label_feed_faults),
        final=final,
        stability=stability,
        involuntary=_involuntary_churn(data, final) if target == "churn" else None,
    )
    progress(1.0, f"{target}: done")
    return candidate


def _compared_with_champion(
    data: TrainingData, benchmark: Benchmark, champion: Bundle | UnreadableChampion | None
) -> ChampionComparison | None:
    if champion is None:
        return None
    p, test = benchmark.tested.p[BLEND], benchmark.test
    return compare_with_champion(champion, p, test.frame, test.y, data.prepared.grace_days, data.config)


def _refit(data: TrainingData, rows: TargetRows, benchmark: Benchmark) -> FinalModel:
    parts, through = data.facts[rows.target].require().final(), data.prepared.signals.data_through
    catalogue = data.prepared.catalogue
    return fit_final_model(
        rows,
        parts,
        through,
        lambda design: refit_blend(benchmark.model, design, catalogue, rows.target),
        data.config.seed,
    )


def _stability(data: TrainingData, target: Target, final: FinalModel, progress: Progress) -> ReasonStability | None:
    return reason_stability(
        final.blend,
        final.design,
        data.prepared.latest,
        data.prepared.catalogue,
        target,
        data.config.refits,
        data.config.seed,
        lambda share: progress(share, f"{target}: measuring the stability of reasons"),
    )


def _involuntary_churn(data: TrainingData, final: FinalModel) -> InvoluntaryChurn:
    # The final model itself is evaluated: its last label window ends where the test begins.
    prepared, config = data.prepared, data.config
    kind = prepared.labels["churn_kind"].to_numpy(dtype=object)
    test = data.facts["churn"].require().mask("test", prepared.frame["as_of"])
    later = test & (prepared.labels["churn"] == 1).to_numpy()
    return evaluate_involuntary(
        final.design,
        kind[final.design.row_index],
        prepared.catalogue,
        prepared.frame[later].reset_index(drop=True),
        kind[later],
        config.resamples,
        config.seed,
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
