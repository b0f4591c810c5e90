"""Contributions agree with the Shapley values of the SHAP package."""

from __future__ import annotations

import warnings

import lightgbm
import numpy as np
import pandas as pd

from models.explain.treeshap import LazyTreeShap
from models.scorer.scorer import Scorer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Warnings of SHAP and matplotlib on import.
    import shap


def test_contributions_agree_with_shap() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 5))
    x[rng.random(x.shape) < 0.15] = np.nan
    y = (np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1]) + rng.normal(size=600) > 0).astype(float)
    names = [f"f{i}" for i in range(5)]
    settings = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "num_threads": 1, "seed": 0}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y, feature_name=names), 40)
    schema = {"features": [{"name": name, "kind": "number"} for name in names]}
    identity = {"a": 1.0, "b": 0.0}
    calibrator = {"kind": "sigmoid", "parameters": identity, "resamples": [identity] * 10}
    scorer = Scorer.from_texts(booster.model_to_string(), schema, calibrator, LazyTreeShap.by_member)
    contributions = scorer.contributions(scorer.encode(pd.DataFrame(x, columns=names)).matrix)
    explainer = shap.TreeExplainer(booster)
    # By default SHAP uses LightGBM's contributions; this selects its own algorithm.
    explainer.model.model_type = "internal"
    expected = explainer.shap_values(x, check_additivity=False)
    assert np.abs(contributions[:, :-1] - expected).max() < 1e-6
