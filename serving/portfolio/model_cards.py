"""Model cards: the card of each champion's bundle, with its promotion history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from features.errors import BundleError
from features.utils.formatting import and_list, day, number, percent
from models.artifacts.bundle_files import Manifest
from models.artifacts.champion_pointer import read_pointer
from models.artifacts.model_card import ModelCard
from models.home import Home
from models.targets import TARGETS, Target

#: With fewer accounts with the outcome in the test data, the card notes that the intervals are wide.
FEW = 50
#: A table that is missing for more than this share of the history is named.
LACKING = 0.5
CANDIDATES = {
    "blend": "This model",
    "recipe": "This model",
    "own_blend": "Renewcast's own model",
    "base_rate": "Base rate",
    "renewal_due": "Rate by renewal due",
    "derivation": "Churn and expansion models",
    "renewals_only": "Renewals only",
    "health_score": "Health score",
    "logistic_regression": "Logistic regression",
    "lightgbm": "Small trees only (LightGBM)",
    "large_lightgbm": "Large trees only (LightGBM)",
    "even_blend": "Equal-weight blend",
    "random": "Random ranking",
}
#: The slices of the data, in words. The last two are those of old cards.
SLICES = {
    "train": "Known at the first origin",
    "backtest": "Predicted by the backtest",
    "all": "Trains the model in use",
    "calibrate": "Calibration",
    "calibration": "Calibration",
    "test": "Test",
}
#: The stages of the renewal model, in words.
STAGE_WORDS = {
    "lost": "Lost",
    "expanded": "Expanded, if not lost",
    "contracted": "Contracted, if neither lost nor expanded",
}
#: Models of voluntary and involuntary churn, and the headings of their metrics.
CHURN_KIND_CANDIDATES = {"share_by_account": "Share per account", "constant_share": "Constant share"}
CHURN_KIND_METRICS = {"roc_auc": "ROC AUC", "brier": "Brier", "log_loss": "Log loss"}


class _DocumentedModel(Protocol):
    @property
    def manifest(self) -> Manifest: ...
    @property
    def card(self) -> ModelCard | None: ...


def model_cards(home: Home, bundles: Mapping[Target, _DocumentedModel]) -> list[dict[str, Any]]:
    """Return a model card for each champion.

    Parameters
    ----------
    home : the home, with the history of promotions.
    bundles : the bundles in use, with or without their models.

    Returns
    -------
    dicts for JSON of target, version, trained_through and created_at (ISO, UTC), base_rate, metrics, gates, promotions
    (the latest first), card (`models.artifacts.model_card.ModelCard`; None for bundles older than model cards), uses
    and limits (sentences).
    """
    return [_model_card(home, target, bundles[target]) for target in TARGETS if target in bundles]


def _model_card(home: Home, target: Target, bundle: _DocumentedModel) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "target": target,
        "version": manifest.version,
        "horizon_days": manifest.horizon_days,
        "grace_days": manifest.grace_days,
        "trained_through": manifest.trained_through.isoformat(),
        "created_at": manifest.created_at.isoformat(),
        "catalogue_version": manifest.catalogue_version,
        "base_rate": manifest.base_rate,
        "metrics": dict(manifest.metrics),
        "gates": [gate for gate in manifest.gates.values() if isinstance(gate, dict)],
        "promotions": _promotions(home, target, manifest.version),
        "card": None if bundle.card is None else bundle.card.model_dump(mode="json"),
        "uses": intended_uses(target, manifest.horizon_days),
        "limits": [] if bundle.card is None else limits(bundle.card),
    }


def _promotions(home: Home, target: Target, version: str) -> list[dict[str, Any]]:
    try:
        pointer = read_pointer(home)
    except BundleError:
        # It was valid when the champion was loaded; /readyz reports what is wrong with it now.
        return []
    changes = [] if pointer is None else [each for each in pointer.history if each.target == target]
    return [
        {
            "at": change.at.isoformat(),
            "what": change.what,
            "version": change.champion.version,
            "current": change.champion.version == version,
            "who": change.who,
            "why": change.why,
        }
        for change in reversed(changes)
    ]


def intended_uses(target: Target, days: int) -> list[str]:
    """Return the intended uses of the model, and what not to use it for, a sentence each.

    Parameters
    ----------
    target : the target of the model.
    days : its horizon.

    Returns
    -------
    list of str
    """
    event = "churns (no contract after the grace period)" if target == "churn" else "expands"
    purpose = (
        "prioritizing accounts at risk"
        if target == "churn"
        else "finding accounts to approach about an expansion, if they meet all criteria"
    )
    return [
        f"Estimates the probability that an account {event} within {days} days, with reasons. Use it for {purpose}.",
        "Intended for people who manage accounts and plan ARR. It makes suggestions; a person decides.",
        "Not intended for setting prices or terms, or for evaluating account managers or people at customers.",
    ]


def contribution_words(card: Mapping[str, Any]) -> str:
    """Return how the contributions of the model are computed, in a few sentences, for both formats of the card."""
    trees = "for the trees, they follow the splits (path-dependent TreeSHAP)"
    if card["recipe"] is None:
        how = (
            "For the logistic regression, they are relative to the average training snapshot of this horizon "
            f"(interventional); {trees}."
        )
    elif card["trees"]:
        how = f"{trees[:1].upper()}{trees[1:]}."
    else:
        how = "They are Shapley values, estimated by sampling and relative to a few typical accounts."
    # Older models give reasons from the contributions as they are.
    reasons = (
        " The importance above uses them as they are; the reasons in answers subtract the mean of comparable accounts."
        if "backtest" in card["slices"]
        else ""
    )
    return (
        f"Contributions are in log-odds before calibration. Together with the base value, they add up exactly. {how} "
        "The effect of the horizon's length is part of the base value. The effect of a renewal within the horizon "
        f"counts toward the renewal date.{reasons}"
    )


def limits(card: ModelCard) -> list[str]:
    """Return the limits of a model that follow from its metrics, a sentence each."""
    test, sentences = card.slices.get("backtest", card.slices.get("test")), []
    if test is not None:
        wide = ". This is few, so the intervals are wide" if test.accounts_with_outcome < FEW else ""
        sentences.append(
            f"Evaluated on {test.accounts} accounts, {test.accounts_with_outcome} of them with the outcome, from "
            f"{day(test.first)} to {day(test.last)}{wide}. Other periods may differ: `renewcast monitor` tracks this."
        )
        sentences.append(
            "The metrics are of the same recipe, refitted at past dates on what was known then. The model in use was "
            "fitted on every known outcome, and was not tested itself."
            if "backtest" in card.slices
            else "The metrics are of the evaluated model, fitted on the training slice. The model in use has the same "
            "settings. It was refitted on outcomes known before the test period and calibrated on the test dates, and "
            "was not tested itself."
        )
    if unmeasured := [piece.name for piece in card.by_segment if piece.roc_auc.value is None]:
        sentences.append(f"Too few outcomes to measure performance for {and_list(unmeasured)}.")
    for piece in card.by_horizon:
        if piece.note:
            sentences.append(
                f"{piece.name}: {piece.note}." if piece.judged else f"{piece.name}: not evaluated ({piece.note})."
            )
    if worse := [each.against for each in card.apart if each.loss == "log_loss" and each.high >= 0]:
        named = [_lower_first(CANDIDATES[name]) for name in worse if name in CANDIDATES]
        sentences.append(f"Its log loss is not measurably better than that of: {and_list(named)}.")
    if lacking := [name for name, share in card.missing_share.items() if share > LACKING]:
        sentences.append(f"Most of the history of {and_list(lacking)} is missing, so the model learned little from it.")
    sentences += [f"A feed had problems at training time: {line}" for line in card.feeds]
    if card.reasons is not None:
        sentences.append(
            f"Answers give only reasons on which most of the {card.reasons.members} models of the ensemble agree: at "
            f"least two for {card.reasons.at_least_two:.0%} of accounts. Reasons are associations in this data, not "
            "causes."
        )
    elif card.same_first is not None:
        sentences.append(
            f"The top reason is stable across refits for {card.same_first:.0%} of accounts. Reasons are associations "
            "in this data, not causes."
        )
    return sentences


def slice_words(slices: Mapping[str, Any], name: str) -> str:
    """Return what a slice of the data is, in words.

    Parameters
    ----------
    slices : all slices of the card; in old cards, "train" is the slice that the evaluated model was fitted on.
    name : the name of the slice.

    Returns
    -------
    str
    """
    return "Training" if name == "train" and "backtest" not in slices else SLICES.get(name, name)


def evaluation_words(card: Mapping[str, Any]) -> str:
    """Return which dates the metrics of a card are of."""
    return "On the dates predicted by the backtest" if "backtest" in card["slices"] else "On the test dates"


def rate_words(card: Mapping[str, Any]) -> str:
    """Return the outcome rates before and on the evaluated dates, as a sentence."""
    known, observed = percent(card["known_rate"]), percent(card["window_rate"])
    if "backtest" in card["slices"]:
        return f"The outcome rate was {known} as known at the origins, and {observed} on the predicted dates."
    return f"The observed rate was {known} before the test period and {observed} in it."


def snapshot_words(newest: Mapping[str, str]) -> str:
    """Return the newest training snapshots of the model in use as a sentence.

    Parameters
    ----------
    newest : ISO dates by horizon in days; not empty.

    Returns
    -------
    str
    """
    dates = [f"{day(newest[days])} for {days} days" for days in sorted(newest, key=int)]
    return f"Newest training snapshot of the model in use, by horizon: {and_list(dates)}."


def reason_words(reasons: Mapping[str, Any]) -> str:
    """Return how many reasons answers give, as a sentence; see `models.artifacts.model_card.ReasonCounts`."""
    return (
        f"On the newest training snapshot, answers give {number(reasons['given'], 1)} reasons per account on average, "
        f"and at least two for {percent(reasons['at_least_two'], 0)} of accounts. Most of the {reasons['members']} "
        "models of the ensemble agree on each."
    )


def renewal_words(card: Mapping[str, Any]) -> str:
    """Return what forecasts renewals, as a sentence; see `models.artifacts.model_card.RenewalModelCard`."""
    if card["reason"]:
        return f"No renewal model: {card['reason']}. Renewals are derived from the churn and expansion models."
    shortest, longest = card["leads"][0], card["leads"][-1]
    return (
        f"A model of renewals, averaged with the churn and expansion models, predicts renewals {shortest} to {longest} "
        "days ahead. Others, monthly contracts and stages without a model are derived from the latter alone."
    )


def renewal_stage_words(stage: Mapping[str, Any], reason: str = "") -> str:
    """Return what a stage of the renewal model was trained on, or why it has no model.

    Parameters
    ----------
    stage : a stage of the card (`models.artifacts.model_card.RenewalModelCard`).
    reason : why there is no renewal model at all, which is not repeated; empty if there is one.
    """
    what = STAGE_WORDS.get(stage["stage"], stage["stage"])
    counts = f"{what}: {number(stage['outcomes'])} of {number(stage['renewals'])} renewals"
    if not stage["reason"]:
        return f"{counts}."
    return f"{counts}; derived." if stage["reason"] == reason else f"{counts}; derived: {stage['reason']}."


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]
