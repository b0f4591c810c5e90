"""Rubrics evaluated on the company's history: observed churn per score, and learned weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Objects
from models.health.rubric import HealthScores, Rubric, load_rubric, rubric_files
from models.health.rubric_names import SPREADSHEET_RUBRIC
from models.health.score_calibration import HealthFacts, LearnedWeights, RubricFacts
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import Origins
from training.estimators.rubric_weights import learn_weights
from training.evaluation.baselines import HEALTH_SCORE
from training.evaluation.score_calibration import fit_score_calibration


def all_rubrics(rubric: Rubric) -> dict[str, Rubric]:
    """Return every rubric for accounts with history by name, and ``rubric``, which may be a user's file."""
    names = [name for name in rubric_files() if name != SPREADSHEET_RUBRIC]
    return {name: load_rubric(name) for name in names} | {rubric.name: rubric}


class ScoredRubric(NamedTuple):
    """Health scores by a rubric as it will be used, and its learned weights, if any."""

    scores: HealthScores
    weights: LearnedWeights | None


def score_rubrics(
    prepared: LabelledSnapshots, rubrics: Iterable[Rubric], origins: Origins, seed: int = 0
) -> dict[str, ScoredRubric]:
    """Score all snapshots by each rubric, with learned weights where the rubric requires them.

    Weights are learned on the dates whose label windows end before the first origin, so the backtest can evaluate them.

    Parameters
    ----------
    prepared : labelled snapshots.
    rubrics : rubrics with different names.
    origins : the origins of the backtest.
    seed : seed of the resamples.

    Returns
    -------
    dict of str to ScoredRubric
    """
    churn = _churn_rows(prepared)
    before = churn.before(origins)
    scored: dict[str, ScoredRubric] = {}
    for rubric in sorted(rubrics, key=lambda one: one.name):
        scores, weights = rubric.score(prepared.frame), None
        if rubric.rules.weights == "learned":
            points = scores.dimensions[before]
            weights = learn_weights(points, churn.churned[before], churn.accounts[before], seed)
            scores = replace(rubric, learned=weights.weights if weights else None).score(prepared.frame)
        scored[rubric.name] = ScoredRubric(scores, weights)
    return scored


def health_facts(
    prepared: LabelledSnapshots, scored: Mapping[str, ScoredRubric], origins: Origins, seed: int = 0
) -> HealthFacts:
    """Fit the observed churn per score of each rubric.

    The curve over the score is fitted on every labelled date. In addition, a curve fitted on the label windows before
    the first origin is evaluated on the dates that the backtest predicts.

    Parameters
    ----------
    prepared : labelled snapshots.
    scored : `score_rubrics` of the same snapshots, by rubric.
    origins : the origins of the backtest.
    seed : seed of the resamples.

    Returns
    -------
    HealthFacts
    """
    churn = _churn_rows(prepared)
    labelled = churn.labelled
    held = churn.before(origins)[labelled], origins.predicted_mask(prepared.frame["as_of"])[labelled]
    facts: dict[str, RubricFacts] = {}
    for name, (scores, weights) in scored.items():
        meaning = fit_score_calibration(
            np.asarray(scores.score, dtype=np.float64)[labelled],
            scores.band.to_numpy(dtype=object)[labelled],
            churn.churned[labelled],
            churn.accounts[labelled],
            prepared.frame["as_of"][labelled].reset_index(drop=True),
            held,
            seed,
        )
        facts[name] = RubricFacts(version=scores.rubric.version, meaning=meaning, learned=weights)
    return HealthFacts(rubrics=facts)


@dataclass(frozen=True)
class ScoredRubrics:
    """The health scores of all snapshots, by every rubric.

    Parameters
    ----------
    rubric : the one that ships.
    scored : by rubric (`score_rubrics`).
    origins : the origins of the backtest.
    """

    rubric: Rubric
    scored: Mapping[str, ScoredRubric]
    origins: Origins

    def contenders(self) -> dict[str, Floats]:
        """The score of each snapshot by name of the contender: `HEALTH_SCORE` is the rubric that ships."""
        return {
            HEALTH_SCORE if name == self.rubric.name else name: np.asarray(known.scores.score, dtype=np.float64)
            for name, known in self.scored.items()
        }


class _ChurnRows(NamedTuple):
    """Churn of the snapshots: its label (NaN for unknown), and where it is known; shape (n,) each."""

    as_of: pd.Series[pd.Timestamp]
    accounts: Objects
    churned: Floats
    labelled: Bools

    def before(self, origins: Origins) -> Bools:
        """Return the labelled rows whose label windows end before the first origin."""
        ended = self.as_of + timedelta(days=origins.gap_days) <= origins.first
        return self.labelled & ended.to_numpy(dtype=bool)


def _churn_rows(prepared: LabelledSnapshots) -> _ChurnRows:
    churned = prepared.labels["churn"].to_numpy(dtype=np.float64)
    accounts = prepared.frame["account_id"].to_numpy(dtype=object)
    return _ChurnRows(prepared.frame["as_of"], accounts, churned, np.isfinite(churned))
