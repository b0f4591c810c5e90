"""What the names of the columns of contracts say about an amount: for which period it is, and for how many units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from features.connect.column_names import TERM_ENDS, plain_name

_PERIODS = {
    "monthly": ("monthly", "month", "mrr"),
    "quarterly": ("quarterly", "quarter"),
    "yearly": ("annual", "annually", "annualized", "yearly", "year", "annum", "arr", "acv"),
    "weekly": ("weekly", "week"),
    "daily": ("daily", "day"),
}
"""Words in the name of an amount that say for which period it is."""
_PERIOD_OF = {word: period for period, words in _PERIODS.items() for word in words}
_MONEY = ("amount", "price", "fee", "value", "revenue", "total", "charge", "spend", "mrr", "arr", "acv", "tcv")
_OTHERS = (
    "unit", "per", "seat", "user", "license", "cents", "usd", "eur", "gbp", "plan", "subscription",
    "contract", "recurring", "billing", "billed", "base", "net", "list", "deal", "item", "line",
)  # fmt: skip
_PER_UNIT = re.compile(r"(^|_)unit_(price|amount)|_per_(unit|seat|user|license)(_|$)|(^|_)(seat|user|license)_price")
_OPEN = ("amount", "price")
"""Words for amounts of one unit or of all."""
_TERM = re.compile(r"(^|_)(tcv|total_contract_(value|amount|price))(_|$)")
_MAYBE_TERM = re.compile(r"^(contract|deal)_(value|amount|price)(_|$)")
INTERVALS = (
    "billing_interval_unit", "interval_unit", "billing_period_unit", "period_unit", "billing_interval", "interval",
    "billing_period", "billing_cycle", "billing_frequency", "payment_frequency", "payment_interval",
    "invoice_frequency", "invoicing_frequency", "invoice_interval", "recurring_interval", "plan_interval",
    "price_interval", "billing_cadence", "payment_terms_interval", "frequency", "cadence", "recurrence", "cycle",
    "period",
)  # fmt: skip
_COUNTS = (
    "interval_count",
    "billing_interval_count",
    "period_count",
    "frequency_count",
    "billing_period_count",
    "interval_length",
)
_LENGTHS = (
    "billing_period",
    "billing_interval",
    "billing_frequency",
    "billing_cycle",
    "interval",
    "frequency",
    "period",
)
"""Numbers of intervals, if another column has their unit."""
_MONTHS = (
    "interval_months", "billing_months", "billing_period_months", "billing_interval_months", "billing_cycle_months",
    "billing_frequency_months", "period_months",
)  # fmt: skip
_TERMS = (
    "term_months", "contract_months", "contract_term_months", "commitment_months", "duration_months",
    "term_length_months", "term_in_months", "subscription_term_months", "contract_length_months", "term",
    "contract_term", "term_length", "contract_length", "contract_duration", "duration", "subscription_term",
    "initial_term", "commitment",
)  # fmt: skip
_TERM_YEARS = ("term_years", "contract_years", "contract_term_years", "commitment_years", "term_in_years")
_QUANTITIES = (
    "quantity", "qty", "seats", "seat_count", "num_seats", "number_of_seats", "licenses", "license_count",
    "number_of_licenses", "users", "user_count", "number_of_users", "units",
)  # fmt: skip


@dataclass(frozen=True)
class AmountColumns:
    """An amount of contracts, with the columns that say what it is for.

    Parameters
    ----------
    amount : the column of the amount.
    period : the period that its name says; ``term`` for the whole term, empty for none.
    per_unit : whether it is for one unit of the quantity; None if its name does not say.
    maybe_term : whether it may be for the whole term or for a year.
    interval : the column with the interval at which it is due; empty for none, as in the others.
    count : the column with the number of intervals.
    months : the column with the months of the interval.
    term, term_years : the column with the length of the term, without a unit or in years.
    start, end : the columns with the first and the last day of the term.
    quantity : the column with the number of units.
    """

    amount: str
    period: str = ""
    per_unit: bool | None = None
    maybe_term: bool = False
    interval: str = ""
    count: str = ""
    months: str = ""
    term: str = ""
    term_years: str = ""
    start: str = ""
    end: str = ""
    quantity: str = ""

    @property
    def has_term(self) -> bool:
        """Whether the length of the term is known."""
        return bool(self.term or self.term_years or self.end)

    @property
    def has_period(self) -> bool:
        """Whether its name or another column says for which period it is, or what its term is."""
        return bool(self.period or self.interval or self.months or self.has_term)

    @property
    def varies(self) -> bool:
        """Whether it is for another period in other rows."""
        return self.period in ("", "term") or (self.maybe_term and self.has_term)


def amount_columns(columns: Mapping[str, str], matched: Mapping[str, str]) -> AmountColumns | None:
    """Return the amount of a table of contracts; None if no column is named like one.

    Parameters
    ----------
    columns : the columns with their types.
    matched : columns of the contract that are found already, with the given ones. An amount per year that has a name of
        its own goes before other amounts.
    """
    given = {_name(own): own for own in columns}
    taken = {own for column, own in matched.items() if column != "arr"}
    own = matched.get("arr") or _amount(given, taken)
    if own is None:
        return None
    plain = _name(own)
    end = next((given[name] for name in TERM_ENDS if name in given), "")
    start = matched.get("started_at", "")
    totals = _is_total(plain, given, taken, own)
    return AmountColumns(
        own,
        period_of_name(plain) or ("yearly" if "arr" in matched else ""),
        True if _PER_UNIT.search(plain) else None if set(plain.split("_")) & set(_OPEN) and not totals else False,
        _MAYBE_TERM.search(plain) is not None,
        **_interval_columns(given),
        term=_first(given, _TERMS),
        term_years=_first(given, _TERM_YEARS),
        start=start if end else "",
        end=end if start else "",
        quantity=_first(given, _QUANTITIES),
    )


def _name(column: str) -> str:
    """Return the name of a column as `plain_name` does, in American spelling."""
    return re.sub("licen[cs]e", "license", plain_name(column))


def _amount(given: Mapping[str, str], taken: set[str]) -> str | None:
    """Return the column with an amount; that of all units goes before that of one, and what is paid before a list."""
    found = [plain for plain, own in given.items() if own not in taken and _is_amount(plain)]
    ordered = sorted(found, key=lambda plain: (_PER_UNIT.search(plain) is not None, "list" in plain.split("_")))
    return given[ordered[0]] if ordered else None


def _is_amount(plain: str) -> bool:
    words = plain.split("_")
    return bool(set(words) & set(_MONEY)) and set(words) <= {*_MONEY, *_OTHERS, *_PERIOD_OF}


def _is_total(plain: str, given: Mapping[str, str], taken: set[str], own: str) -> bool:
    """Return whether an amount is that of all units, because its name says so or another column has that of one."""
    others = [name for name, column in given.items() if column not in taken and column != own and _is_amount(name)]
    return "total" in plain.split("_") or any(_PER_UNIT.search(name) for name in others)


def period_of_name(plain: str) -> str:
    """Return the period that the name of an amount, in `plain_name`, says; ``term`` for the term, empty for none."""
    if _TERM.search(plain):
        return "term"
    return next((_PERIOD_OF[word] for word in plain.split("_") if word in _PERIOD_OF), "")


def _interval_columns(given: Mapping[str, str]) -> dict[str, str]:
    unit = next((name for name in INTERVALS if name in given), "")
    lengths = [name for name in _LENGTHS if name != unit] if unit.endswith("_unit") else []
    return {
        "interval": given.get(unit, ""),
        "count": _first(given, (*_COUNTS, *lengths)) if unit else "",
        "months": _first(given, _MONTHS),
    }


def _first(given: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((given[name] for name in names if name in given), "")
