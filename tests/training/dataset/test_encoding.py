"""The scorer encodes snapshots exactly as training does."""

from __future__ import annotations

import json

import lightgbm
import numpy as np
import pandas as pd

from features.definitions.feature import Feature
from features.utils.arrays import Floats
from models.scorer.scorer import Scorer
from training.dataset.encoding import fit_encoding, monotone_constraints

Portfolio = tuple[pd.DataFrame, Floats]
IDENTITY = {"kind": "sigmoid", "parameters": {"a": 1.0, "b": 0.0}, "resamples": [{"a": 1.0, "b": 0.0}] * 10}


def test_levels_of_few_accounts_are_unknown(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, _ = small_portfolio
    reading = fit_encoding(frame, small_catalogue)
    assert reading.levels == {"contract.plan": ["basic", "pro"]}
    codes = reading.matrix(frame)[:, reading.features.index("contract.plan")]
    assert np.isnan(codes[frame["contract.plan"] == "rare"]).all()
    assert (codes[frame["contract.plan"] == "pro"] == 1).all()


def test_constant_features_are_left_out(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, _ = small_portfolio
    still = frame.assign(**{"usage.noise": np.nan, "usage.bent": 3.0, "contract.plan": None})
    assert fit_encoding(still, small_catalogue).features == ("usage.falling", "contract.arr")


def test_the_scorer_encodes_identically(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    """Its schema, stored as JSON, makes the same matrix in another order of columns and with columns more."""
    frame, y = small_portfolio
    reading = fit_encoding(frame, small_catalogue)
    matrix = reading.matrix(frame)
    data = lightgbm.Dataset(matrix, y, feature_name=list(reading.features))
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, data, 1)
    scorer = Scorer.from_texts(booster.model_to_string(), json.loads(json.dumps(reading.schema)), IDENTITY)
    other = frame[frame.columns[::-1]].assign(extra=1)
    np.testing.assert_array_equal(scorer.encode(other).matrix, matrix)


def test_monotone_constraints_depend_on_the_target(small_catalogue: dict[str, Feature]) -> None:
    """Only features marked as monotone are constrained; a direction alone is not enough."""
    names = tuple(small_catalogue)
    assert monotone_constraints(names, small_catalogue, "churn") == [1, 0, 0, 0, 0]
    assert monotone_constraints(names, small_catalogue, "expansion") == [-1, 0, 0, 0, 0]
