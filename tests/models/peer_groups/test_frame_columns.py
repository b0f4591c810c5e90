import numpy as np
import pandas as pd
import pytest

from features.errors import BadRequest
from models.peer_groups.frame_columns import number_column


def test_every_kind_of_null_is_nan() -> None:
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": pd.Series([2.0, None], dtype=object)})
    np.testing.assert_array_equal(number_column(frame, "a"), [1.0, np.nan])
    np.testing.assert_array_equal(number_column(frame, "b"), [2.0, np.nan])


def test_a_missing_column_is_unknown() -> None:
    np.testing.assert_array_equal(number_column(pd.DataFrame({"a": [1]}), "b"), [np.nan])


def test_infinity_is_unknown_as_in_the_scorer() -> None:
    np.testing.assert_array_equal(number_column(pd.DataFrame({"a": [np.inf, -np.inf, 1.0]}), "a"), [np.nan, np.nan, 1])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": ["secret"]}), "column a contains a value that is not a number"),
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "column a occurs 2 times"),
    ],
)
def test_a_column_that_is_not_numeric_is_refused_without_showing_values(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        number_column(frame, "a")
    assert "secret" not in str(caught.value)
