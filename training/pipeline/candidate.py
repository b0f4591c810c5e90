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
from training.config import TrainConfig
from training.dataset.design_matrix import Design
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.sufficiency import Sufficiency
from training.dataset.target_rows import TargetRows
from training.dataset.time_split import TimeSplit
from training.estimators.blend import Blend, refit_blend
from training.estimators.calibration import calibrate, halfway
from training.evaluation.baselines import BLEND, expected_rate, level_move
from training.evaluation.benchmark import run_benchmark
from training.evaluation.by_horizon import HorizonMetrics
from training.evaluation.champion_comparison import UnreadableChampion, compare_with_champion
from training.evaluation.comparison import Comparison
from training.evaluation.interval_width import true_probability_spread
from training.evaluation.involuntary_churn import InvoluntaryChurn, evaluate_involuntary
from training.evaluation.promotion_gates import Gate, all_passed, evaluate_gates
from training.evaluation.reason_stability import ReasonStability, reason_stability
from training.evaluation.test_predictions import ScoredTestRows

OUTCOMES = "outcome_accounts"
"""The manifest's figure of how many accounts with the outcome a model was fitted on."""


@dataclass(frozen=True)
class Candidate:
    """A judged model and the one that would ship.

    Parameters
    ----------
    target : what it predicts.
    split : the dates of each slice of the judgement.
    judgement : on the test dates, beside base rate, health scores, logistic regression and trees alone.
    gates : between it and the title of champion.
    enough : the facts about the data.
    shipped : the model fitted anew with the judged one's settings on every outcome known before the test, and
    calibrator : fitted on the test dates, which nothing else of the shipped model has seen.
    rate : what the average account has: the level of the calibrated probabilities, 0 to 1.
    outcomes : accounts with the outcome among the rows that it was fitted on.
    tested : the test rows and what each candidate said of them.
    by_horizon : the judged model at the horizons beside the main one, those at which it could not be judged among them.
    stability : how alike the reasons of two trainings are; None where it was not looked at.
    involuntary : tells how a churn comes about, and how well; None for other targets.
    """

    target: Target
    split: TimeSplit
    judgement: Comparison
    gates: tuple[Gate, ...]
    enough: Sufficiency
    shipped: Blend
    calibrator: dict[str, Any]
    rate: float
    outcomes: int
    tested: ScoredTestRows
    by_horizon: tuple[HorizonMetrics, ...]
    stability: ReasonStability | None
    involuntary: InvoluntaryChurn | None = None

    @property
    def promotable(self) -> bool:
        """Whether every gate is passed."""
        return all_passed(self.gates)

    def write(
        self,
        folder: Path,
        version: str,
        prepared: LabelledSnapshots,
        config: TrainConfig,
        rubric: Rubric,
        health: HealthFacts,
        card: ModelCard | None = None,
        portfolio: PortfolioIdentity | None = None,
    ) -> Bundle:
        """Write the bundle that ships, with its card and the identity of the portfolio."""
        numbers = [name for name, feature in prepared.catalogue.items() if feature.kind == "number"]
        encoding = self.shipped.encoding
        kinds = None if self.involuntary is None else self.involuntary.scorer_parameters()
        parts = BundleContents(
            target=self.target,
            version=version,
            horizon_days=config.horizon_days,
            grace_days=prepared.grace_days,
            trained_through=prepared.signals.data_through,
            created_at=datetime.now(UTC),
            catalogue_version=prepared.catalogue.version,
            base_rate=self.rate,
            metrics={m.name: _number(m.value) for m in self.judgement[BLEND].metrics} | {OUTCOMES: self.outcomes},
            gates={gate.name: asdict(gate) for gate in self.gates},
            model_text=self.shipped.trees.text,
            calibrator=self.calibrator,
            schema=bundle_schema(
                encoding.features,
                encoding.levels,
                Peers.of(prepared.latest, numbers),
                prepared.catalogue,
                self.shipped.scorer_parameters() | ({} if kinds is None else {"involuntary": kinds}),
            ),
            rubric=rubric,
            health=health,
            card=card,
            portfolio=portfolio,
        )
        return write_bundle(folder, parts, prepared.catalogue)


def fit_candidate(
    prepared: LabelledSnapshots,
    enough: Sufficiency,
    health: Mapping[str, Floats],
    leaks: Sequence[str] | None,
    config: TrainConfig,
    tell: Progress,
    champion: Bundle | UnreadableChampion | None = None,
    feeds: Sequence[str] | None = None,
) -> Candidate:
    """Hold the contest, then fit the model that ships.

    Parameters
    ----------
    prepared : labelled snapshots, n rows.
    enough : the facts about this target, which name it; with too little data there is no candidate.
    health : the health score of each row by every rubric to be judged, 0 to 100, NaN for unknown, shape (n,) each; that
        of the training's own rubric bears the name `training.evaluation.baselines.HEALTH_SCORE`.
    leaks : what the leak check has found for this target, a line each; None if it could not be run.
    config : the settings.
    tell : told the share done and what is being done.
    champion : the bundle that answers now, to be compared with where it has not seen the test's outcomes.
    feeds : what is wrong with the feed that the labels stand on, a line each; None if it was not looked at.

    Raises
    ------
    InsufficientData
        If the data does not suffice for a model.
    """
    target, parts, catalogue = enough.target, enough.require(), prepared.catalogue
    rows = TargetRows(prepared, target, health, config.horizon_days)
    found = run_benchmark(rows, parts, config, subprogress(tell, 0.0, 0.8))
    against = None
    if champion is not None:
        p = found.tested.p[BLEND]
        against = compare_with_champion(champion, p, found.test.frame, found.test.y, prepared.grace_days, config)
    tell(0.8, f"{target}: fitting anew up to the last known outcome")
    final = parts.final()
    latest = rows.slice(final, "calibration")
    design = rows.training_design(final.calibration[0])
    shipped = refit_blend(found.model, design, catalogue, target)

    def refitting(share: float) -> None:
        tell(0.9 + 0.1 * share, f"{target}: are the reasons stable?")

    alike = reason_stability(shipped, design, prepared.latest, catalogue, target, config.refits, config.seed, refitting)
    expected = expected_rate(shipped, design, latest)
    calibrator = calibrate(
        shipped.raw(latest.frame),
        latest.y,
        *latest.keys,
        expected,
        seed=config.seed,
        move=level_move(shipped, rows, final, prepared.signals.data_through),
    )
    tell(1.0, f"{target}: done")
    return Candidate(
        target,
        parts,
        found.judgement,
        evaluate_gates(found.judgement, enough, leaks, against, feeds),
        enough,
        shipped,
        calibrator | {"spread": true_probability_spread(alike)},
        halfway(expected, float(latest.y.mean())),
        len(set(design.accounts[design.main & (design.y == 1)])),
        found.tested,
        found.by_horizon,
        alike,
        _how_churn_comes(prepared, parts, design, config) if target == "churn" else None,
    )


def _how_churn_comes(
    prepared: LabelledSnapshots, parts: TimeSplit, design: Design, config: TrainConfig
) -> InvoluntaryChurn:
    # The model that ships is itself judged: its last label window ends where the test begins.
    kind = prepared.labels["churn_kind"].to_numpy(dtype=object)
    later = parts.mask("test", prepared.frame["as_of"]) & (prepared.labels["churn"] == 1).to_numpy()
    return evaluate_involuntary(
        design,
        kind[design.row_index],
        prepared.catalogue,
        prepared.frame[later].reset_index(drop=True),
        kind[later],
        config.resamples,
        config.seed,
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
