"""A merged booster is the weighted sum of its boosters."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.utils.arrays import Floats
from training.estimators.booster_text import merge_boosters

ROWS = 300
SETTINGS = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "seed": 1}


def _matrix(seed: int = 0) -> Floats:
    """Two numbers with holes, and the codes of a category."""
    rng = np.random.default_rng(seed)
    matrix = np.column_stack([rng.normal(size=ROWS), rng.lognormal(8, 3, ROWS), rng.integers(0, 6, ROWS)])
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix


@pytest.fixture(scope="module")
def boosters() -> list[lightgbm.Booster]:
    """Boosters of different sizes; the last one has nothing to split, and so a single constant tree."""
    matrix, result = _matrix(), []
    for seed, trees in ((1, 1), (2, 12), (3, 7)):
        y = np.random.default_rng(seed).random(ROWS) < 1 / (1 + np.exp(-np.nan_to_num(matrix[:, 0])))
        data = lightgbm.Dataset(matrix, y, feature_name=["a", "b", "plan"], categorical_feature=[2])
        more = {"min_data_in_leaf": ROWS} if seed == 3 else {"extra_trees": seed == 2}
        result.append(lightgbm.train(SETTINGS | more, data, trees))
    return result


@settings(max_examples=25)
@given(weights=st.lists(st.floats(0, 3) | st.just(1e-7), min_size=1, max_size=6))
def test_log_odds_are_the_weighted_sum(boosters: list[lightgbm.Booster], weights: list[float]) -> None:
    parts = [boosters[i % len(boosters)] for i in range(len(weights))]
    text = merge_boosters([(part.model_to_string(), w) for part, w in zip(parts, weights, strict=True)])
    merged, matrix = lightgbm.Booster(model_str=text), _matrix(seed=9)
    assert merged.num_trees() == sum(part.num_trees() for part in parts)
    expected = sum(w * part.predict(matrix, raw_score=True) for part, w in zip(parts, weights, strict=True))
    assert merged.predict(matrix, raw_score=True) == pytest.approx(expected, abs=1e-11)


def test_each_booster_keeps_its_place(boosters: list[lightgbm.Booster]) -> None:
    """The scorer reads the trees of a member by their position; gain and contributions are scaled as well."""
    merged = lightgbm.Booster(model_str=merge_boosters([(part.model_to_string(), 0.3) for part in boosters]))
    matrix, first = _matrix(), 0
    for part in boosters:
        place = {"start_iteration": first, "num_iteration": part.num_trees()}
        for what in ({"raw_score": True}, {"pred_contrib": True}):
            assert merged.predict(matrix, **place, **what) == pytest.approx(
                0.3 * part.predict(matrix, **what), abs=1e-11
            )
        first += part.num_trees()
    assert first == merged.num_trees()


def test_a_merged_booster_can_be_stored_and_merged_again(boosters: list[lightgbm.Booster]) -> None:
    text = merge_boosters([(part.model_to_string(), 0.5) for part in boosters])
    again = lightgbm.Booster(model_str=lightgbm.Booster(model_str=text).model_to_string())
    twice = lightgbm.Booster(model_str=merge_boosters([(again.model_to_string(), 1.0), (text, 1.0)]))
    expected = sum(part.predict(_matrix(), raw_score=True) for part in boosters)
    assert twice.predict(_matrix(), raw_score=True) == pytest.approx(expected, abs=1e-11)
    assert again.feature_name() == ["a", "b", "plan"]
