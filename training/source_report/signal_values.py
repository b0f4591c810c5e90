"""How much each signal matters in models elsewhere, as measured by ``bench/signal_values.py``.

The values are in ``signal_values.toml``: shares of the skill with every signal, on simulated portfolios.
The simulator is this project's own, so its effects are assumptions; the third-party CRM data are a second opinion.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from features.utils.formatting import percent
from features.utils.toml_text import parse_toml

FILE = Path(__file__).with_name("signal_values.toml")
CONTRACTS, ORDERS = "contracts", "orders"
MIN_WORTH = 0.01
"""Signals that are worth less for both targets are not proposed."""


@dataclass(frozen=True)
class ValueRange:
    """What a signal is worth for one target: the range over kinds of portfolios, as shares of the skill."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The middle of the range, at least zero."""
        return max((self.low + self.high) / 2, 0.0)

    @property
    def text(self) -> str:
        """The range in percent: "4 to 7%"."""
        low, high = (percent(max(each, 0.0), 0) for each in (self.low, self.high))
        return high if low == high else f"{low.removesuffix('%')} to {high}"


@dataclass(frozen=True)
class SignalValue:
    """What a signal is worth in one kind of portfolio.

    Parameters
    ----------
    signal : a table, or a column of a table (``table.column``) that stands for the signal.
    kind : `CONTRACTS` or `ORDERS`.
    full : by target, the loss if it alone is missing.
    alone : by target, what it adds to contracts and accounts alone; empty for columns.
    spread : by target, the standard deviation of ``full`` over repeated simulations of one kind of company.
    """

    signal: str
    kind: str
    full: dict[str, ValueRange]
    alone: dict[str, ValueRange]
    spread: dict[str, float]

    def among(self, others: bool) -> dict[str, ValueRange]:
        """Return the value by target, for a source with or without other event tables."""
        return self.full if others or not self.alone else self.alone


@dataclass(frozen=True)
class SignalValues:
    """The measured values.

    Parameters
    ----------
    date : the day of the measurement.
    about : on what it was measured, in one sentence.
    values : by kind of portfolio, the value of each signal.
    second_opinion : by signal, the full value on the third-party CRM data, by target.
    """

    date: str
    about: str
    values: dict[str, dict[str, SignalValue]]
    second_opinion: dict[str, dict[str, ValueRange]]


@lru_cache(maxsize=1)
def signal_values() -> SignalValues:
    """Return the shipped values."""
    content = parse_toml(FILE.read_text(encoding="utf-8"))
    values: dict[str, dict[str, SignalValue]] = {CONTRACTS: {}, ORDERS: {}}
    for each in content["values"]:
        full, alone = ({t: ValueRange(*pair) for t, pair in each.get(what, {}).items()} for what in ("full", "alone"))
        values[each["kind"]][each["signal"]] = SignalValue(each["signal"], each["kind"], full, alone, each["spread"])
    opinion = {name: {t: ValueRange(*pair) for t, pair in of.items()} for name, of in content["second_opinion"].items()}
    return SignalValues(content["date"], content["about"], values, opinion)


def most_valuable(
    lacking: Collection[str], contractual: bool, has_events: bool, number: int
) -> list[tuple[SignalValue, dict[str, ValueRange]]]:
    """Return the lacking signals with the largest measured value for churn and expansion together.

    A signal must be worth something in every kind of portfolio, and more than chance explains, for one of the targets.

    Parameters
    ----------
    lacking : the signals that a source does not have.
    contractual : whether it has contracts.
    has_events : whether it has any other event table.
    number : the maximum number of signals.
    """
    known = signal_values().values[CONTRACTS if contractual else ORDERS]
    pairs = [(known[name], known[name].among(has_events)) for name in lacking if name in known]
    clear = [pair for pair in pairs if _is_clear(*pair)]
    return sorted(clear, key=lambda pair: -sum(each.middle for each in pair[1].values()))[:number]


def _is_clear(value: SignalValue, by_target: dict[str, ValueRange]) -> bool:
    """Return whether a signal is worth something for one of the targets: its value is large, and exceeds its spread."""
    return any(
        each.low > 0 and each.middle >= MIN_WORTH and each.middle > value.spread[target]
        for target, each in by_target.items()
    )


def as_plain(by_target: dict[str, ValueRange]) -> dict[str, Any]:
    """Return ranges as JSON values."""
    return {target: {"low": each.low, "high": each.high} for target, each in by_target.items()}
