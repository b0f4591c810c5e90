"""Contracts: revenue, seats, tenure, renewal, notice, term and changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features.definitions.aggregations import (
    TENURE,
    Count,
    IntervalSum,
    Measure,
    Newest,
    Oldest,
    Rows,
    Term,
    from_column,
)
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, YEAR
from features.families.peers import TERM_FEATURES

_feature = Family("subscriptions", "commercial", "contract")
_account = Family("accounts", "commercial", "contract")
_START: dict[str, Any] = {"at": "started_at", "known_at": "started_at"}
_END: dict[str, Any] = {"at": "ended_at", "known_at": "ended_at"}
_NOTICE: dict[str, Any] = {"at": "notice_at", "known_at": "notice_at"}


def _having(column: str, value: str) -> dict[str, Any]:
    """Return the arguments of a measure of the rows with a value."""

    def pick(rows: Rows) -> Any:
        return (rows[column] == value).fill_null(False)

    return {"where": pick, "counts": ((column, (value,)),)}


ARR = IntervalSum("subscriptions", "arr", **_START, value=lambda t: t.arr)
SEATS = IntervalSum("subscriptions", "seats", **_START, value=lambda t: t.seats)
USAGE_LIMIT = IntervalSum("subscriptions", "limit", **_START, value=lambda t: t.usage_limit)
PRODUCTS = IntervalSum("subscriptions", "products", **_START)
STARTED = Oldest("subscriptions", "started", **_START)
ENDS = Count("subscriptions", "ends", **_END)
UPGRADES = Count("subscriptions", "upgrades", **_END, **_having("end_reason", "upgraded"))
DOWNGRADES = Count("subscriptions", "downgrades", **_END, **_having("end_reason", "downgraded"))
RENEWALS = Count("subscriptions", "renewals", **_END, **_having("end_reason", "renewed"))
NOTICES = IntervalSum("subscriptions", "notices", **_NOTICE, column="notice_at")
LAST_NOTICE = Newest("subscriptions", "last_notice", **_NOTICE)
PAUSED = IntervalSum("subscriptions", "paused", **_START, column="status", **_having("status", "paused"))
PAST_DUE = IntervalSum("subscriptions", "past_due", **_START, column="status", **_having("status", "past_due"))
UNKNOWN = IntervalSum("subscriptions", "unknown", **_START, where=lambda t: t.arr.isnull())
"""Active subscriptions whose terms at the time were overwritten in the source (see `features.signals.contract_terms`)."""
OVERWRITTEN = Count("subscriptions", "overwritten", **_START, where=lambda t: t.arr.isnull())


def _none(measure: Measure) -> Term:
    """Return a term above 0 where ``measure`` is zero."""
    return measure.all_time() * -1.0 + 1.0


def _known(measure: IntervalSum) -> Term:
    """Return the sum over active subscriptions; unknown if the terms of any of them are unknown."""
    return measure.all_time().where(_none(UNKNOWN.lagged(measure.ago)))


def _past(name: str) -> Term:
    """Return a column of `features.snapshots.outcome_history`; unknown if terms of the account were overwritten."""
    return from_column(name).where(_none(OVERWRITTEN))


LICENSED, INCLUDED = _known(SEATS), _known(USAGE_LIMIT)
"""Seats and included usage of the active subscriptions."""
_arr, _seats = _known(ARR), LICENSED.where(LICENSED)
_to_renewal = from_column("days_to_renewal")

FEATURES: tuple[Feature, ...] = (
    _account("arr", from_column("arr"), "contract value", "currency", "annual recurring revenue"),
    _account("tenure_days", TENURE, "tenure", "days", "days as a customer"),
    _feature("days_since_start", STARTED.days_since(), "tenure", "days", "days since the first contract began"),
    _feature("seats", _seats, "licensed seats", "seats", "licensed seats"),
    _feature(
        "arr_per_seat", from_column("arr") / LICENSED, "price per seat", "currency", "annual revenue per licensed seat"
    ),
    _feature(
        "arr_change_182d", _arr / _known(ARR.lagged(HALF_YEAR)), "contract growth", "ratio",
        "annual recurring revenue relative to half a year before", direction="lowers_risk",
    ),
    _feature(
        "arr_change_364d", _arr / _known(ARR.lagged(YEAR)), "contract growth", "ratio",
        "annual recurring revenue relative to a year before", direction="lowers_risk",
    ),
    _feature(
        "seats_change_182d", LICENSED / _known(SEATS.lagged(HALF_YEAR)), "contract growth", "ratio",
        "licensed seats relative to half a year before", direction="lowers_risk",
    ),
    _feature("days_to_renewal", _to_renewal, "renewal date", "days", "days until the contract's renewal"),
    _feature(
        "renewal_overdue", _to_renewal < 0.0, "renewal date", "yes or no", "renewal date passed without a renewal",
        direction="raises_risk",
    ),
    _feature(
        "notice_given", NOTICES.all_time().at_most(1.0), "notice", "yes or no", "notice of termination given",
        direction="raises_risk",
    ),
    _feature(
        "days_since_notice", LAST_NOTICE.days_since().where(NOTICES.all_time()), "notice", "days",
        "days since notice of termination",
    ),
    _feature(
        "paused", PAUSED.all_time().at_most(1.0), "subscription status", "yes or no", "a paused subscription",
        direction="raises_risk",
    ),
    _feature(
        "past_due", PAST_DUE.all_time().at_most(1.0), "subscription status", "yes or no", "a subscription with an overdue payment",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature("term_days", from_column("term_days"), "contract term", "days", "term length of the main contract"),
    _feature(
        "days_since_change", from_column("days_since_change"), "contract term", "days",
        "days since the last change or renewal of the terms",
    ),
    _feature("products", PRODUCTS.all_time(), "products", "subscriptions", "active subscriptions", direction="lowers_risk"),
    _feature(
        "products_held", from_column("products_held"), "products", "products", "different products under contract",
        direction="lowers_risk",
    ),
    _feature("renewals", RENEWALS.all_time().where(_none(OVERWRITTEN)), "renewals", "renewals", "renewals so far", direction="lowers_risk"),
    _feature(
        "upgrades_364d", UPGRADES.over(YEAR).where(_none(OVERWRITTEN)), "contract growth", "changes",
        "upgrades in the last 364 days",
    ),
    _feature(
        "downgrades_364d", DOWNGRADES.over(YEAR).where(_none(OVERWRITTEN)), "contract growth", "changes",
        "downgrades in the last 364 days", direction="raises_risk",
    ),
    _feature(
        "past_churns", from_column("past_churns"), "past churns", "churns",
        "times that the account left for more than 30 days and returned", direction="raises_risk",
    ),
    _feature(
        "days_since_return", from_column("days_since_return"), "past churns", "days",
        "days since the account returned after it had left", direction="lowers_risk",
    ),
    _feature(
        "expansions_364d", ENDS.covering(_past("past_expansions_year"), YEAR), "past expansions", "expansions",
        "expansions by 5% or more in the last 364 days", chance="raises_chance",
    ),
    _feature(
        "expansions_so_far", _past("past_expansions"), "past expansions", "expansions", "expansions by 5% or more so far",
        chance="raises_chance",
    ),
    _feature(
        "days_since_expansion", _past("days_since_expansion"), "past expansions", "days",
        "days since the last expansion by 5% or more", chance="lowers_chance",
    ),
    _feature(
        "contractions_364d", ENDS.covering(_past("past_contractions_year"), YEAR), "past contractions", "contractions",
        "contractions by 5% or more in the last 364 days", direction="raises_risk",
    ),
    _feature(
        "contractions_so_far", _past("past_contractions"), "past contractions", "contractions",
        "contractions by 5% or more so far", direction="raises_risk",
    ),
    _feature(
        "days_since_contraction", _past("days_since_contraction"), "past contractions", "days",
        "days since the last contraction by 5% or more", direction="lowers_risk",
    ),
    _feature(
        "last_change_ratio", _past("last_change_ratio"), "contract growth", "ratio",
        "annual recurring revenue after the last expansion or contraction relative to before", direction="lowers_risk",
    ),
    _feature(
        "last_renewal_ratio", _past("last_renewal_ratio"), "renewals", "ratio",
        "annual recurring revenue after the last renewal relative to before", direction="lowers_risk",
    ),
    _feature.category("plan", "plan", "plan", "plan"),
)
OUTCOME_FEATURES = frozenset(
    f"contract.{name}"
    for name in (
        "past_churns", "days_since_return", "expansions_364d", "expansions_so_far", "days_since_expansion",
        "contractions_364d", "contractions_so_far", "days_since_contraction", "last_change_ratio", "last_renewal_ratio",
    )
)
"""The features from `features.snapshots.outcome_history`."""

_NO_TERMS = frozenset({PRODUCTS, STARTED, NOTICES, LAST_NOTICE, PAUSED, PAST_DUE})
_FROM_COLUMNS = frozenset(
    f"contract.{name}" for name in ("arr", "days_to_renewal", "renewal_overdue", "term_days", "days_since_change", "plan")
)


def terms_read(catalogue: Mapping[str, Feature]) -> tuple[str, ...]:
    """Return the features that depend on the terms of a subscription (`features.signals.contract_terms.TERMS`), in order.

    Parameters
    ----------
    catalogue : features by name. Custom features count if they use a measure of subscriptions.
    """
    read = _FROM_COLUMNS | TERM_FEATURES
    return tuple(name for name, feature in catalogue.items() if name in read or _reads_terms(feature))


def _reads_terms(feature: Feature) -> bool:
    measured = {measure.lagged(0) for measure, _ in feature.term.needs} if feature.term else set()
    return any(measure.table == "subscriptions" and measure not in _NO_TERMS for measure in measured)
