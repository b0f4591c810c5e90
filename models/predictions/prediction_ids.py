"""The ids of predictions: a hash of everything that an answer depends on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


class PredictionIds:
    """The ids of the predictions of one assessment, by row.

    An id is ``prd_`` and 24 hex digits of a SHA-256 over as_of, the account's features, the bundles and the rubric. The
    same inputs give the same id. Signals that arrive later, another model or another rubric give a different id.

    Parameters
    ----------
    as_of : the instant of the assessment, as text.
    cells : the name and the values of each feature, sorted by name. Shape (n,) each.
    fingerprints : those of the bundles.
    rubric : the text of the rubric in force.
    """

    def __init__(
        self, as_of: str, cells: Sequence[tuple[str, npt.NDArray[Any]]], fingerprints: Sequence[str], rubric: str
    ) -> None:
        # The hashed text is that of json.dumps([as_of, [[name, value], ...], fingerprints, rubric]). Only the values
        # differ between accounts, so everything else is written once.
        self._head = f"[{json.dumps(as_of)}, ["
        self._tail = f"], {json.dumps(list(fingerprints))}, {json.dumps(rubric)}]"
        # Runs of columns of numbers, each with a template of its text, and between them single other columns.
        self._runs: list[tuple[str, list[npt.NDArray[Any]]] | tuple[str, npt.NDArray[Any]]] = []
        numbers: list[npt.NDArray[Any]] = []
        texts: list[str] = []
        for position, (name, column) in enumerate(cells):
            start = f"{', ' if position else ''}[{json.dumps(name)}, "
            if column.dtype == np.float64:
                texts.append(start.replace("%", "%%") + '"%r"]')
                numbers.append(column)
                continue
            self._runs += [("".join(texts), numbers), (start, column)]
            numbers, texts = [], []
        self._runs.append(("".join(texts), numbers))

    def of(self, row: int) -> str:
        """Return the id of the prediction in a row."""
        parts = [self._head]
        for text, columns in self._runs:
            if isinstance(columns, list):
                # After a name there is a comma, so only unknown numbers are replaced.
                parts.append((text % tuple([each.item(row) for each in columns])).replace('"nan"]', "null]"))
            else:
                parts.append(f"{text}{json.dumps(_plain(columns[row]))}]")
        return "prd_" + hashlib.sha256("".join([*parts, self._tail]).encode()).hexdigest()[:24]


def _plain(value: Any) -> str | None:
    """Return a cell as text that does not depend on the type of the column; None for every kind of null."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, str):
        return value
    number = float(value)
    return None if math.isnan(number) else repr(number)
