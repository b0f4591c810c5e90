"""MLflow's scoring protocol: rows of features in, the registered model's columns out.

The answer is that of the same scorer which travels with the registered model, so that a caller of a scoring server of
MLflow's can be pointed here instead. Columns are taken by name, never by position.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from features.catalogue.catalogue import KEYS
from features.custom.current_catalogue import current_catalogue
from models.artifacts.bundle import Bundle
from models.artifacts.unknown_inputs import FEATURES_SHOWN, unknown_inputs
from models.predictions.payload import model_payload
from models.predictions.schema import Fraction, ModelReference, PredictionWarning, ResponseModel
from models.scorer.base import Floats
from models.scorer.encoding import Encoded
from models.scorer.scorer import Scorer
from models.targets import Target
from serving.common.errors import Fault, InvalidBody, NotReady, TooSlow
from serving.schemas.base import RequestModel
from serving.schemas.signal_rows import printable_names
from serving.snapshots.live_state import LiveState

#: So many rows are scored before somebody may stop the work.
CHUNK = 1024

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
DEFAULT_TARGET: Target = "churn"

# MLflow's client writes unknown numbers as NaN.
Cell = Annotated[float, Field(allow_inf_nan=True)] | str | bool | None
Record = dict[str, Cell]


class DataframeSplit(RequestModel):
    """A table as `pandas.DataFrame.to_dict(orient="split")` gives it."""

    columns: list[str]
    data: list[list[Cell]]
    index: list[JsonValue] | None = Field(None, description="Not looked at.")


class InvocationParams(RequestModel):
    """MLflow's parameters of a call."""

    target: Target | None = Field(None, description="As in the query.")


