"""Model cards in words: the figures that the card holds, its limits, and no one's text taken for markup."""

from __future__ import annotations

from typing import Any

import pytest

from models.artifacts.champion import ChampionChange, load_champion, read_pointer, write_pointer
from models.artifacts.model_card import (
    CandidateMetrics,
    CapacityRecall,
    DataSlice,
    InvoluntaryChurnCard,
    LossDifference,
    MetricEstimate,
    ModelCard,
    ReliabilityBin,
    SubsetMetrics,
)
from models.home import Home
from serving.pages.model_card import cards_html
from serving.portfolio.model_card_markdown import card_markdown, figure_words
from serving.portfolio.model_cards import limits, model_cards

HOSTILE = "<script>alert(1)</script> | **bold** [x](http://elsewhere.test)"


def _card(outcomes: int = 20, worse: bool = True) -> ModelCard:
    slices = {"test": DataSlice(first="2025-07-01", last="2025-09-01", dates=9, rows=900, accounts=100, accounts_with_outcome=outcomes)}
    none = MetricEstimate(value=None)
    return ModelCard(
        target="churn", horizon_days=90, grace_days=30, run_id="r1", catalogue_version="c1", subject="blend", grade="fair",
        words="ranks usefully", slices=slices, history_days=800.0, missing_share={"orders": 1.0, "usage": 0.1}, known_rate=0.2,
        window_rate=0.25, rivals=[CandidateMetrics(candidate="blend", metrics={"roc_auc": MetricEstimate(value=0.8123, low=0.7, high=0.9)})],
        apart=[LossDifference(against="logistic_regression", loss="log_loss", value=-0.001, low=-0.003, high=0.001 if worse else -0.0001)],
        calibrator="sigmoid", reliability=[],
        by_segment=[SubsetMetrics(name="SMB", rows=9, accounts=3, happened=1, rate=0.1, expected=0.1, ratio=none, roc_auc=none)],
        by_horizon=[], features_read=2, weights=[], dimensions={"usage": 1.0}, same_first=0.8, sight=[], trees=12, leaves=5,
        trees_share=0.5, notes=[],
    )  # fmt: skip


def test_limits_come_from_the_figures() -> None:
    told = " ".join(limits(_card()))
    assert "20 accounts with the outcome among 100, from 2025-07-01 to 2025-09-01; that is few" in told
    assert "Too few outcomes to tell how well it does for SMB" in told
    assert "not clearly better than logistic regression" in told
    assert "Of orders most" in told
    assert "usage" not in told
    better = " ".join(limits(_card(outcomes=500, worse=False)))
    assert "few, so" not in better
    assert "not clearly better" not in better


def test_limits_say_which_horizons_were_not_judged_and_which_feeds_were_not_sound() -> None:
    none, known = MetricEstimate(value=None), MetricEstimate(value=0.7, low=0.6, high=0.8)
    figures = {"rate": None, "expected": None, "ratio": none}
    pieces = [
        SubsetMetrics(name="30 days", rows=9, accounts=9, happened=9, roc_auc=known, **figures),
        SubsetMetrics(name="60 days", rows=9, accounts=9, happened=9, roc_auc=known, note="judged on earlier dates", **figures),
        SubsetMetrics(name="180 days", rows=0, accounts=0, happened=0, roc_auc=none, judged=False, note="too short a history", **figures),
    ]
    card = _card().model_copy(update={"by_horizon": pieces, "feeds": ["usage.minutes rose 60-fold: seconds?"]})
    told = limits(card)
    assert "180 days: not judged (too short a history)." in told
    assert "60 days: judged on earlier dates." in told
    assert not any(line.startswith("30 days") for line in told)
    assert "When it was trained, a feed was not sound: usage.minutes rose 60-fold: seconds?" in told


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (None, "–"),
        ({"value": None, "low": None, "high": None}, "–"),
        ({"value": 0.5, "low": 0.5, "high": 0.5}, "0.500"),
        ({"value": 0.8123, "low": 0.7, "high": 0.9}, "0.812 (0.70 to 0.90)"),
    ],
)
def test_a_figure_is_told_with_its_interval(figure: Any, said: str) -> None:
    assert figure_words(figure) == said


def test_a_card_tells_who_promoted_it_and_takes_no_ones_words_for_markup(own_home: Home) -> None:
    pointer = read_pointer(own_home)
    assert pointer is not None
    assert pointer.churn is not None
    change = ChampionChange(at=pointer.promoted_at, what="promoted", target="churn", champion=pointer.churn, who=HOSTILE, why=HOSTILE)
    write_pointer(own_home, pointer.model_copy(update={"history": (change,)}))
    cards = model_cards(own_home, load_champion(own_home))
    assert [told["target"] for told in cards] == ["churn", "expansion"]
    assert cards[0]["promotions"][0]["who"] == HOSTILE
    for told in cards:
        told["card"] = _card().model_dump(mode="json")
    page, text = cards_html(cards), card_markdown(cards)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://elsewhere.test", "")
    assert "<script" not in text.replace("\\<script", "")
    assert "0.812 (0.70 to 0.90)" in text
    assert "of health score" not in page + text.lower(), "a card that tells nothing beside a segment has no column for it"
    assert "## Limits" in text


