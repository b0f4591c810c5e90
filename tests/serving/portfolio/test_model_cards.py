"""Model cards as text: metrics, limits, and escaped text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from features.errors import BundleError
from models.artifacts.champion import load_champion
from models.artifacts.champion_bundles import champion_documents
from models.artifacts.champion_pointer import ChampionChange, read_pointer, write_pointer
from models.artifacts.model_card import (
    CandidateMetrics,
    CapacityRecall,
    DataSlice,
    InvoluntaryChurnCard,
    LossDifference,
    MetricEstimate,
    ModelCard,
    ReasonCounts,
    ReliabilityBin,
    SubsetMetrics,
)
from models.home import Home
from serving.pages.model_card import cards_html
from serving.portfolio.model_card_markdown import card_markdown, figure_words
from serving.portfolio.model_cards import contribution_words, limits, model_cards, rate_words

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


def test_limits_follow_from_the_metrics() -> None:
    payload = " ".join(limits(_card()))
    assert "Evaluated on 100 accounts, 20 of them with the outcome, from 1 Jul 2025 to 1 Sep 2025. This is few" in payload
    assert "Too few outcomes to measure performance for SMB" in payload
    assert "not measurably better than that of: logistic regression" in payload
    assert "Most of the history of orders is missing" in payload
    assert "usage" not in payload
    better = " ".join(limits(_card(outcomes=500, worse=False)))
    assert "few, so" not in better
    assert "not measurably better" not in better


def test_limits_name_unevaluated_horizons_and_feed_problems() -> None:
    none, available = MetricEstimate(value=None), MetricEstimate(value=0.7, low=0.6, high=0.8)
    figures = {"rate": None, "expected": None, "ratio": none}
    pieces = [
        SubsetMetrics(name="30 days", rows=9, accounts=9, happened=9, roc_auc=available, **figures),
        SubsetMetrics(name="60 days", rows=9, accounts=9, happened=9, roc_auc=available, note="judged on earlier dates", **figures),
        SubsetMetrics(name="180 days", rows=0, accounts=0, happened=0, roc_auc=none, judged=False, note="too short a history", **figures),
    ]
    card = _card().model_copy(update={"by_horizon": pieces, "feeds": ["usage.minutes rose 60-fold: seconds?"]})
    payload = limits(card)
    assert "180 days: not evaluated (too short a history)." in payload
    assert "60 days: judged on earlier dates." in payload
    assert not any(line.startswith("30 days") for line in payload)
    assert "A feed had problems at training time: usage.minutes rose 60-fold: seconds?" in payload


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (None, "–"),
        ({"value": None, "low": None, "high": None}, "–"),
        ({"value": 0.5, "low": 0.5, "high": 0.5}, "0.500"),
        ({"value": 0.8123, "low": 0.7, "high": 0.9}, "0.812 (0.70 to 0.90)"),
    ],
)
def test_a_metric_is_formatted_with_its_interval(figure: Any, text: str) -> None:
    assert figure_words(figure) == text


def test_a_card_lists_promotions_and_escapes_their_text(own_home: Home) -> None:
    pointer = read_pointer(own_home)
    assert pointer is not None
    assert pointer.churn is not None
    change = ChampionChange(at=pointer.promoted_at, what="promoted", target="churn", champion=pointer.churn, who=HOSTILE, why=HOSTILE)
    write_pointer(own_home, pointer.model_copy(update={"history": (change,)}))
    cards = model_cards(own_home, load_champion(own_home).bundles)
    assert [payload["target"] for payload in cards] == ["churn", "expansion"]
    assert cards[0]["promotions"][0]["who"] == HOSTILE
    for payload in cards:
        payload["card"] = _card().model_dump(mode="json")
    page, text = cards_html(cards), card_markdown(cards)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://elsewhere.test", "")
    assert "<script" not in text.replace("\\<script", "")
    assert "0.812 (0.70 to 0.90)" in text
    assert "roc auc, health score" not in (page + text).lower(), "no column for a candidate without values"
    assert "## Limits" in text


def test_both_formats_explain_contributions_and_the_evaluated_model(own_home: Home) -> None:
    """Trees and the linear part follow two conventions, and the champion is a refit of the evaluated model."""
    cards = model_cards(own_home, load_champion(own_home).bundles)[:1]
    reliability_bin = ReliabilityBin(said=0.004, happened=MetricEstimate(value=0.011, low=0.0, high=0.04), rows=361, outcomes=4)
    card = _card().model_copy(update={"reliability": [reliability_bin]})
    cards[0] |= {"card": card.model_dump(mode="json"), "limits": limits(card)}
    for text in (cards_html(cards), card_markdown(cards)):
        assert "path-dependent TreeSHAP" in text
        assert "interventional" in text
        assert "was not tested itself" in text
    assert "| 0.4% | 1.1% (0.0% to 4.0%) | 361 | 4 |" in card_markdown(cards)


@pytest.mark.parametrize(
    ("update", "included", "left_out"),
    [
        ({"recipe": None}, ["interventional", "TreeSHAP"], ["Shapley"]),
        ({"recipe": "boosting (LGBMClassifier)"}, ["For the trees", "TreeSHAP"], ["logistic", "Shapley"]),
        ({"recipe": "forest (RandomForestClassifier)", "trees": 0}, ["Shapley values, estimated by sampling"], ["logistic", "TreeSHAP"]),
    ],
)
def test_the_card_explains_the_contributions_of_its_own_kind_of_model(
    update: dict[str, Any], included: list[str], left_out: list[str]
) -> None:
    """Reasons are measured against comparable accounts; models older than the backtest give them as they are."""
    card = _card().model_copy(update=update)
    backtest = card.model_copy(update={"slices": {"backtest": card.slices["test"]}})
    text = contribution_words(backtest.model_dump(mode="json"))
    assert all(word in text for word in included)
    assert not any(word in text for word in left_out)
    assert "comparable accounts" in text
    assert "comparable accounts" not in contribution_words(card.model_dump(mode="json"))


def test_the_card_names_the_dates_of_its_rates() -> None:
    card = _card()
    backtest = card.model_copy(update={"slices": {"backtest": card.slices["test"]}})
    assert rate_words(card.model_dump(mode="json")) == "The observed rate was 20.0% before the test period and 25.0% in it."
    assert "20.0% as known at the origins, and 25.0% on the predicted dates" in rate_words(backtest.model_dump(mode="json"))


def test_segments_are_compared_with_baselines_and_lift_is_shown(own_home: Home) -> None:
    auc = {"health_score": MetricEstimate(value=0.6123, low=0.5, high=0.7), "logistic_regression": MetricEstimate(value=0.7456, low=0.6, high=0.8)}
    own = MetricEstimate(value=0.7789, low=0.6, high=0.9)
    piece = SubsetMetrics(name="SMB", rows=99, accounts=30, happened=12, rate=0.1, expected=0.1, ratio=own, roc_auc=own, beside=auc)
    share, lift = MetricEstimate(value=0.4, low=0.3, high=0.5), MetricEstimate(value=3.25, low=2.5, high=4.0)
    sight = CapacityRecall(candidate="blend", capacity=20, caught=share, caught_arr=share, lift=lift)
    old = sight.model_copy(update={"candidate": "random", "lift": None})
    cards = model_cards(own_home, load_champion(own_home).bundles)[:1]
    cards[0]["card"] = _card().model_copy(update={"by_segment": [piece], "sight": [old, sight]}).model_dump(mode="json")
    page, text = cards_html(cards), card_markdown(cards)
    assert "| SMB | 30 | 12 | 10.0% | 10.0% | 0.779 (0.60 to 0.90) | 0.612 (0.50 to 0.70) | 0.746 (0.60 to 0.80) |" in text
    assert "| This model | 0.400 (0.30 to 0.50) | 0.400 (0.30 to 0.50) | 3.25 (2.50 to 4.00) |" in text
    assert "ROC AUC, Health score" in page
    assert ">0.61<" in page
    assert "2.5 to 4.0" in page


def test_involuntary_churn_is_shown_with_metrics_or_a_reason(own_home: Home) -> None:
    def render(kinds: InvoluntaryChurnCard | None) -> tuple[str, str]:
        cards = model_cards(own_home, load_champion(own_home).bundles)[:1]
        cards[0]["card"] = _card().model_copy(update={"involuntary": kinds}).model_dump(mode="json")
        return cards_html(cards), card_markdown(cards)

    def rival(name: str, auc: float) -> CandidateMetrics:
        figures = {n: MetricEstimate(value=auc, low=auc - 0.1, high=auc + 0.1) for n in ("roc_auc", "brier", "log_loss")}
        return CandidateMetrics(candidate=name, metrics=figures)

    card = InvoluntaryChurnCard(
        words="the share is estimated per account", known_share=0.15, trained_on={"involuntary": 40, "voluntary": 200},
        tested_on={"involuntary": 12, "voluntary": 60}, rate=0.2, expected=0.16, ratio=MetricEstimate(value=1.25, low=0.8, high=1.7),
        rivals=[rival("share_by_account", 0.7), rival("constant_share", 0.5)],
    )  # fmt: skip
    page, text = render(card)
    assert "The share is estimated per account." in text
    assert "| Share per account | 0.700 (0.60 to 0.80) |" in text
    assert "12 accounts churned through nonpayment and 60 for other reasons. Involuntary share of churned snapshots: observed 20.0%" in text
    assert "Observed divided by predicted: 1.25 (0.80 to 1.70)." in text
    assert "Constant share" in page
    none = {"rate": None, "expected": None, "ratio": MetricEstimate(value=None), "rivals": []}
    page, text = render(card.model_copy(update=none | {"words": f"not judged: too few {HOSTILE}"}))
    assert "Not judged: too few" in page
    assert "<script" not in page
    assert "Constant share" not in page + text
    assert "Voluntary and involuntary" not in "".join(render(None))


def test_cards_name_slices_snapshots_due_accounts_and_reasons_in_words(own_home: Home) -> None:
    days = {"first": "2025-01-01", "last": "2025-06-30", "dates": 7, "rows": 70, "accounts": 60, "accounts_with_outcome": 55}
    slices = {name: DataSlice(**days) for name in ("train", "backtest", "all")}
    metrics = {name: MetricEstimate(value=0.612, low=0.5, high=0.7) for name in ("roc_auc", "brier_skill")}
    rivals = [CandidateMetrics(candidate=name, metrics=metrics) for name in ("renewal_due", "blend")]
    card = _card().model_copy(
        update={
            "slices": slices, "newest_snapshots": {"180": "2026-04-03", "90": "2026-07-02"}, "due": rivals, "rivals": rivals,
            "reasons": ReasonCounts(members=5, given=3.3, at_least_two=0.94), "same_first": 0.7,
        }
    )  # fmt: skip
    cards = model_cards(own_home, load_champion(own_home).bundles)[:1]
    cards[0] |= {"card": card.model_dump(mode="json"), "limits": limits(card)}
    for text in (cards_html(cards), card_markdown(cards)):
        for words in (
            "Known at the first origin", "Predicted by the backtest", "Trains the model in use",
            "On the dates predicted by the backtest",
            "Newest training snapshot of the model in use, by horizon: 2 Jul 2026 for 90 days and 3 Apr 2026 for 180 days.",
            "Accounts with a renewal due", "Only accounts whose renewal is due within 90 days.", "Rate by renewal due",
            "3.3 reasons per account on average, and at least two for 94% of accounts", "Most of the 5 models",
            "refitted at past dates on what was known then",
        ):  # fmt: skip
            assert words in text, words
        assert "On the test dates" not in text


def test_old_cards_keep_the_words_of_their_slices(own_home: Home) -> None:
    cards = model_cards(own_home, load_champion(own_home).bundles)[:1]
    part = _card().slices["test"]
    cards[0]["card"] = _card().model_copy(update={"slices": {"train": part, "test": part}}).model_dump(mode="json")
    for text in (cards_html(cards), card_markdown(cards)):
        assert "Training" in text
        assert "On the test dates" in text
        assert not any(words in text for words in ("Known at the first", "Accounts with a renewal due", "Newest training"))


def test_the_card_command_reads_the_same_cards_without_the_models(own_home: Home) -> None:
    loaded = load_champion(own_home)
    cards = model_cards(own_home, champion_documents(own_home))
    assert cards == model_cards(own_home, loaded.bundles)
    code = "import atexit, sys; sys.argv = ['renewcast', 'card', '--json']; atexit.register(lambda: print(sorted({'lightgbm', 'pandas', 'sqlalchemy', 'ibis'} & set(sys.modules)), file=sys.stderr)); import renewcast; renewcast.main()"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], env=os.environ | {"RENEWCAST_HOME": str(own_home.root)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == json.loads(json.dumps(cards))
    assert result.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["model.txt", "health.json", "schema.json"])
def test_cards_of_a_changed_bundle_are_refused(own_home: Home, name: str) -> None:
    folder = next((own_home.bundles / "churn").iterdir())
    file = folder / name
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"{name} was changed"):
        champion_documents(own_home)
