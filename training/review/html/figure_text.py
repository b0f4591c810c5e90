"""Text for the review page: figures with their intervals, labels, and display names of stored values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from markupsafe import Markup

from features.utils.formatting import UNKNOWN, percent
from features.utils.formatting import number as with_digits

BAND_LABELS = {
    "red": "Red",
    "yellow": "Yellow",
    "green": "Green",
    "insufficient_data": "No score",
    "not there": "Not a customer",
}
SIGN_LABELS = {"with_staying": "less churn", "with_churn": "more churn", "not_clear": "unclear"}
"""What more points of a dimension mean, by the stored sign of its coefficient."""
SCORING_LABELS = {
    "in force": "current",
    "target": "suggested by the data, before the cap",
    "proposed": "tested",
    "model": "churn model, for comparison",
}
"""Names of the compared weights, by their stored name. Other stored names are shown as they are."""
LOSS_LABELS = {"log_loss": "log loss", "brier": "Brier score"}
"""Names of the metrics of prediction error, by their stored name."""
DRIFT_LABELS = {
    "stable": "stable",
    "moved": "moderate shift",
    "another population": "large shift",
    "no data": "no data",
}
"""Names of the drift states, by the stored state."""


def trimmed_number(value: float | None, digits: int = 1) -> str:
    """A number with at most this many decimals, without trailing zeros."""
    text = with_digits(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def share_text(figure: Mapping[str, Any]) -> str:
    """A share in percent with its interval."""
    return _with_interval(figure, percent)


def number_text(figure: Mapping[str, Any], digits: int = 2) -> str:
    """A number with its interval."""
    return _with_interval(figure, lambda value: trimmed_number(value, digits))


def table_cell(figure: Mapping[str, Any], digits: int | None = None) -> Markup:
    """A figure for a table, with its interval on a second line.

    Parameters
    ----------
    digits : decimals of a number; None for a share in percent.
    """
    if figure.get("value") is None:
        return Markup(UNKNOWN)

    def to_text(value: float) -> str:
        return percent(value) if digits is None else trimmed_number(value, digits)

    if figure.get("low") is None:
        return Markup(to_text(figure["value"]))
    return Markup("{} <small>{} to {}</small>").format(
        to_text(figure["value"]), to_text(figure["low"]), to_text(figure["high"])
    )


def _with_interval(figure: Mapping[str, Any], to_text: Callable[[float], str]) -> str:
    if figure.get("value") is None:
        return UNKNOWN
    if figure.get("low") is None:
        return to_text(figure["value"])
    return f"{to_text(figure['value'])} ({to_text(figure['low'])} to {to_text(figure['high'])})"


def band_label(name: str) -> str:
    """The label of a band."""
    return BAND_LABELS.get(name, name)


def readable_name(name: str) -> str:
    """A key such as ``logistic_regression`` with spaces instead of underscores."""
    return name.replace("_", " ")


def sentences(reasons: Iterable[str]) -> str:
    """Reasons as sentences: each starts with a capital letter and ends with a period."""
    return " ".join(f"{reason[0].upper()}{reason[1:]}." for reason in reasons if reason)
