"""Pulse: the judgment of the person who looks after the account, while it has not expired."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import Latest, Newest, Rows, Term, from_column
from features.definitions.feature import Family, Feature
from features.definitions.windows import QUARTER
from features.utils.dates import DAY_SECONDS

_feature = Family("pulse", "relationship")

CALLS = ("churn", "at_risk", "renew")
"""The expectations at the renewal, from worst to best: their places are the values of the feature."""
VALID_DAYS = QUARTER
"""Days after which a judgment without ``expires_at`` expires."""


def _called(rows: Rows) -> Any:
    return rows.renewal_call.notnull()


def _call(rows: Rows) -> Any:
    return (rows.renewal_call == CALLS[1]).cast("float64") + (rows.renewal_call == CALLS[2]).cast("float64") * 2.0


def _expiry(rows: Rows) -> Any:
    """Return the end of a judgment in days since 1970."""
    ends = rows.expires_at.epoch_seconds().fill_null(rows.occurred_at.epoch_seconds() + VALID_DAYS * DAY_SECONDS)
    return ends.cast("float64") / float(DAY_SECONDS)


SENTIMENT = Latest("pulse", "sentiment", value=lambda t: t.sentiment)
EXPIRY = Latest("pulse", "expiry", value=_expiry)
CALL = Latest("pulse", "call", column="renewal_call", where=_called, value=_call)
CALL_EXPIRY = Latest("pulse", "call_expiry", column="renewal_call", where=_called, value=_expiry)
LAST = Newest("pulse", "last")


def _valid(value: Latest, expiry: Latest) -> Term:
    """Return the value of the newest judgment; unknown if it has expired, also if an earlier one has not."""
    return value.all_time().where(from_column("as_of_s") / float(DAY_SECONDS) < expiry.all_time())


FEATURES: tuple[Feature, ...] = (
    _feature(
        "sentiment", _valid(SENTIMENT, EXPIRY), "judgment of the CSM", "points",
        "the CSM's judgment of the account, from -2 to 2", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "renewal_call", _valid(CALL, CALL_EXPIRY), "judgment of the CSM", "points",
        "what the CSM expects at the renewal: 0 churn, 1 at risk, 2 renewal", direction="lowers_risk",
    ),
    _feature("age_days", LAST.days_since(), "judgment of the CSM", "days", "days since the last judgment of the CSM"),
)
