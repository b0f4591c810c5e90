"""The reliability bins of a model card."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from training.evaluation.baselines import BLEND
from training.evaluation.test_predictions import ScoredTestRows
from training.pipeline.model_card import reliability_bins


def test_a_decile_without_outcomes_has_a_positive_upper_limit(evaluation_rows: Callable[..., ScoredTestRows]) -> None:
    """Its upper end is the rate at which so many accounts would all be spared once in forty times."""
    y = evaluation_rows().y
    bins = reliability_bins(evaluation_rows(**{BLEND: np.clip(0.1 + 0.8 * y, 0.0, 1.0)}))
    none = [each for each in bins if not each.outcomes]
    assert none
    for each in none:
        assert (each.happened.value, each.happened.low) == (0.0, 0.0)
        assert each.happened.high is not None
        assert each.happened.high > 0.01
    assert sum(each.rows for each in bins) == len(y)


def test_the_upper_limit_depends_on_accounts_and_not_on_rows(evaluation_rows: Callable[..., ScoredTestRows]) -> None:
    rows = evaluation_rows(y=np.zeros(400), **{BLEND: np.full(400, 0.1)})
    (only,) = reliability_bins(rows)
    assert only.happened.high == pytest.approx(1 - 0.025 ** (1 / 100))
