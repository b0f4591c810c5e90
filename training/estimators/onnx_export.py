"""Fitted scikit-learn classifiers in the ONNX format, which is loaded without unpickling."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from features.errors import BadRequest

EXPECTED = "a classifier or pipeline that skl2onnx converts, or LightGBM, histogram gradient boosting or CatBoost"
CURE = "https://onnx.ai/sklearn-onnx lists what it converts; backtest needs no conversion"


def onnx_of(estimator: Any, columns: Sequence[str]) -> bytes:
    """Convert a fitted classifier.

    Parameters
    ----------
    estimator : the fitted classifier; its input is a table with these columns.
    columns : the names of the columns.

    Returns
    -------
    bytes
        A model as `models.scorer.onnx_model.OnnxModel` reads it.

    Raises
    ------
    BadRequest
        If skl2onnx is not installed or does not convert the estimator.
    """
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError:
        raise BadRequest(
            f"{type(estimator).__name__} needs the package skl2onnx to be registered",
            "an installation with the extra estimators",
            "pip install 'renewcast[estimators]'",
        ) from None
    # A pipeline that selects columns by name needs one input per column; one tensor is faster for all others.
    inputs = [
        [("features", FloatTensorType([None, len(columns)]))],
        [(name, FloatTensorType([None, 1])) for name in columns],
    ]
    failure: Exception | None = None
    for types in inputs:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                converted = convert_sklearn(estimator, initial_types=types, options={id(estimator): {"zipmap": False}})
        except Exception as error:  # noqa: BLE001  Its converters raise errors of many kinds.
            failure = failure or error
        else:
            return bytes(converted.SerializeToString())
    raise BadRequest(f"{type(estimator).__name__} cannot be converted to ONNX", EXPECTED, CURE) from failure
