"""MLflow's scoring protocol: rows of features in, the output columns of the registered model out.

The scorer is the one that is logged with the registered model, so this service can replace an MLflow scoring server.
Columns are matched by name, never by position.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from features.catalogue.catalogue import KEYS
from features.custom.current_catalogue import current_catalogue
from features.utils.arrays import Bools, Floats
from models.artifacts.bundle import Bundle
from models.artifacts.unknown_inputs import FEATURES_SHOWN, unknown_inputs
from models.predictions.payload import model_payload
from models.predictions.schema import Fraction, ModelReference, PredictionWarning, ResponseModel
from models.scorer.encoding import Encoded
from models.scorer.scorer import Scorer
from models.targets import Target
from serving.common.errors import Fault, InvalidBody, NotReady, TooSlow
from serving.schemas.base import RequestModel
from serving.schemas.signal_rows import printable_names
from serving.snapshots.live_state import LiveState

#: The number of rows per chunk. The work can be interrupted between two chunks.
CHUNK = 1024

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
DEFAULT_TARGET: Target = "churn"

# MLflow's client writes unknown numbers as NaN.
Cell = Annotated[float, Field(allow_inf_nan=True)] | str | bool | None
Record = dict[str, Cell]


class DataframeSplit(RequestModel):
    """A table in the format of `pandas.DataFrame.to_dict(orient="split")`."""

    columns: list[str]
    data: list[list[Cell]]
    index: list[JsonValue] | None = Field(None, description="Ignored.")


class InvocationParams(RequestModel):
    """The parameters of an MLflow request."""

    target: Target | None = Field(None, description="The same as the query parameter.")


class InvocationRequest(RequestModel):
    """Rows of features in exactly one of MLflow's four formats. Columns are the model's features, by name. Null, NaN or
    a missing column means unknown."""

    dataframe_split: DataframeSplit | None = None
    dataframe_records: list[Record] | None = None
    instances: list[Record] | None = None
    inputs: dict[str, list[Cell]] | list[Record] | None = Field(None, description="Values by column, or records.")
    params: InvocationParams | None = None

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        formats = [name for name in FORMATS if getattr(self, name) is not None]
        if len(formats) != 1:
            raise PydanticCustomError("one_format", "Input should hold exactly one of " + ", ".join(FORMATS))
        return self

    def table(self) -> tuple[str, dict[str, list[Cell]], int]:
        """Return the JSON pointer of the rows, their columns by name, and the number of rows.

        Raises
        ------
        InvalidBody : rows or columns have different lengths, or a column is repeated.
        """
        if self.dataframe_split is not None:
            return _of_split(self.dataframe_split)
        name = next(name for name in FORMATS if getattr(self, name) is not None)
        rows = getattr(self, name)
        if isinstance(rows, dict):
            return _of_columns(rows)
        columns = dict.fromkeys(column for record in rows for column in record)
        return f"/{name}", {column: [record.get(column) for record in rows] for column in columns}, len(rows)


class InvocationPrediction(ResponseModel):
    """The output columns of the registered model: probabilities, not classes."""

    probability: Fraction = Field(description="The calibrated probability for the horizon of the model.")
    low: Fraction = Field(description="The lower end of the 80% interval.")
    high: Fraction = Field(description="The upper end of the 80% interval.")


class InvocationResponse(ResponseModel):
    """The response in MLflow's format. All fields except predictions are extensions."""

    predictions: list[InvocationPrediction]
    model: ModelReference
    warnings: list[PredictionWarning] = Field(description="Codes: ignored_columns, features_missing, unknown_category.")


class TargetQuery(RequestModel):
    """The choice of the model."""

    target: Literal["churn", "expansion"] | None = Field(
        None, description="The target of the model. Default: the target in params, or churn."
    )


