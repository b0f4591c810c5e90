"""Past renewal forecasts and their outcomes, stored in the home by the backtest and read with every forecast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from features.utils.atomic_files import write_file
from models.home import Home
from models.json_files import read_json_file
from models.renewals.forecast_bias import BiasDistribution, CountForecast, bias_distribution

FILE = "renewals.json"
_LIMIT = 2**22
#: The figures that are evaluated, with their names in `models.renewals.forecast.GroupForecast`.
FIGURES = (
    "renewed_accounts", "renewed_arr", "lost_arr", "contracted_arr", "expanded_arr", "grr", "nrr",
)  # fmt: skip

FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class _StoredModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PastFigure(_StoredModel):
    """The expected value of a figure, its 80% interval, and the observed value."""

    expected: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    happened: FiniteFloat

    @property
    def inside(self) -> bool:
        """Whether the observed value is in the interval, with a tolerance for rounding errors."""
        slack = 1e-9 * max(abs(self.low), abs(self.high), 1.0)
        return self.low - slack <= self.happened <= self.high + slack


class PastCountForecast(_StoredModel):
    """`models.renewals.forecast_bias.CountForecast` in its stored form."""

    expected: FiniteFloat
    happened: FiniteFloat
    variance: FiniteFloat
    drawn: FiniteFloat


class PastQuarter(_StoredModel):
    """One quarter, forecast from its start by models without knowledge of its outcomes.

    ``by`` is the kind of models: refitted on data available at its start, or the champion, if it was trained before.
    """

    period: str
    as_of: AwareDatetime
    by: Literal["refit", "champion"]
    accounts: int
    arr: FiniteFloat
    figures: dict[str, PastFigure]
    leaving: PastCountForecast
    growing: PastCountForecast


class PastForecasts(_StoredModel):
    """All evaluated quarters, oldest first.

    ``made_at`` is the time of the backtest, ``data_through`` the end of its signals.
    """

    made_at: AwareDatetime
    data_through: AwareDatetime
    quarters: tuple[PastQuarter, ...]
    skipped: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, home: Home) -> Self | None:
        """Load the past forecasts of the home; None without a backtest.

        Raises
        ------
        HomeError : the file is broken.
        """
        path = home.root / FILE
        if not path.is_file():
            return None
        cure = "run the backtest again: `renewcast renewals SIGNALS --backtest`"
        return read_json_file(path, cls, "the past renewal forecasts written by the backtest", cure, limit=_LIMIT)

    def save(self, home: Home) -> None:
        """Store the forecasts in the home, replacing earlier ones."""
        write_file(home.root / FILE, json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")

    def coverage(self, figure: str) -> tuple[int, int]:
        """Return in how many quarters the observed value was in the 80% interval, and the number of quarters."""
        inside = [quarter.figures[figure].inside for quarter in self.quarters if figure in quarter.figures]
        return sum(inside), len(inside)


def bias_distributions(quarters: Iterable[PastQuarter]) -> tuple[BiasDistribution, BiasDistribution]:
    """Return the bias distributions of the churn and expansion levels, from past quarters."""
    past: Sequence[PastQuarter] = list(quarters)
    return _distribution(quarter.leaving for quarter in past), _distribution(quarter.growing for quarter in past)


def _distribution(forecasts: Iterable[PastCountForecast]) -> BiasDistribution:
    return bias_distribution(
        CountForecast(each.expected, each.happened, each.variance, each.drawn) for each in forecasts
    )
