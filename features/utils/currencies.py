"""Minor units of currencies (ISO 4217): how many cents, or the like, make one unit of a currency."""

from __future__ import annotations

from features.utils.sql_text import sql_literal

USUAL_UNITS = 100
"""Minor units of a currency that is not listed below."""
_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_UNITS: dict[str, int] = {
    code: int(10**decimals) for decimals, codes in _DECIMALS.items() for code in codes.split()
}
"""Minor units per unit of the currencies that do not have 100, by upper-case code."""


def minor_units_sql(currency: str) -> str:
    """Return SQL for the minor units per unit of the currency in the text expression ``currency``."""
    cases: dict[int, list[str]] = {}
    for code, units in MINOR_UNITS.items():
        cases.setdefault(units, []).append(sql_literal(code))
    whens = " ".join(f"WHEN upper(trim({currency})) IN ({', '.join(codes)}) THEN {u}" for u, codes in cases.items())
    return f"CASE {whens} ELSE {USUAL_UNITS} END"


def minor_units_table() -> str:
    """Return a SELECT of the currencies that do not have 100 minor units: ``currency`` (upper case) and ``units``."""
    rows = ", ".join(f"({sql_literal(code)}, {units})" for code, units in MINOR_UNITS.items())
    return f"SELECT * FROM (VALUES {rows}) AS listed (currency, units)"