class InvocationScorer:
    """The scoring of one request, which runs in a thread.

    Parameters
    ----------
    body : the request.
    target : the target in the query; None without one.
    state : the champion to score with.
    rows_limit : the maximum number of rows.
    """

    def __init__(self, body: InvocationRequest, target: Target | None, state: LiveState, *, rows_limit: int) -> None:
        self._body, self._state, self._rows_limit = body, state, rows_limit
        self._target = target
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Interrupt the scoring, from another thread."""
        self._interrupted.set()

    def __call__(self) -> dict[str, Any]:
        """Score the rows and return the content of an `InvocationResponse`.

        Raises
        ------
        NotReady : there is no model for the target.
        InvalidBody : there are too many rows, they have different lengths, there is no feature among the columns, a
            column of numbers contains text, or most of the model's gain lies in features that are unknown.
        TooSlow : `interrupt` was called.
        """
        bundle = bundle_for(self._state, self._chosen())
        pointer, columns, rows = self._body.table()
        if rows > self._rows_limit:
            limit = f"at most {self._rows_limit} rows"
            raise InvalidBody(
                f"the table holds {rows} rows", [Fault(pointer, "too_many_rows", limit)], limit, "send fewer"
            )
        scorer = bundle.scorer
        if rows and not set(columns) & set(scorer.features):
            raise InvalidBody(
                "none of the columns is a feature of the model",
                [Fault(pointer, "no_feature", "columns should be named as `renewcast features` names them")],
            )
        encoded = _encoded(scorer, columns, rows, pointer)
        if rows:
            _refuse_unknown(bundle, encoded, pointer)
        return {
            "predictions": self._predictions(scorer, encoded.matrix),
            "model": model_payload(bundle),
            "warnings": _warnings(scorer, encoded, columns),
        }

    def _chosen(self) -> Target:
        inside = self._body.params.target if self._body.params is not None else None
        if self._target is not None and inside not in (None, self._target):
            fault = Fault("/params/target", "another_target", "should be that of the query, or left out")
            raise InvalidBody("query and params name different targets", [fault])
        return self._target or inside or DEFAULT_TARGET

    def _predictions(self, scorer: Scorer, matrix: Floats) -> list[dict[str, float]]:
        predictions: list[dict[str, float]] = []
        for start in range(0, len(matrix), CHUNK):
            if self._interrupted.is_set():
                raise TooSlow("the rows took too long to score", cure="send fewer rows, or try again later")
            scores = scorer.calibrate(*scorer.estimate(matrix[start : start + CHUNK]))
            rows = zip(scores.probability.tolist(), scores.low.tolist(), scores.high.tolist(), strict=True)
            predictions += [{"probability": p, "low": low, "high": high} for p, low, high in rows]
        return predictions


def bundle_for(state: LiveState, target: Target | None = None) -> Bundle:
    """Return a bundle of the champion.

    Parameters
    ----------
    state : the state of the service.
    target : the target; None for any.

    Returns
    -------
    Bundle

    Raises
    ------
    NotReady : there is no such bundle.
    """
    bundles = {} if state.champion is None else state.champion.bundles
    match = next((bundle for of, bundle in bundles.items() if target in (None, of)), None)
    if match is None:
        problem = "; ".join(state.errors) or f"there is no model{f' for {target}' if target else ''}"
        raise NotReady(problem, "a promoted model", "train and promote one")
    return match


def _of_split(split: DataframeSplit) -> tuple[str, dict[str, list[Cell]], int]:
    place = "/dataframe_split"
    if len(set(split.columns)) < len(split.columns):
        raise InvalidBody("a column is repeated", [Fault(f"{place}/columns", "repeated", "each name once")])
    width = f"should hold {len(split.columns)} values, one for each column"
    faults = [
        Fault(f"{place}/data/{i}", "wrong_length", width)
        for i, row in enumerate(split.data)
        if len(row) != len(split.columns)
    ]
    if faults:
        raise InvalidBody("some rows do not have one value for each column", faults)
    values: Sequence[Sequence[Cell]] = list(zip(*split.data, strict=True)) or [()] * len(split.columns)
    columns = {name: list(column) for name, column in zip(split.columns, values, strict=True)}
    return f"{place}/data", columns, len(split.data)


def _of_columns(columns: Mapping[str, list[Cell]]) -> tuple[str, dict[str, list[Cell]], int]:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InvalidBody("columns have different lengths", [Fault("/inputs", "wrong_length", "one value per row")])
    return "/inputs", dict(columns), next(iter(lengths), 0)


def _encoded(scorer: Scorer, columns: Mapping[str, list[Cell]], rows: int, pointer: str) -> Encoded:
    """Encode the columns as `Scorer.encode` does, without a data frame, which would take longer than the scoring.

    Raises
    ------
    InvalidBody : a column of numbers contains text.
    """
    matrix = np.full((rows, len(scorer.features)), np.nan)
    unseen: dict[str, Bools] = {}
    faults = []
    for place, name in enumerate(scorer.features):
        values = columns.get(name)
        if values is None:
            continue
        if name in scorer.categories:
            codes = scorer.categories[name]
            matrix[:, place] = [codes.get(value, np.nan) if isinstance(value, str) else np.nan for value in values]
            unknown = np.array([_has_value(value) for value in values], dtype=bool) & np.isnan(matrix[:, place])
            if unknown.any():
                unseen[name] = unknown
        elif str in set(map(type, values)):
            faults.append(Fault(pointer, "not_a_number", f"{name} holds text; it should hold numbers or nulls"))
        else:
            # A null becomes NaN.
            matrix[:, place] = np.array(values, dtype=np.float64)
    if faults:
        raise InvalidBody("columns of numbers hold text", faults)
    matrix[~np.isfinite(matrix)] = np.nan
    return Encoded(matrix, tuple(name for name in scorer.features if name not in columns), unseen)


def _refuse_unknown(bundle: Bundle, encoded: Encoded, pointer: str) -> None:
    """Reject rows that lack most of what the model needs, because the predictions would be meaningless.

    Raises
    ------
    InvalidBody : most of the model's gain lies in features without a value in any row.
    """
    empty: Bools = np.all(np.isnan(encoded.matrix), axis=0)
    unknown = {name for name, missing in zip(bundle.scorer.features, empty, strict=True) if missing}
    lacking = unknown_inputs(bundle, unknown.__contains__, current_catalogue())
    if lacking.exceeds_limit:
        first = ", ".join(lacking.features[:FEATURES_SHOWN])
        raise InvalidBody(
            f"{lacking.share:.0%} of the model's gain lies in features that are unknown in every row",
            [Fault(pointer, "inputs_unknown", f"needs more of the model's features, most importantly {first}")],
            "columns of the model's features with values",
            "send the features as `renewcast snapshot` writes them",
        )


def _has_value(value: Cell) -> bool:
    return not (value is None or (isinstance(value, float) and np.isnan(value)))


def _warnings(scorer: Scorer, encoded: Encoded, columns: Mapping[str, list[Cell]]) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    if ignored := sorted(set(columns) - set(scorer.features) - set(KEYS)):
        warnings.append({"code": "ignored_columns", "columns": printable_names(ignored), "count": len(ignored)})
    if len(encoded.matrix) and encoded.missing:
        warnings.append({"code": "features_missing", "features": list(encoded.missing)})
    for name, rows in sorted(encoded.unseen.items()):
        warnings.append({"code": "unknown_category", "feature": name, "rows": int(rows.sum())})
    return warnings
