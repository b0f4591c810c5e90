import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.health.rubric import INSUFFICIENT
from models.peer_groups.peers import Peers
from models.peer_groups.rule_files import read_rules
from models.rules.expansion import MET, NOT_MET, UNKNOWN, ExpansionFile, ExpansionReadiness, assess_expansion

RULES = read_rules("expansion", ExpansionFile)
ITEMS = ["health_green", "adoption_above_segment", "nps_8_or_more", "executive_relationship", "use_case_for_more", "budget_authority_known"]


def gate(frame: pd.DataFrame, band: pd.Series, peers: Peers, segments: np.ndarray) -> ExpansionReadiness:
    return assess_expansion(frame, band, peers, segments, RULES)

# An account that passes every item; the other nineteen of its segment use half of their seats.
READY = {
    "usage.seats_used_share": 0.9,
    "outcomes.nps_last": 8.0,
    "relationship.executive_sponsors": 1.0,
    "relationship.decision_makers": 2.0,
    "usage.limit_used_share": 0.5,
    "company.new_departments_182d": 0.0,
    "company.hiring_182d": 0.0,
}
OTHERS = pd.DataFrame({"usage.seats_used_share": [0.5] * 19, "contract.arr": 10_000.0})


def _states(band: str = "green", change: dict[str, float] | None = None) -> tuple[dict[str, str], bool]:
    account = {"contract.arr": 10_000.0} | READY | (change or {})
    frame = pd.concat([pd.DataFrame([account]), OTHERS], ignore_index=True)
    peers = Peers.of(frame, ["usage.seats_used_share", "usage.features_used_28d"])
    segments = np.full(20, "SMB", dtype=object)
    readiness = gate(frame, pd.Series([band] + ["green"] * 19), peers, segments)
    assert set(readiness.to_find_out(0)) == {item for item, states in readiness.gate.items() if states[0] == UNKNOWN}
    return {item: states[0] for item, states in readiness.gate.items()}, bool(readiness.open[0])


def test_an_account_that_meets_every_item_is_ready() -> None:
    states, ready = _states()
    assert list(states) == ITEMS
    assert set(states.values()) == {MET}
    assert ready


@pytest.mark.parametrize(
    ("item", "change"),
    [
        ("adoption_above_segment", {"usage.seats_used_share": 0.5}),
        ("nps_8_or_more", {"outcomes.nps_last": 7.0}),
        ("executive_relationship", {"relationship.executive_sponsors": 0.0}),
        ("use_case_for_more", {"usage.seats_used_share": 0.8}),
        ("budget_authority_known", {"relationship.decision_makers": 0.0}),
    ],
)
def test_one_item_not_met_closes_the_gate(item: str, change: dict[str, float]) -> None:
    states, ready = _states(change=change)
    assert states[item] == NOT_MET
    assert not ready


@pytest.mark.parametrize(
    ("item", "change"),
    [
        ("nps_8_or_more", {"outcomes.nps_last": np.nan}),
        ("executive_relationship", {"relationship.executive_sponsors": np.nan}),
        ("budget_authority_known", {"relationship.decision_makers": np.nan}),
        ("adoption_above_segment", {"usage.seats_used_share": np.nan}),
        ("use_case_for_more", {"usage.seats_used_share": np.nan}),
    ],
)
def test_an_unknown_item_closes_the_gate(item: str, change: dict[str, float]) -> None:
    states, ready = _states(change=change)
    assert states[item] == UNKNOWN
    assert not ready


@pytest.mark.parametrize(("band", "state"), [("yellow", NOT_MET), ("red", NOT_MET), (INSUFFICIENT, UNKNOWN)])
def test_the_gate_requires_green_health(band: str, state: str) -> None:
    states, ready = _states(band)
    assert states["health_green"] == state
    assert not ready


def test_adoption_falls_back_to_features_used_if_seats_are_unknown() -> None:
    account = {"usage.features_used_28d": 9.0}
    frame = pd.DataFrame([account, {"usage.features_used_28d": 3.0}])
    peers = Peers.of(frame, ["usage.features_used_28d"])
    readiness = gate(frame, pd.Series(["green", "green"]), peers, np.array([None, None], dtype=object))
    assert readiness.gate["adoption_above_segment"].tolist() == [MET, NOT_MET]


@pytest.mark.parametrize(
    ("signals", "kind"),
    [
        ({"usage.seats_used_share": 0.9, "usage.limit_used_share": 0.9}, "seats"),
        ({"company.hiring_182d": 1.0, "company.acquisitions_182d": 1.0}, "seats"),
        ({"usage.limit_used_share": 0.9, "company.new_departments_182d": 1.0}, "tier"),
        ({"usage.features_used_trend_28d": 1.2}, "tier"),
        ({"company.new_departments_182d": 1.0, "outcomes.roi_last": 3.0}, "cross-sell"),
        ({"outcomes.goals_met_share_364d": 0.8}, "services"),
        ({"outcomes.roi_last": 0.5, "usage.seats_used_share": 0.8}, None),
        ({}, None),
    ],
)
def test_the_easiest_suggested_type_is_reported(signals: dict[str, float], kind: str | None) -> None:
    frame = pd.DataFrame([signals])
    readiness = gate(frame, pd.Series(["green"]), Peers.of(frame, []), np.array([None], dtype=object))
    assert readiness.type[0] == kind


@pytest.mark.parametrize(
    ("signals", "points"),
    [
        ({"usage.seats_used_share": 0.8}, 3),
        ({"company.new_departments_182d": 1.0}, 3),
        ({"support.feature_requests_182d": 2.0}, 2),
        ({"relationship.executive_sponsors": 1.0}, 2),
        ({"contract.days_to_renewal": 120.0}, 2),
        ({"contract.days_to_renewal": 121.0}, 0),
        ({"contract.days_to_renewal": -1.0}, 0),
        ({"usage.limit_used_share": 0.9, "usage.seats_used_share": 0.9, "contract.days_to_renewal": 0.0}, 5),
    ],
)
def test_points_follow_the_rules(signals: dict[str, float], points: int) -> None:
    frame = pd.DataFrame([signals])
    readiness = gate(frame, pd.Series(["green"]), Peers.of(frame, []), np.array([None], dtype=object))
    assert readiness.score[0] == points


FEATURES = sorted({feature for _, feature in RULES.used()})


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_no_account_below_green_is_proposed(seed: int) -> None:
    """Check 10,000 random accounts, 500 at a time, with missing values."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((500, len(FEATURES))) < 0.2, np.nan, rng.choice([0.0, 0.5, 0.9, 1.0, 5.0, 10.0, 100.0], (500, len(FEATURES))))
    frame = pd.DataFrame(values, columns=FEATURES)
    band = pd.Series(rng.choice(["green", "yellow", "red", INSUFFICIENT], 500))
    segments = rng.choice(np.array(["SMB", "enterprise", None], dtype=object), 500)
    readiness = gate(frame, band, Peers.of(frame.assign(**{"contract.arr": 1.0}), RULES.gate.adoption), segments)
    assert not readiness.open[(band != "green").to_numpy()].any()
