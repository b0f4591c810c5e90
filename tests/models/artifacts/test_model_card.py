"""Model cards are stored unchanged in the bundle and do not affect predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from features.errors import BundleError
from models.artifacts.bundle import Bundle, load_bundle, write_bundle
from models.artifacts.bundle_files import CARD, MANIFEST
from models.artifacts.model_card import (
    CandidateMetrics,
    DataSlice,
    LossDifference,
    MetricEstimate,
    ModelCard,
    ReliabilityBin,
    SubsetMetrics,
)

FIGURE = MetricEstimate(value=0.8, low=0.7, high=0.9, good="higher")


def card(**other: Any) -> ModelCard:
    usual: dict[str, Any] = {
        "target": "churn", "horizon_days": 90, "grace_days": 30, "run_id": "r1", "catalogue_version": "c1",
        "subject": "blend", "grade": "fair", "words": "ranks usefully",
        "slices": {"test": DataSlice(first="2025-07-01", last="2025-09-01", dates=9, rows=900, accounts=100, accounts_with_outcome=20)},
        "history_days": 800.0, "missing_share": {"orders": 1.0, "usage": 0.1}, "known_rate": 0.2, "window_rate": 0.25,
        "rivals": [CandidateMetrics(candidate="blend", metrics={"roc_auc": FIGURE}), CandidateMetrics(candidate="base_rate", metrics={"roc_auc": MetricEstimate(value=0.5)})],
        "apart": [LossDifference(against="logistic_regression", loss="log_loss", value=-0.001, low=-0.003, high=0.001)],
        "calibrator": "sigmoid", "reliability": [ReliabilityBin(said=0.1, happened=FIGURE, rows=90, outcomes=9)],
        "by_segment": [SubsetMetrics(name="SMB", rows=9, accounts=3, happened=1, rate=0.1, expected=0.1, ratio=MetricEstimate(value=None), roc_auc=MetricEstimate(value=None))],
        "by_horizon": [], "features_read": 2, "weights": [], "dimensions": {"usage": 1.0}, "same_first": 0.8, "sight": [],
        "trees": 12, "leaves": 5, "trees_share": 0.5, "notes": [],
    }  # fmt: skip
    return ModelCard(**(usual | other))


@pytest.fixture
def bundle_with_card(tmp_path: Path, parts: Any, catalogue: Any) -> Bundle:
    return write_bundle(tmp_path / "3", parts(card=card()), catalogue)


def test_written_cards_are_read_back(bundle_with_card: Bundle) -> None:
    assert bundle_with_card.card == card()
    assert bundle_with_card.card.figure("blend", "roc_auc") == FIGURE
    assert bundle_with_card.card.figure("blend", "none").value is None
    assert bundle_with_card.card.figure("missing", "roc_auc").value is None


def test_the_card_does_not_change_the_fingerprint(bundle: Bundle, bundle_with_card: Bundle) -> None:
    assert bundle.card is None
    assert CARD in bundle_with_card.manifest.files
    assert bundle_with_card.fingerprint == bundle.fingerprint, "predictions keep their ids"


def test_altered_missing_or_added_cards_are_rejected(bundle_with_card: Bundle, tmp_path: Path, parts: Any, catalogue: Any) -> None:
    file = bundle_with_card.folder / CARD
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("fair", "good"), encoding="utf-8")
    with pytest.raises(BundleError, match=r"card\.json was changed"):
        load_bundle(bundle_with_card.folder, catalogue=catalogue)
    file.unlink()
    with pytest.raises(BundleError, match=r"card\.json"):
        load_bundle(bundle_with_card.folder, catalogue=catalogue)
    plain = write_bundle(tmp_path / "4", parts(), catalogue)
    (plain.folder / CARD).write_text(text, encoding="utf-8")
    assert CARD not in json.loads((plain.folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    with pytest.raises(BundleError, match=r"card\.json was changed"):
        load_bundle(plain.folder, catalogue=catalogue)


def test_invalid_cards_are_reported_by_key(bundle_with_card: Bundle) -> None:
    content = card().model_dump(mode="json") | {"known_rate": 2}
    with pytest.raises(ValueError, match="key known_rate"):
        ModelCard.from_json(json.dumps(content).encode())
    with pytest.raises(ValidationError):
        card(trees_share=2.0)
