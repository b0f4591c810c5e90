"""Models in the ONNX format as members of an ensemble, and their contributions by permutation sampling.

ONNX is a graph of numeric operators: running it executes no code of the file. It is read from memory, so it cannot
refer to other files either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .base import Floats, log_odds
from .errors import ScorerError

#: The file of an ONNX member in a bundle.
MEMBER_FILE = re.compile(r"member-\d{1,2}\.onnx")
#: Probabilities are clipped to this distance from 0 and 1 before log-odds are computed.
CLIP = 1e-6
#: Maximum number of typical rows.
MAX_TYPICAL = 50
#: Rows per call, to bound memory.
BATCH_ROWS = 65536
_LARGEST = float(np.finfo(np.float32).max)


class OnnxModel:
    """A binary classifier in the ONNX format: float32 columns to the probabilities of both outcomes; immutable.

    Its input is one tensor (n, columns), or a tensor (n, 1) per column in the order of the columns. Its last output is
    a tensor (n, 2) of probabilities.
    """

    def __init__(self, content: bytes, name: str, columns: int) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ScorerError(
                f"{name} needs the package onnxruntime: install it with `pip install onnxruntime`"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ScorerError(f"{name} is not a model that ONNX Runtime {onnxruntime.__version__} can read") from error
        inputs, output = self._session.get_inputs(), self._session.get_outputs()[-1]
        widths = [columns] if len(inputs) == 1 else [1] * columns
        floats = all(each.type == "tensor(float)" for each in (*inputs, output))
        if not floats or [_width(each) for each in inputs] != widths or _width(output) != 2:
            raise ScorerError(f"{name} does not map {columns} columns of numbers to two probabilities")
        self._name, self._content, self._columns = name, content, columns
        self._inputs, self._output = [each.name for each in inputs], output.name

    def __reduce__(self) -> tuple[type[OnnxModel], tuple[bytes, str, int]]:
        # A session of ONNX Runtime cannot be pickled or copied.
        return type(self), (self._content, self._name, self._columns)

    def log_odds(self, matrix: Floats) -> Floats:
        """Return the log-odds of a matrix, (n, columns) -> (n,).

        Raises
        ------
        ScorerError : the model fails, or returns something other than probabilities.
        """
        numbers = np.clip(matrix, -_LARGEST, _LARGEST).astype(np.float32)
        if not len(numbers):
            return np.empty(0)
        chunks = [numbers[start : start + BATCH_ROWS] for start in range(0, len(numbers), BATCH_ROWS)]
        p = np.concatenate([self._probability(chunk) for chunk in chunks]).astype(np.float64)
        if not np.isfinite(p).all():
            raise ScorerError(f"{self._name} returned probabilities that are not finite")
        return log_odds(np.clip(p, CLIP, 1 - CLIP))

    def _probability(self, numbers: Any) -> Any:
        single = len(self._inputs) == 1
        columns = [numbers] if single else [np.ascontiguousarray(column[:, None]) for column in numbers.T]
        try:
            (p,) = self._session.run([self._output], dict(zip(self._inputs, columns, strict=True)))
        except Exception as error:
            raise ScorerError(f"{self._name} cannot be evaluated") from error
        return p[:, 1]


def read_typical(schema: Mapping[str, Any], columns: int) -> Floats:
    """Return the typical rows of ``schema.json``, (t, columns), NaN for null; none without the key "typical".

    Raises
    ------
    ScorerError : they are malformed.
    """
    stored = schema.get("typical", [])
    try:
        rows = np.array(stored, dtype=np.float64).reshape(len(stored), columns)
    except (TypeError, ValueError):
        raise ScorerError(f"schema.json: typical must hold rows of {columns} numbers or nulls") from None
    if len(rows) > MAX_TYPICAL:
        raise ScorerError(f"schema.json: typical has more than {MAX_TYPICAL} rows")
    return rows


def permutation_contributions(score: Callable[[Floats], Floats], matrix: Floats, typical: Floats) -> Floats:
    """Estimate Shapley values of any function of a row, in relation to typical rows.

    For each typical row, the columns are replaced by those of the account one after another, in a random order and in
    the reverse order; a column's contribution is the mean change of the score at its turn (Castro et al. 2009, with
    antithetic orders as in Mitchell et al. 2022). The orders are the same for every account, so the result does not
    depend on the other rows. Base and contributions add up to the score: the base is the mean score of the typical
    rows.

    Parameters
    ----------
    score : the function, (n, columns) -> (n,).
    matrix : the accounts, (n, columns).
    typical : the typical rows, (t, columns).

    Returns
    -------
    Floats
        Shape (n, columns + 1); the last column is the base.
    """
    count = matrix.shape[1]
    answer = np.zeros((len(matrix), count + 1))
    answer[:, -1] = score(typical).mean()
    orders = _orders(len(typical), count)
    for row, own in zip(matrix, answer, strict=True):
        # A column with the same value in both rows contributes nothing, so its turn needs no evaluation.
        differs = ~((row == typical) | (np.isnan(row) & np.isnan(typical)))
        turns = [order[differs[number // 2][order]] for number, order in enumerate(orders)]
        paths = np.concatenate(
            [_path(row, typical[number // 2], turn) for number, turn in enumerate(turns)] or [np.empty((0, count))]
        )
        scores = score(paths)
        start = 0
        for turn in turns:
            own[turn] += np.diff(scores[start : start + len(turn) + 1]) / len(orders)
            start += len(turn) + 1
    return answer


def _path(row: Floats, typical: Floats, turn: Any) -> Floats:
    """Return the rows from the typical one to the account's, (turns + 1, columns)."""
    place = np.full(len(row), len(turn))
    place[turn] = np.arange(len(turn))
    return np.asarray(np.where(place < np.arange(len(turn) + 1)[:, None], row, typical), dtype=np.float64)


@lru_cache(maxsize=8)
def _orders(typical: int, columns: int) -> list[Any]:
    """Return two orders of the columns for each typical row, one the reverse of the other."""
    rng = np.random.default_rng(0)
    forward = [rng.permutation(columns) for _ in range(typical)]
    return [order for each in forward for order in (each, each[::-1])]


def _width(tensor: Any) -> Any:
    return tensor.shape[1] if len(tensor.shape) == 2 else None