class InvocationRequest(RequestModel):
    """Rows of features in exactly one of MLflow's four formats. Columns are the model's features, by name; null, NaN,
    or a column left out, is not known."""

    dataframe_split: DataframeSplit | None = None
    dataframe_records: list[Record] | None = None
    instances: list[Record] | None = None
    inputs: dict[str, list[Cell]] | list[Record] | None = Field(None, description="Lists by column, or records.")
    params: InvocationParams | None = None

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        given = [name for name in FORMATS if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("one_format", "Input should hold exactly one of " + ", ".join(FORMATS))
        return self

    def table(self) -> tuple[str, dict[str, list[Cell]], int]:
        """Where the rows are (a JSON pointer), their columns by name, and how many rows there are.

        Raises
        ------
        InvalidBody : rows or columns are of different lengths, or a column is there twice.
        """
        if self.dataframe_split is not None:
            return _of_split(self.dataframe_split)
        name = next(name for name in FORMATS if getattr(self, name) is not None)
        given = getattr(self, name)
        if isinstance(given, dict):
            return _of_columns(given)
        columns = dict.fromkeys(column for record in given for column in record)
        return f"/{name}", {column: [record.get(column) for record in given] for column in columns}, len(given)


class InvocationPrediction(ResponseModel):
    """The registered model's columns: probabilities, not classes."""

    probability: Fraction = Field(description="Calibrated, for the model's horizon.")
    low: Fraction = Field(description="Where the 80% interval begins.")
    high: Fraction


class InvocationResponse(ResponseModel):
    """MLflow's answer; what stands beside the predictions is ours."""

    predictions: list[InvocationPrediction]
    model: ModelReference
    warnings: list[PredictionWarning] = Field(description="ignored_columns, features_missing, unknown_category.")


class TargetQuery(RequestModel):
    """Which model answers."""

    target: Literal["churn", "expansion"] | None = Field(None, description="Left out: that in params, or churn.")


class InvocationScorer:
    """One call, to be worked through in a thread.

    Parameters
    ----------
    target : that of the query; None where it does not say.
    rows_limit : more rows than this are refused.
    """

    def __init__(self, asked: InvocationRequest, target: Target | None, state: LiveState, *, rows_limit: int) -> None:
        self._asked, self._state, self._rows_limit = asked, state, rows_limit
        self._target = target
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """End the work soon, from another thread."""
        self._interrupted.set()

    def __call__(self) -> dict[str, Any]:
        """The answer, as `InvocationResponse` has it.

        Raises
        ------
        NotReady : there is no model for the target.
        InvalidBody : the rows are too many, of different lengths, hold no feature, or text where a number belongs, or
            leave most of the model unknown.
        TooSlow : `interrupt` was called.
        """
        bundle = bundle_for(self._state, self._chosen())
        pointer, columns, rows = self._asked.table()
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
        inside = self._asked.params.target if self._asked.params is not None else None
        if self._target is not None and inside not in (None, self._target):
            fault = Fault("/params/target", "another_target", "should be that of the query, or left out")
            raise InvalidBody("query and params name different targets", [fault])
        return self._target or inside or DEFAULT_TARGET

    def _predictions(self, scorer: Scorer, matrix: Floats) -> list[dict[str, float]]:
        found: list[dict[str, float]] = []
        for start in range(0, len(matrix), CHUNK):
            if self._interrupted.is_set():
                raise TooSlow("the rows took too long to score", cure="send fewer rows, or try again later")
            told = scorer.calibrate(scorer.raw(matrix[start : start + CHUNK]))
            rows = zip(told.probability.tolist(), told.low.tolist(), told.high.tolist(), strict=True)
            found += [{"probability": p, "low": low, "high": high} for p, low, high in rows]
        return found


def bundle_for(state: LiveState, target: Target | None = None) -> Bundle:
    """The champion's bundle for a target; any if none is given.

    Raises
    ------
    NotReady : there is none.
    """
    bundles = {} if state.champion is None else state.champion.bundles
    found = next((bundle for of, bundle in bundles.items() if target in (None, of)), None)
    if found is None:
        what = "; ".join(state.errors) or f"there is no model{f' for {target}' if target else ''}"
        raise NotReady(what, "a promoted model", "train and promote one")
    return found


def _of_split(split: DataframeSplit) -> tuple[str, dict[str, list[Cell]], int]:
    place = "/dataframe_split"
    if len(set(split.columns)) < len(split.columns):
        raise InvalidBody("a column is there twice", [Fault(f"{place}/columns", "repeated", "each name once")])
    width = f"should hold {len(split.columns)} values, one for each column"
    faults = [
        Fault(f"{place}/data/{i}", "wrong_length", width)
        for i, row in enumerate(split.data)
        if len(row) != len(split.columns)
    ]
    if faults:
        raise InvalidBody("rows are of another length than the columns", faults)
    values: Sequence[Sequence[Cell]] = list(zip(*split.data, strict=True)) or [()] * len(split.columns)
    columns = {name: list(column) for name, column in zip(split.columns, values, strict=True)}
    return f"{place}/data", columns, len(split.data)


def _of_columns(columns: Mapping[str, list[Cell]]) -> tuple[str, dict[str, list[Cell]], int]:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InvalidBody("columns are of different lengths", [Fault("/inputs", "wrong_length", "one value a row")])
    return "/inputs", dict(columns), next(iter(lengths), 0)


def _encoded(scorer: Scorer, columns: Mapping[str, list[Cell]], rows: int, pointer: str) -> Encoded:
    """What `Scorer.encode` makes of the same columns in a data frame, which alone would cost more than the answer.

    Raises
    ------
    InvalidBody : a column of numbers holds text.
    """
    matrix = np.full((rows, len(scorer.features)), np.nan)
    unseen: dict[str, npt.NDArray[np.bool_]] = {}
    faults = []
    for place, name in enumerate(scorer.features):
        values = columns.get(name)
        if values is None:
            continue
        if name in scorer.categories:
            codes = scorer.categories[name]
            matrix[:, place] = [codes.get(value, np.nan) if isinstance(value, str) else np.nan for value in values]
            strange = np.array([_known(value) for value in values], dtype=bool) & np.isnan(matrix[:, place])
            if strange.any():
                unseen[name] = strange
        elif any(isinstance(value, str) for value in values):
            faults.append(Fault(pointer, "not_a_number", f"{name} holds text; it should hold numbers or nulls"))
        else:
            matrix[:, place] = [np.nan if value is None else value for value in values]
    if faults:
        raise InvalidBody("columns of numbers hold text", faults)
    matrix[~np.isfinite(matrix)] = np.nan
    return Encoded(matrix, tuple(name for name in scorer.features if name not in columns), unseen)


def _refuse_unknown(bundle: Bundle, encoded: Encoded, pointer: str) -> None:
    """Refuse rows that leave most of the model unknown: its answer would be about other accounts.

    Raises
    ------
    InvalidBody : most of the model's gain lies in features that no row has a value of.
    """
    nowhere: npt.NDArray[np.bool_] = np.all(np.isnan(encoded.matrix), axis=0)
    unknown = {name for name, missing in zip(bundle.scorer.features, nowhere, strict=True) if missing}
    lacking = unknown_inputs(bundle, unknown.__contains__, current_catalogue())
    if lacking.exceeds_limit:
        first = ", ".join(lacking.features[:FEATURES_SHOWN])
        raise InvalidBody(
            f"{lacking.share:.0%} of the model's gain lies in features that are unknown in every row",
            [Fault(pointer, "inputs_unknown", f"needs more of the model's features, above all {first}")],
            "columns of the model's features with values",
            "send the features as `renewcast snapshot` writes them",
        )


def _known(value: Cell) -> bool:
    return not (value is None or (isinstance(value, float) and np.isnan(value)))


def _warnings(scorer: Scorer, encoded: Encoded, columns: Mapping[str, list[Cell]]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    if ignored := sorted(set(columns) - set(scorer.features) - set(KEYS)):
        told.append({"code": "ignored_columns", "columns": printable_names(ignored), "count": len(ignored)})
    if len(encoded.matrix) and encoded.missing:
        told.append({"code": "features_missing", "features": list(encoded.missing)})
    for name, rows in sorted(encoded.unseen.items()):
        told.append({"code": "unknown_category", "feature": name, "rows": int(rows.sum())})
    return told
