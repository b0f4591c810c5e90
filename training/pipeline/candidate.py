"""One target's candidate: the judged model fitted anew up to the last label, with all that is known of it."""

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
from training.pipeline.final_model import FinalModel, final_model

OUTCOMES = "outcome_accounts"
"""The manifest's figure of how many accounts with the outcome a model was fitted on."""


@dataclass(frozen=True)
class Release:
    """What the bundles of a run have in common.

    Parameters
    ----------
    data : what the models were trained on.
    rubric : the health score that ships with them.
    health : what the scores of every rubric have meant.
    portfolio : whose models they are.
    """

    data: TrainingData
    rubric: Rubric
    health: HealthFacts
    portfolio: PortfolioIdentity


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A judged model and the one that would ship.

    Parameters
    ----------
    enough : the facts about the data, which name the target and the dates of each slice.
    judgement : on the test dates, beside base rate, health scores, logistic regression and trees alone.
    tested : the test rows and what each candidate said of them.
    by_horizon : the judged model at the horizons beside the main one, those at which it could not be judged among them.
    by_segment : the judgement by segment.
    work : what each candidate's ranking is worth to a team.
    gates : between it and the title of champion.
    final : the model fitted anew with the judged one's settings on every outcome known before the test, and calibrated
        on the test dates, which nothing else of it has seen.
    stability : how alike the reasons of two trainings are; None where it was not looked at.
    involuntary : tells how a churn comes about, and how well; None for other targets.
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
        """What it predicts."""
        return self.enough.target

    @property
    def split(self) -> TimeSplit:
        """The dates of each slice of the judgement."""
        return self.enough.require()

    @property
    def calibrator(self) -> dict[str, Any]:
        """The calibrator that ships, with how far the log-odds of two trainings lie apart."""
        return self.final.calibrator | {"spread": true_probability_spread(self.stability)}

    @property
    def failed_gates(self) -> tuple[str, ...]:
        """The names of the gates that are not passed."""
        return tuple(gate.name for gate in self.gates if not gate.passed)

    @property
    def promotable(self) -> bool:
        """Whether every gate is passed."""
        return all_passed(self.gates)

    def write(self, folder: Path, version: str, release: Release, card: ModelCard | None = None) -> Bundle:
        """Write the bundle that ships, with its card."""
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
            metrics={m.name: _number(m.value) for m in self.judgement[BLEND].metrics} | {OUTCOMES: self.final.outcomes},
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
    tell: Progress,
) -> Candidate:
    """Hold the contest, fit the model that ships, and hold the gates.

    Parameters
    ----------
    data : labelled snapshots, n rows, and the facts about them; with too little data there is no candidate.
    target : what it predicts.
    health : the health score of each row by every rubric to be judged, 0 to 100, NaN for unknown, shape (n,) each; that
        of the training's own rubric bears the name `training.evaluation.baselines.HEALTH_SCORE`.
    leaks : what the leak check has found for this target, a line each; None if it could not be run.
    champion : the bundle that answers now, to be compared with where it has not seen the test's outcomes.
    tell : told the share done and what is being done.

    Raises
    ------
    InsufficientData
        If the data does not suffice for a model.
    """
    config, enough = data.config, data.facts[target]
    rows = TargetRows(data.prepared, target, health, config.horizon_days)
    judged = run_benchmark(rows, enough.require(), config, subprogress(tell, 0.0, 0.8))
    against = _against(data, judged, champion)
    tell(0.8, f"{target}: fitting anew up to the last known outcome")
    final = _refitted(data, rows, judged)
    alike = _stability(data, target, final, subprogress(tell, 0.9, 1.0))
    candidate = Candidate(
        enough=enough,
        judgement=judged.judgement,
        tested=judged.tested,
        by_horizon=judged.by_horizon,
        by_segment=evaluate_by_segment(judged.tested, BLEND, config.capacity, config.seed),
        work=capacity_value(judged.tested, config.capacity, config.save_rate, config.cost_per_account, config.seed),
        gates=evaluate_gates(judged.judgement, enough, leaks, against, data.label_feed_faults),
        final=final,
        stability=alike,
        involuntary=_how_churn_comes(data, final) if target == "churn" else None,
    )
    tell(1.0, f"{target}: done")
    return candidate


def _against(
    data: TrainingData, judged: Benchmark, champion: Bundle | UnreadableChampion | None
) -> ChampionComparison | None:
    if champion is None:
        return None
    p, test = judged.tested.p[BLEND], judged.test
    return compare_with_champion(champion, p, test.frame, test.y, data.prepared.grace_days, data.config)


def _refitted(data: TrainingData, rows: TargetRows, judged: Benchmark) -> FinalModel:
    parts, through = data.facts[rows.target].require().final(), data.prepared.signals.data_through
    catalogue = data.prepared.catalogue
    return final_model(
        rows, parts, through, lambda design: refit_blend(judged.model, design, catalogue, rows.target), data.config.seed
    )


def _stability(data: TrainingData, target: Target, final: FinalModel, tell: Progress) -> ReasonStability | None:
    return reason_stability(
        final.blend,
        final.design,
        data.prepared.latest,
        data.prepared.catalogue,
        target,
        data.config.refits,
        data.config.seed,
        lambda share: tell(share, f"{target}: are the reasons stable?"),
    )


def _how_churn_comes(data: TrainingData, final: FinalModel) -> InvoluntaryChurn:
    # The model that ships is itself judged: its last label window ends where the test begins.
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
