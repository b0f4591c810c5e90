"""Model cards as they are shown: the card of each champion's bundle, with who made it champion, when and why."""

from __future__ import annotations

from typing import Any

from features.errors import BundleError
from models.artifacts.bundle import Bundle
from models.artifacts.champion import Champion, read_pointer
from models.artifacts.model_card import ModelCard
from models.home import Home
from models.targets import TARGETS, Target

#: Fewer accounts with the outcome than this among those judged make intervals wide.
FEW = 50
#: A table that this share of the history lacks is named.
LACKING = 0.5
OUTCOME = {"churn": "leaves", "expansion": "grows"}
RIVALS = {
    "blend": "This model",
    "base_rate": "Base rate",
    "health_score": "Health score",
    "logistic_regression": "Logistic regression",
    "lightgbm": "Trees alone",
    "random": "No ranking",
}
#: What is told of how churn comes about, and its metrics' headings.
KINDS = {"share_by_account": "A share for each account", "constant_share": "A constant share"}
OF_KINDS = {"roc_auc": "ROC AUC", "brier": "Brier", "log_loss": "Log loss"}


def cards_of(home: Home, champion: Champion) -> list[dict[str, Any]]:
    """A card for each champion, as plain data: ``target``, ``version``, ``trained_through`` and ``created_at`` (ISO,
    UTC), ``base_rate``, ``metrics`` and ``gates`` of the bundle, ``promotions`` (the latest first), ``card``
    (`models.artifacts.model_card.ModelCard`; None in bundles of before there were cards), ``uses`` and ``limits`` in
    words."""
    return [_told(home, target, champion.bundles[target]) for target in TARGETS if target in champion.bundles]


def _told(home: Home, target: Target, bundle: Bundle) -> dict[str, Any]:
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
        "uses": uses(target, manifest.horizon_days),
        "limits": [] if bundle.card is None else limits(bundle.card),
    }


def _promotions(home: Home, target: Target, version: str) -> list[dict[str, Any]]:
    try:
        pointer = read_pointer(home)
    except BundleError:
        # It was sound when the champion was loaded; what is wrong with it now is told at /readyz.
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


def uses(target: Target, days: int) -> list[str]:
    """What the model is for, and what not."""
    what = "leaves (no contract within the grace)" if target == "churn" else "buys more"
    asked = "whom to look after first" if target == "churn" else "whom to speak to about more, where the gate is open"
    return [
        f"The probability that an account {what} within {days} days, with reasons; and from it, {asked}.",
        "For people who look after accounts and plan with their ARR. It proposes; a person decides.",
        "Not to set prices or terms by, and not to judge the people who look after accounts or work at customers.",
    ]


#: How contributions are measured, for both forms of the card.
MEASURED = (
    "Contributions are in log-odds before calibration and add up exactly with the base. Those of the logistic "
    "regression are measured from the average training snapshot of this horizon (interventional), those of the trees "
    "along their own splits (path-dependent TreeSHAP). What the length of the horizon adds is part of the base; what "
    "depends on whether the renewal is due within it counts as the renewal date's."
)


def limits(card: ModelCard) -> list[str]:
    """What its figures do not say, from the figures themselves."""
    test, found = card.slices.get("test"), []
    if test is not None:
        wide = "; that is few, so the intervals are wide" if test.accounts_with_outcome < FEW else ""
        found.append(
            f"Judged on {test.accounts_with_outcome} accounts with the outcome among {test.accounts}, from {test.first}"
            f" to {test.last}{wide}. Other times may differ: `renewcast monitor` watches that."
        )
        found.append(
            "The figures are of the judged model, fitted on the training slice. The model that answers has the same "
            "settings, fitted again on outcomes known before the test and calibrated on the test dates; it was not "
            "tested itself."
        )
    if untold := [piece.name for piece in card.by_segment if piece.roc_auc.value is None]:
        found.append(f"Too few outcomes to tell how well it does for {_listed(untold)}.")
    for piece in card.by_horizon:
        if piece.note:
            found.append(
                f"{piece.name}: {piece.note}." if piece.judged else f"{piece.name}: not judged ({piece.note})."
            )
    if worse := [each.against for each in card.apart if each.loss == "log_loss" and each.high >= 0]:
        named = [RIVALS[name].lower() for name in worse if name in RIVALS]
        found.append(f"By log loss it is not clearly better than {_listed(named)}.")
    if lacking := [name for name, share in card.missing_share.items() if share > LACKING]:
        found.append(f"Of {_listed(lacking)} most of the history is missing, so little was learned from it.")
    found += [f"When it was trained, a feed was not sound: {line}" for line in card.feeds]
    if card.same_first is not None:
        found.append(
            f"Another draw of accounts gives {card.same_first:.0%} of accounts the same first reason. A reason says "
            "what goes with the outcome here, not what causes it."
        )
    return found


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
