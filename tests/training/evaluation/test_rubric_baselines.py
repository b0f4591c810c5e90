"""Learned weights use no outcomes of the dates that evaluate them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from features.definitions.feature import Feature
from models.health.rubric import Rubric, rubric_from_text
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import Origins, choose_origins
from training.evaluation.rubric_baselines import health_facts, score_rubrics

HORIZON = 30
Portfolio = tuple[pd.DataFrame, npt.NDArray[np.float64]]


@pytest.fixture
def prepared(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> LabelledSnapshots:
    frame, happened = small_portfolio
    nothing: Any = None
    return LabelledSnapshots(nothing, nothing, frame, pd.DataFrame({"churn": happened}), 0, cast("Any", small_catalogue))


@pytest.fixture
def origins(prepared: LabelledSnapshots) -> Origins:
    dates = [cast("datetime", d) for d in prepared.frame["as_of"].dt.to_pydatetime()]
    return choose_origins(dates, HORIZON, 0, max(dates) + timedelta(days=HORIZON))


@pytest.fixture
def rubric(small_catalogue: dict[str, Feature]) -> Rubric:
    """Two dimensions whose weights are learned, one of which goes with churn."""
    signals = "\n".join(
        f'[[dimensions]]\nname = "{name}"\nweight = 50\n[[dimensions.signals]]\nfeature = "usage.{name}"\nweight = 1\n'
        f'better = "lower"\ngrade = "scale"\nworst = 2\nbest = -2'
        for name in ("falling", "noise")
    )
    head = 'name = "learns"\nversion = "1"\nweights = "learned"\nminimum_coverage = 0.5\n'
    bands = "[bands]\ngreen = 60\nyellow = 40\nred = 0\n"
    return rubric_from_text(head + bands + signals, "learns.toml", small_catalogue)


def _turned(prepared: LabelledSnapshots, rows: npt.NDArray[np.bool_]) -> LabelledSnapshots:
    labels = prepared.labels.copy()
    labels.loc[rows, "churn"] = 1 - labels.loc[rows, "churn"]
    return replace(prepared, labels=labels)


def test_scores_use_the_learned_weights(prepared: LabelledSnapshots, origins: Origins, rubric: Rubric) -> None:
    scores = score_rubrics(prepared, [rubric], origins)["learns"]
    assert scores.weights is not None
    assert scores.weights.weights["falling"] > 80
    assert scores.scores.rubric.learned == scores.weights.weights
    assert not np.allclose(scores.scores.score, rubric.score(prepared.frame).score, equal_nan=True)


def test_learned_weights_do_not_use_the_predicted_dates(prepared: LabelledSnapshots, origins: Origins, rubric: Rubric) -> None:
    """Outcomes of the predicted dates, and of those whose windows end within them, change no weight.

    Those in between change the curve that ships, but not the one that is evaluated.
    """
    as_of = prepared.frame["as_of"]
    labelled = (as_of + timedelta(days=HORIZON) <= origins.first).to_numpy()
    between = ~labelled & (as_of < origins.first).to_numpy()
    assert between.any()
    first = score_rubrics(prepared, [rubric], origins)["learns"]
    assert score_rubrics(_turned(prepared, ~labelled), [rubric], origins)["learns"].weights == first.weights
    assert score_rubrics(_turned(prepared, labelled), [rubric], origins)["learns"].weights != first.weights
    result, other = (
        health_facts(one, score_rubrics(one, [rubric], origins), origins).rubrics["learns"].meaning
        for one in (prepared, _turned(prepared, between))
    )
    assert result is not None
    assert other is not None
    assert result.later == other.later
    assert result.rate != other.rate