def test_both_forms_say_how_contributions_are_measured_and_of_which_model_the_figures_are(own_home: Home) -> None:
    """Trees and the linear part follow two conventions, and the model that answers is a refit of the judged one."""
    cards = model_cards(own_home, load_champion(own_home))[:1]
    seen = ReliabilityBin(said=0.004, happened=MetricEstimate(value=0.011, low=0.0, high=0.04), rows=361, outcomes=4)
    card = _card().model_copy(update={"reliability": [seen]})
    cards[0] |= {"card": card.model_dump(mode="json"), "limits": limits(card)}
    for text in (cards_html(cards), card_markdown(cards)):
        assert "path-dependent TreeSHAP" in text
        assert "interventional" in text
        assert "it was not tested itself" in text
    assert "| 0.4% | 1.1% (0.0% to 4.0%) | 361 | 4 |" in card_markdown(cards)


def test_segments_stand_beside_what_had_to_be_beaten_and_a_team_learns_its_lift(own_home: Home) -> None:
    auc = {"health_score": MetricEstimate(value=0.6123, low=0.5, high=0.7), "logistic_regression": MetricEstimate(value=0.7456, low=0.6, high=0.8)}
    own = MetricEstimate(value=0.7789, low=0.6, high=0.9)
    piece = SubsetMetrics(name="SMB", rows=99, accounts=30, happened=12, rate=0.1, expected=0.1, ratio=own, roc_auc=own, beside=auc)
    share, lift = MetricEstimate(value=0.4, low=0.3, high=0.5), MetricEstimate(value=3.25, low=2.5, high=4.0)
    sight = CapacityRecall(candidate="blend", capacity=20, caught=share, caught_arr=share, lift=lift)
    old = sight.model_copy(update={"candidate": "random", "lift": None})
    cards = model_cards(own_home, load_champion(own_home))[:1]
    cards[0]["card"] = _card().model_copy(update={"by_segment": [piece], "sight": [old, sight]}).model_dump(mode="json")
    page, text = cards_html(cards), card_markdown(cards)
    assert "| SMB | 30 | 12 | 10.0% | 10.0% | 0.779 (0.60 to 0.90) | 0.612 (0.50 to 0.70) | 0.746 (0.60 to 0.80) |" in text
    assert "| This model | 0.400 (0.30 to 0.50) | 0.400 (0.30 to 0.50) | 3.25 (2.50 to 4.00) |" in text
    assert "of health score" in page
    assert ">0.61<" in page
    assert "2.5 to 4.0" in page


def test_how_churn_comes_about_is_told_with_its_figures_or_with_the_reason_there_are_none(own_home: Home) -> None:
    def shown(kinds: InvoluntaryChurnCard | None) -> tuple[str, str]:
        cards = model_cards(own_home, load_champion(own_home))[:1]
        cards[0]["card"] = _card().model_copy(update={"involuntary": kinds}).model_dump(mode="json")
        return cards_html(cards), card_markdown(cards)

    def rival(name: str, auc: float) -> CandidateMetrics:
        figures = {n: MetricEstimate(value=auc, low=auc - 0.1, high=auc + 0.1) for n in ("roc_auc", "brier", "log_loss")}
        return CandidateMetrics(candidate=name, metrics=figures)

    judged = InvoluntaryChurnCard(
        words="the share is estimated per account", known_share=0.15, trained_on={"involuntary": 40, "voluntary": 200},
        tested_on={"involuntary": 12, "voluntary": 60}, rate=0.2, expected=0.16, ratio=MetricEstimate(value=1.25, low=0.8, high=1.7),
        rivals=[rival("share_by_account", 0.7), rival("constant_share", 0.5)],
    )  # fmt: skip
    page, text = shown(judged)
    assert "The share is estimated per account." in text
    assert "| A share for each account | 0.700 (0.60 to 0.80) |" in text
    assert "12 accounts of the test dates ended by nonpayment and 60 otherwise: 20.0%" in text
    assert "Happened over said: 1.25 (0.80 to 1.70)." in text
    assert "A constant share" in page
    none = {"rate": None, "expected": None, "ratio": MetricEstimate(value=None), "rivals": []}
    page, text = shown(judged.model_copy(update=none | {"words": f"not judged: too few {HOSTILE}"}))
    assert "Not judged: too few" in page
    assert "<script" not in page
    assert "A constant share" not in page + text
    assert "Voluntary and involuntary" not in "".join(shown(None))
