"""Past forecasts beside what happened, as the home keeps them: written by the backtest, read with every forecast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from features.errors import HomeError
from features.utils.atomic_files import write_file
from models.home import Home
from models.renewals.forecast_bias import Level, Missed, level_of

FILE = "renewals.json"
_LIMIT = 2**22
#: The figures that a forecast is held to, as `models.renewals.forecast.Forecast` names them.
FIGURES = (
    "renewed_accounts", "renewed_arr", "lost_arr", "contracted_arr", "expanded_arr", "grr", "nrr",
)  # fmt: skip

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PastFigure(_Kept):
    """What was expected of a figure, its 80% interval, and what happened."""

    expected: Finite
    low: Finite
    high: Finite
    happened: Finite

    @property
    def inside(self) -> bool:
        """Whether what happened lies in the interval; a crumb of a float is no miss."""
        slack = 1e-9 * max(abs(self.low), abs(self.high), 1.0)
        return self.low - slack <= self.happened <= self.high + slack


class PastMiss(_Kept):
    """`models.renewals.forecast_bias.Missed`, as kept."""

    expected: Finite
    happened: Finite
    variance: Finite
    drawn: Finite


class PastQuarter(_Kept):
    """One quarter, forecast from its start by models that knew no outcome of it.

    ``by`` tells which models those were: refitted on what was known at its start, or the champion, trained before it.
    """

    period: str
    as_of: AwareDatetime
    by: Literal["refit", "champion"]
    accounts: int
    arr: Finite
    figures: dict[str, PastFigure]
    leaving: PastMiss
    growing: PastMiss


class PastForecasts(_Kept):
    """All quarters looked at, the oldest first; ``made_at`` when, from signals up to ``data_through``."""

    made_at: AwareDatetime
    data_through: AwareDatetime
    quarters: tuple[PastQuarter, ...]
    skipped: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, home: Home) -> Self | None:
        """What the home keeps; None where no backtest was made.

        Raises
        ------
        HomeError : it is broken.
        """
        path = home.root / FILE
        try:
            if not path.is_file():
                return None
            with path.open("rb") as file:
                content = file.read(_LIMIT + 1)
            if len(content) > _LIMIT:
                raise ValueError
            return cls.model_validate_json(content)
        except (OSError, ValueError, ValidationError):
            raise HomeError(
                f"{path} is not as the backtest wrote it",
                "the past forecasts of renewals",
                "make it again: `renewcast renewals SIGNALS --backtest`",
            ) from None

    def save(self, home: Home) -> None:
        """Keep it in the home, in place of an earlier one."""
        write_file(home.root / FILE, json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")

    def coverage(self, figure: str) -> tuple[int, int]:
        """In how many quarters what happened lay in the 80% interval, and of how many."""
        seen = [quarter.figures[figure].inside for quarter in self.quarters if figure in quarter.figures]
        return sum(seen), len(seen)


def levels(quarters: Iterable[PastQuarter]) -> tuple[Level, Level]:
    """How far the levels of churn and of expansion may be off, by those quarters."""
    seen: Sequence[PastQuarter] = list(quarters)
    return _level(quarter.leaving for quarter in seen), _level(quarter.growing for quarter in seen)


def _level(missed: Iterable[PastMiss]) -> Level:
    return level_of(Missed(each.expected, each.happened, each.variance, each.drawn) for each in missed)
