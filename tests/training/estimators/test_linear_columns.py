"""The columns of the logistic regression are those that scikit-learn prepares."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from features.utils.arrays import Floats
from training.dataset.encoding import Encoding
from training.estimators.linear_columns import HORIZON_SCALE, LinearColumns, signed_log

NAMES = ("usage.full", "contract.plan", "usage.holes", "usage.never", "usage.same")
ENCODING = Encoding(NAMES, {"contract.plan": ["a", "b", "c"]}, (30, 90), 90)
NUMBERS = [i for i, name in enumerate(ENCODING.columns) if name != "contract.plan"]


def matrix(rows: int, seed: int) -> Floats:
    """Money and counts with holes, a category, a column that is always unknown, and a constant."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(3, 2, (rows, len(ENCODING.columns)))) * rng.choice([-1, 1], (rows, 1))
    values[:, 1] = rng.choice([0.0, 1.0, 2.0, np.nan], rows)
    values[rng.random(rows) < 0.3, 2] = np.nan
    values[:, 3] = np.nan
    values[:, 4] = 0.1
    return values


def test_columns_are_those_of_scikit_learn() -> None:
    train, later = matrix(3000, 1), matrix(500, 2)
    later[:50, 0] = np.nan
    columns = LinearColumns.fit(ENCODING, train)
    numbers = make_pipeline(
        FunctionTransformer(signed_log),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    ).fit(train[:, NUMBERS])
    levels = OneHotEncoder(categories=[np.arange(3.0)], handle_unknown="ignore", sparse_output=False).fit(train[:, [1]])
    for each in (train, later):
        expected = numbers.transform(each[:, NUMBERS])
        expected[:, [i for i, name in enumerate(columns.names) if name.startswith("horizon.")]] *= HORIZON_SCALE
        expected = np.hstack([expected, levels.transform(each[:, [1]])])
        assert columns.transform(each) == pytest.approx(expected, abs=1e-12)


def test_marks_and_levels_are_found_by_name() -> None:
    train = matrix(200, 3)
    columns = LinearColumns.fit(ENCODING, train)
    ready = columns.transform(train)
    holes = columns.names.index("usage.holes")
    assert set(columns.marks) == {holes, columns.names.index("usage.never")}
    mark = ready[:, columns.marks[holes]]
    assert ((mark == mark.max()) == np.isnan(train[:, 2])).all()
    assert (ready[:, columns.level_columns["contract.plan"]].argmax(axis=1) == np.nan_to_num(train[:, 1])).all()
    assert ready.shape[1] == columns.level_columns["contract.plan"].stop


def test_signed_log_is_symmetric() -> None:
    values = np.array([-1e6, -0.01, 0.0, 0.01, 1e6])
    transformed = signed_log(values)
    assert transformed == pytest.approx(-transformed[::-1])
    assert (np.diff(transformed) > 0).all()
    assert transformed[3] == pytest.approx(0.01, abs=1e-4)
    assert np.isnan(signed_log(np.array([np.nan]))).all()
