"""What the company's own past says of every rubric: what its scores have meant, and weights where they are learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Objects
from models.health.rubric import HealthScores, Rubric, load_rubric, rubric_files
from models.health.score_calibration import HealthFacts, LearnedWeights, RubricFacts
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.time_split import TimeSplit
from training.estimators.rubric_weights import learn_weights
from training.evaluation.score_calibration import fit_score_calibration


def all_rubrics(rubric: Rubric) -> dict[str, Rubric]:
    """Every rubric there is by its name, and ``rubric``, which may be a file of the user's."""
    return {name: load_rubric(name) for name in rubric_files()} | {rubric.name: rubric}


class ScoredRubric(NamedTuple):
    """The health scores by a rubric as it will be in use, and the weights where it has learned them."""

    scores: HealthScores
    weights: LearnedWeights | None


def score_rubrics(
    prepared: LabelledSnapshots, rubrics: Iterable[Rubric], parts: TimeSplit, seed: int = 0
) -> dict[str, ScoredRubric]:
    """Score all snapshots by each rubric, with weights of the company's own where the rubric asks for them.

    They are learned on the dates whose label windows end before the test slice, which therefore can judge them.

    Parameters
    ----------
    prepared : labelled snapshots.
    rubrics : of different names.
    parts : the dates of training, calibration and test.
    """
    known = _churn_rows(prepared)
    before = known.before(parts)
    found: dict[str, ScoredRubric] = {}
    for rubric in sorted(rubrics, key=lambda one: one.name):
        scores, weights = rubric.score(prepared.frame), None
        if rubric.rules.weights == "learned":
            points = scores.dimensions[before]
            weights = learn_weights(points, known.churned[before], known.accounts[before], seed)
            scores = replace(rubric, learned=weights.weights if weights else None).score(prepared.frame)
        found[rubric.name] = ScoredRubric(scores, weights)
    return found


def health_facts(
    prepared: LabelledSnapshots, scored: Mapping[str, ScoredRubric], parts: TimeSplit, seed: int = 0
) -> HealthFacts:
    """What each rubric's scores have meant.

    The curve over the score is fitted on every labelled date; beside it stands how one that was fitted on the label
    windows before the test slice did on the test slice.

    Parameters
    ----------
    scored : `score_rubrics` of the same snapshots, by rubric.
    """
    known = _churn_rows(prepared)
    labelled = known.labelled
    held = known.before(parts)[labelled], parts.mask("test", prepared.frame["as_of"])[labelled]
    found: dict[str, RubricFacts] = {}
    for name, (scores, weights) in scored.items():
        meaning = fit_score_calibration(
            np.asarray(scores.score, dtype=np.float64)[labelled],
            scores.band.to_numpy(dtype=object)[labelled],
            known.churned[labelled],
            known.accounts[labelled],
            prepared.frame["as_of"][labelled].reset_index(drop=True),
            held,
            seed,
        )
        found[name] = RubricFacts(version=scores.rubric.version, meaning=meaning, learned=weights)
    return HealthFacts(rubrics=found)


class _ChurnRows(NamedTuple):
    """The snapshots' churn: its label (NaN unknown), and where it is known; shape (n,) each."""

    as_of: pd.Series[pd.Timestamp]
    accounts: Objects
    churned: Floats
    labelled: Bools

    def before(self, parts: TimeSplit) -> Bools:
        """The labelled rows whose label windows end before the test slice."""
        ended = self.as_of + timedelta(days=parts.gap_days) <= parts.test[0]
        return self.labelled & ended.to_numpy(dtype=bool)


def _churn_rows(prepared: LabelledSnapshots) -> _ChurnRows:
    churned = prepared.labels["churn"].to_numpy(dtype=np.float64)
    accounts = prepared.frame["account_id"].to_numpy(dtype=object)
    return _ChurnRows(prepared.frame["as_of"], accounts, churned, np.isfinite(churned))
