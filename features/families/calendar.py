"""Calendar: the time of the year at the date and at the next renewal, and the distance to the end of the quarter.

The time of the year is a point on a circle, so that December is close to January: its sine and cosine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from features.definitions.aggregations import Columns, Term, from_column
from features.definitions.feature import Family, Feature
from features.utils.arrays import Floats
from features.utils.dates import DAY_SECONDS

_feature = Family("accounts", "commercial", "calendar")
_renewal = Family("subscriptions", "commercial", "calendar")

_AS_OF = from_column("as_of_s")
_RENEWAL = _AS_OF + from_column("days_to_renewal") * float(DAY_SECONDS)


def _days(seconds: Floats) -> npt.NDArray[np.datetime64]:
    return np.where(np.isnan(seconds), 0.0, seconds // DAY_SECONDS).astype("datetime64[D]")


def _on_circle(instant: Term, wave: Any) -> Term:
    """Return the sine or cosine of the time of the year at an instant (seconds since 1970)."""

    def build(t: Columns) -> Floats:
        seconds = instant.build(t)
        day = _days(seconds)
        first = day.astype("datetime64[Y]")
        length = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.float64)
        share = (day - first.astype("datetime64[D]")).astype(np.float64) / length
        return np.where(np.isnan(seconds), np.nan, wave(2.0 * np.pi * share))

    return Term(instant.needs, build)


def _to_quarter_end(instant: Term) -> Term:
    """Return the days from an instant to the first day of the next calendar quarter."""

    def build(t: Columns) -> Floats:
        day = _days(instant.build(t))
        months = day.astype("datetime64[M]").astype(np.int64)
        following = ((months // 3 + 1) * 3).astype("datetime64[M]").astype("datetime64[D]")
        return (following - day).astype(np.float64)

    return Term(instant.needs, build)


FEATURES: tuple[Feature, ...] = (
    _feature("year_sin", _on_circle(_AS_OF, np.sin), "time of the year", "from -1 to 1", "time of the year, sine"),
    _feature("year_cos", _on_circle(_AS_OF, np.cos), "time of the year", "from -1 to 1", "time of the year, cosine"),
    _feature("days_to_quarter_end", _to_quarter_end(_AS_OF), "time of the year", "days", "days to the end of the quarter"),
    _renewal(
        "renewal_year_sin", _on_circle(_RENEWAL, np.sin), "month of renewal", "from -1 to 1",
        "time of the year of the next renewal, sine",
    ),
    _renewal(
        "renewal_year_cos", _on_circle(_RENEWAL, np.cos), "month of renewal", "from -1 to 1",
        "time of the year of the next renewal, cosine",
    ),
)
