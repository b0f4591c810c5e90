"""The id of a prediction is a hash of the JSON of what it depends on, however it is computed."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.predictions.prediction_ids import PredictionIds

TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(["nan", '"nan"]', "%r", "%", "null", "50% é"]))
COLUMNS = st.one_of(
    st.lists(st.floats(), min_size=3, max_size=3).map(lambda values: np.array(values, dtype=np.float64)),
    st.lists(st.one_of(st.none(), TEXTS), min_size=3, max_size=3).map(lambda values: np.array(values, dtype=object)),
    st.lists(st.integers(-5, 5), min_size=3, max_size=3).map(np.array),
)


@given(
    st.dictionaries(TEXTS, COLUMNS, max_size=8).map(lambda cells: sorted(cells.items())), st.lists(TEXTS, max_size=2), TEXTS
)
def test_an_id_hashes_the_json_of_its_inputs(cells: list[tuple[str, np.ndarray]], fingerprints: list[str], rubric: str) -> None:
    ids = PredictionIds("2026-09-30", cells, fingerprints, rubric)
    for row in range(3):
        features = [(name, _text(column[row])) for name, column in cells]
        content = json.dumps(["2026-09-30", features, fingerprints, rubric])
        assert ids.of(row) == "prd_" + hashlib.sha256(content.encode()).hexdigest()[:24]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    return None if math.isnan(number) else repr(number)
