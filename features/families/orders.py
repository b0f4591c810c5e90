"""Orders: frequency, size, trend and season of purchases without a contract."""

from __future__ import annotations

from features.definitions.aggregations import MAX_RATIO, Count, Distinct, Newest, Oldest, Rows, Sum, Term, trend
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, LASTING, MONTH, QUARTER, YEAR

_feature = Family("orders", "usage")

CALENDAR_YEAR = 365


def _bought(rows: Rows) -> object:
    return rows.amount > 0


def _order(rows: Rows) -> object:
    # Imported here: reading stored features does not need the query engine.
    import ibis

    return ibis.coalesce(rows.order_id, rows.occurred_at.cast("string"))


# An order is identified by its number, or else by its instant; lines of one order count once.
ORDERS = Distinct("orders", "count", where=_bought, key=_order)
AMOUNT = Sum("orders", "amount", value=lambda t: t.amount)
RETURNS = Count("orders", "returns", where=lambda t: t.amount < 0)
PRODUCTS = Distinct("orders", "products", column="product", where=_bought, key=lambda t: t.product)
LAST = Newest("orders", "last", where=_bought)
FIRST = Oldest("orders", "first", where=_bought)

ARR = AMOUNT.over_available(CALENDAR_YEAR).at_least(0.0)
"""The ARR of an account without a contract: the amount ordered in the last 365 days, and zero if it returned more."""

_last = LAST.days_since()
_observed = FIRST.days_since().at_most(float(CALENDAR_YEAR))
_gap = _observed / ORDERS.over_available(CALENDAR_YEAR)


def _season(measure: Distinct | Sum) -> Term:
    """Return the value of the coming quarter's months a year ago, a window that lies entirely in the past."""
    return measure.lagged(CALENDAR_YEAR - QUARTER).over(QUARTER)


def _reactivated() -> Term:
    """Return whether the account ordered in the last quarter, not in the one before, and at some time before that."""
    now, before = ORDERS.over(QUARTER), ORDERS.lagged(QUARTER).over(QUARTER)
    ordered_earlier = (FIRST.days_since() * -1.0) < float(-2 * QUARTER)
    return (now * -1.0 < 0.0) * (before < 1.0) * ordered_earlier


FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "count_{w}d", ORDERS, "orders", "orders", "orders in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="count_trend_91d", windows=LASTING,
    ),
    *_feature.over(
        "amount_{w}d", AMOUNT, "amount ordered", "currency", "amount ordered in the last {w} days",
        direction="lowers_risk", own_past="amount_trend_91d", windows=LASTING,
    ),
    _feature(
        "returns_182d", RETURNS.over(HALF_YEAR), "returns", "lines", "order lines returned in the last half-year",
    ),
    *_feature.over(
        "products_{w}d", PRODUCTS, "product variety", "products",
        "different products ordered in the last {w} days", direction="lowers_risk", windows=(QUARTER, YEAR),
    ),
    _feature("days_since_last", _last, "inactivity", "days", "days since the last order", direction="raises_risk"),
    _feature(
        "mean_gap_days", _gap, "order frequency", "days", "average days between orders over the last year",
        direction="raises_risk",
    ),
    _feature(
        "overdue_share", (_last / _gap).at_most(20.0), "order frequency", "ratio",
        "time since the last order relative to the usual time between orders", direction="raises_risk",
    ),
    _feature(
        "amount_trend_91d", trend(AMOUNT, QUARTER, 2 * QUARTER), "order trend", "ratio",
        "amount ordered in the last quarter relative to the quarter before",
    ),
    _feature(
        "count_trend_91d", ORDERS.over(QUARTER) / ORDERS.lagged(QUARTER).over(QUARTER), "order trend", "ratio",
        "orders in the last quarter relative to the quarter before", direction="lowers_risk",
    ),
    _feature(
        "amount_level_91d", AMOUNT.over(QUARTER) * 4.0 / AMOUNT.over(YEAR), "order trend", "ratio",
        "amount ordered in the last quarter relative to the average quarter of the year",
        direction="lowers_risk", chance="lowers_chance",
    ),
    _feature(
        "recent_share_91d", AMOUNT.over(MONTH) / AMOUNT.over(QUARTER), "order trend", "share",
        "share of the last quarter's order amount from its last 28 days", direction="lowers_risk",
    ),
    _feature(
        "amount_per_order_182d", AMOUNT.over(HALF_YEAR) / ORDERS.over(HALF_YEAR), "order size", "currency",
        "amount per order in the last half-year",
    ),
    _feature(
        "season_ratio", (_season(AMOUNT) / AMOUNT.over(QUARTER)).at_most(MAX_RATIO), "seasonal orders", "ratio",
        "amount ordered in the coming quarter's months a year ago relative to the last quarter",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "same_season_count", _season(ORDERS), "seasonal orders", "orders",
        "orders in the coming quarter's months a year ago", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "same_season_amount", _season(AMOUNT), "seasonal orders", "currency",
        "amount ordered in the coming quarter's months a year ago", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "reactivated", _reactivated(), "past gaps", "yes or no",
        "ordered again in the last quarter after a quarter without an order",
    ),
)
