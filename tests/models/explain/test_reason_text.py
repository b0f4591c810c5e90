import pytest

from features.catalogue.catalogue import CATALOGUE, Catalogue
from models.explain.reason_text import number_words, reason_words, value_words

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "unit", "words", "expected"),
    [
        (12.0, "users", "active users", "12"),
        (1234.0, "events", "uses", "1,234"),
        (2.5, "hours", "hours until an answer", "2.5"),
        (45.0, "days", "days since the last use", "45"),
        (45.0, "days", "time since the last use", "45 days"),
        (0.834, "share", "share of seats in use", "83%"),
        (0.004, "share", "share of seats in use", "0.4%"),
        (0.0, "share", "share of seats in use", "0%"),
        (1.2, "share", "share of the plan's limit", "120%"),
        (24_000.0, "currency", "annual recurring revenue", "24,000"),
        (24_000.4, "currency", "annual recurring revenue", "24,000"),
        (12.5, "currency", "revenue per seat", "12.50"),
        (0.59, "ratio", "use", "41% lower"),
        (1.2, "ratio", "use", "20% higher"),
        (1.0, "ratio", "use", "unchanged"),
        (2.345, "ratio", "use", "2.3 times as high"),
        (0.0, "ratio", "use", "100% lower"),
        (0.993, "ratio", "use", "under 1% lower"),
        (1.0, "yes or no", "renewal date passed", "yes"),
        (0.0, "yes or no", "renewal date passed", "no"),
        (9.0, "of 10", "latest NPS answer", "9 of 10"),
        (4.25, "of 5", "satisfaction", "4.2 of 5"),
        (2.0, "points", "change of the NPS answer", "+2"),
        (-2.0, "points", "change of the NPS answer", "-2"),
        (3.0, "more tickets", "change in tickets", "+3"),
        (-1.0, "more tickets", "change in tickets", "-1"),
        (-0.35, "from -1 to 1", "tone of the tickets", "-0.35"),
        ("pro", "", "plan", "pro"),
        (None, "", "plan", "not known"),
        (NAN, "users", "active users", "not known"),
    ],
)
def test_values_are_formatted_by_unit(value: float | str | None, unit: str, words: str, expected: str) -> None:
    assert value_words(value, unit, words) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.0, "3"),
        (3.14159, "3.1"),
        (2.96, "3"),
        (86.4, "86"),
        (0.5, "0.5"),
        (0.01234, "0.012"),
        (1234.5, "1,234"),
        (0.0, "0"),
    ],
)
def test_numbers_have_few_digits(value: float, expected: str) -> None:
    assert number_words(value) == expected


@pytest.mark.parametrize(
    ("name", "value", "median", "ratio", "direction", "sentence"),
    [
        (
            "usage.active_users_28d", 12.0, 30.0, 0.59, "raises_risk",
            "Active users in the last 28 days: 12 (median of comparable accounts: 30), "
            "41% below its own earlier level; raises churn risk",
        ),
        (
            "usage.active_users_7d", 12.0, 30.0, 0.59, "raises_risk",
            "Active users in the last 7 days: 12 (median of comparable accounts: 30); "
            "active users in the last 28 days against the 28 before: 41% lower; raises churn risk",
        ),
        (
            "usage.active_users_28d", 12.0, NAN, NAN, "lowers_chance",
            "Active users in the last 28 days: 12; lowers the chance of expansion",
        ),
        (
            "usage.active_users_28d", 12.0, 12.0, 1.0, "lowers_risk",
            "Active users in the last 28 days: 12 (median of comparable accounts: 12), "
            "at its own earlier level; lowers churn risk",
        ),
        (
            "outcomes.nps_last", NAN, 8.0, NAN, "raises_risk",
            "Latest NPS answer: not known; raises churn risk",
        ),
        (
            "contract.arr", 24_000.0, 18_000.0, NAN, "raises_chance",
            "Annual recurring revenue: 24,000 (median of comparable accounts: 18,000); "
            "raises the chance of expansion",
        ),
        ("contract.plan", "pro", NAN, NAN, "lowers_risk", "Plan: pro; lowers churn risk"),
    ],
)  # fmt: skip
def test_a_reason_is_one_sentence(
    catalogue: Catalogue, name: str, value: float | str, median: float, ratio: float, direction: str, sentence: str
) -> None:
    feature = catalogue[name]
    past = catalogue[feature.own_past] if feature.own_past else None
    assert reason_words(feature, value, median, past, ratio, direction) == sentence


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_catalogue_feature_has_a_reason_sentence(name: str) -> None:
    feature = CATALOGUE[name]
    past = CATALOGUE[feature.own_past] if feature.own_past else None
    value: float | str = 0.75 if feature.kind == "number" else "EMEA"
    sentence = reason_words(feature, value, 0.5, past, 0.8, "raises_risk")
    assert sentence[0].isupper()
    assert sentence.endswith("; raises churn risk")
    assert "nan" not in sentence.lower()
    assert "caus" not in sentence.lower()
    assert "_" not in sentence


def test_yes_or_no_features_show_no_median() -> None:
    feature = CATALOGUE["contract.renewal_overdue"]
    sentence = reason_words(feature, 1.0, 0.0, None, NAN, "raises_risk")
    assert sentence == f"{feature.words.capitalize()}: yes; raises churn risk"
