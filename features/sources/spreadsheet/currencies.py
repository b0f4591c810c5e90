"""The currency of a sheet's amounts: one, as far as signs and codes say.

A sign may be of several currencies: $ is of US and of Canadian dollars. So a currency is the set of codes that it may
be, and amounts are in one currency if these sets have a code in common.
"""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.settings import subscription_settings
from features.errors import SignalsError
from features.sources.spreadsheet import values
from features.sources.spreadsheet.amounts import currency_marks
from features.sources.spreadsheet.layout import Table
from features.utils.formatting import CURRENCY_VARIABLE

_SIGNS = {
    "$": "USD CAD AUD NZD SGD HKD MXN BRL CLP COP ARS TWD",
    "us$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY CNY",
    "₹": "INR",
    "kr": "SEK NOK DKK ISK",
}
_CURE = "convert the amounts, or connect the billing system, whose mapping converts them at the rate of each date"


def sheet_currency(table: Table, assigned: dict[str, int]) -> frozenset[str]:
    """Return the codes that the currency of a sheet may have; empty if nothing in the sheet names it.

    Parameters
    ----------
    table : the sheet. The headers and values of its amounts and its column with the currency count.
    assigned : the index of the column of each field.

    Raises
    ------
    SignalsError
        If amounts are in several currencies, or not in the base currency.
    """
    money = [i for name, i in assigned.items() if name in ("arr", "mrr")]
    found = {
        _codes(mark) for i in money for cell in (table.header[i], *table.column(i)) for mark in currency_marks(cell)
    }
    if "currency" in assigned:
        header = table.header[assigned["currency"]]
        for cell in table.column(assigned["currency"]):
            if isinstance(cell, str) and not values.is_missing(cell):
                marks = currency_marks(cell)
                found |= {_codes(mark) for mark in marks} or {frozenset({cell.strip().upper()})}
        found |= {_codes(mark) for mark in currency_marks(header)}
    currency = common_currency(found, table.place, "the whole sheet")
    base = subscription_settings().currency
    if base and currency and base not in currency:
        raise SignalsError(
            f"{table.place}: amounts are not in {base}, which {CURRENCY_VARIABLE} states as the base currency",
            "amounts in the base currency",
            f"convert the amounts, or set {CURRENCY_VARIABLE} to the code of their currency",
        )
    return currency


def common_currency(currencies: Iterable[frozenset[str]], place: str, whole: str) -> frozenset[str]:
    """Return the codes that all of several currencies may have; empty if all are unknown.

    Parameters
    ----------
    currencies : the codes that each of them may have; empty ones are unknown.
    place, whole : where they are and what has to have one currency, for the message.

    Raises
    ------
    SignalsError
        If they have no code in common.
    """
    known = {each for each in currencies if each}
    if not known:
        return frozenset()
    common = frozenset.intersection(*known)
    if not common:
        different = sum(not any(other < each for other in known) for each in known)
        found = f"{place}: amounts are in {max(different, 2)} currencies"
        raise SignalsError(found, f"one currency for {whole}", _CURE)
    return common


def _codes(mark: str) -> frozenset[str]:
    return frozenset(_SIGNS.get(mark, mark.upper()).split())
