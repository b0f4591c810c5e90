"""Calibration of the health score: the churn rate that followed each score, and learned weights of dimensions.

Both are fitted during training and stored in the bundle as plain data (``health.json``), by rubric.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from features.utils.validation_errors import first_validation_error

if TYPE_CHECKING:
    import numpy.typing as npt

    from features.utils.arrays import Floats

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]

SCORES = tuple(float(score) for score in range(101))
"""The scores at which a curve is stored."""
LEVEL = 0.8
"""The level of every interval."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BandRate(_Fact):
    """The churn rate of the snapshots of one band.

    It has the rows, the accounts that churned within the horizon, and their rate with an 80% interval by account
    bootstrap (None if undefined).
    """

    band: str
    rows: Count
    accounts_with_churn: Count
    rate: Share | None = None
    low: Share | None = None
    high: Share | None = None


class CalibrationCheck(_Fact):
    """The evaluation, on the predicted dates, of a curve fitted on label windows that ended before them.

    It has the mean expected and observed rate, their mean absolute difference over fifths of the rows, and the Brier
    score, compared with that of the previous rate.
    """

    rows: Count
    accounts_with_churn: Count
    expected: Share
    happened: Share
    calibration_error: Share
    brier: Share
    brier_base_rate: Share


class ScoreCalibration(_Fact):
    """The churn rate within the horizon that followed each of `SCORES`, with an 80% interval by account bootstrap.

    ``rate``, ``low`` and ``high`` never increase with the score. ``first`` and ``last`` are ISO dates of snapshots.
    """

    rate: tuple[Share, ...]
    low: tuple[Share, ...]
    high: tuple[Share, ...]
    rows: Count
    accounts: Count
    accounts_with_churn: Count
    first: str
    last: str
    bands: tuple[BandRate, ...]
    later: CalibrationCheck | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name in ("rate", "low", "high"):
            curve = getattr(self, name)
            if len(curve) != len(SCORES) or any(later - former > 1e-12 for former, later in pairwise(curve)):
                raise ValueError(f"{name} needs {len(SCORES)} numbers that never increase")
        return self

    def at(self, scores: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return rate, low and high for health scores of 0 to 100; NaN for NaN; shape (n,) each."""
        # Imported here, since listing reviews needs no arrays.
        import numpy as np

        x = np.asarray(scores, dtype=np.float64)
        rate, low, high = (np.interp(x, SCORES, curve) for curve in (self.rate, self.low, self.high))
        return rate, low, high


class LearnedWeights(_Fact):
    """Learned weights of a rubric's dimensions, summing to 100, and the evidence for them.

    ``strength`` is how strongly each dimension is associated with retention: Somers' D of its points against retention,
    -1 to 1, with a 90% interval.
    """

    weights: dict[str, Annotated[float, Field(ge=0, le=100)]]
    strength: dict[str, tuple[float, float, float]]
    accounts_with_churn: Count


class RubricFacts(_Fact):
    """Training results for one rubric; None without enough churn."""

    version: str
    meaning: ScoreCalibration | None = None
    learned: LearnedWeights | None = None


class HealthFacts(_Fact):
    """Training results for the rubrics, by name."""

    rubrics: dict[str, RubricFacts] = {}

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read ``health.json``.

        Raises
        ------
        ValueError : the content is invalid; the message names the key.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ValueError(first_validation_error(error)) from None

    def of(self, name: str, version: str) -> RubricFacts | None:
        """Return the results for a version of a rubric; None if there are none."""
        facts = self.rubrics.get(name)
        return facts if facts is not None and facts.version == version else None
