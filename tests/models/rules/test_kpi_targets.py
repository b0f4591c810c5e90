"""KPI targets: one bound each, scaled to the period, and validated."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.peer_groups.rule_files import RulesError, parse_rules
from models.rules.kpi_targets import KpiTarget, KpiTargetsFile, kpi_targets_file, meets_target


def test_a_yearly_target_is_scaled_to_a_quarter() -> None:
    target = KpiTarget(measure="nrr", above=1.1, per="year")
    assert target.over(1.0)["value"] == 1.1
    quarter = target.over(0.25)
    assert quarter["value"] ** 4 == pytest.approx(1.1)
    assert (meets_target(quarter, 1.03), meets_target(quarter, 1.02), meets_target(quarter, None), meets_target(None, 1.0)) == (True, False, None, None)


@pytest.mark.parametrize(("bound", "at_the_bound"), [("above", False), ("at_least", True), ("below", False)])
def test_each_bound_at_its_edge(bound: str, at_the_bound: bool) -> None:
    assert meets_target(KpiTarget.model_validate({"measure": "nps", bound: 50}).over(1.0), 50.0) is at_the_bound


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[targets]]\nmeasure = "nrrr"\nabove = 1\n', "no KPI has this name"),
        ('[[targets]]\nmeasure = "nrr"\n', "exactly one"),
        ('[[targets]]\nmeasure = "nrr"\nabove = 1\nbelow = 2\n', "exactly one"),
        ('[[targets]]\nmeasure = "nps"\nabove = nan\n', "finite"),
        ('[[targets]]\nmeasure = "mean_health"\nabove = 1\nper = "year"\n', "per = year"),
        ('[[targets]]\nmeasure = "nps"\nabove = 1\n[[targets]]\nmeasure = "nps"\nabove = 2\n', "two targets"),
        ('[[targets]]\nmeasure = "nps"\nabove = 1\nsoon = true\n', "Extra inputs"),
    ],
)
def test_an_invalid_target_is_refused(text: str, why: str) -> None:
    with pytest.raises(RulesError, match=why):
        parse_rules(f'version = "1"\n{text}', "measures.toml", KpiTargetsFile)


def test_a_deployments_own_file_replaces_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {t.measure for t in kpi_targets_file().targets} >= {"nrr", "grr", "logo_retention", "nps", "csat", "adoption"}
    (tmp_path / "measures.toml").write_text('version = "own"\n[[targets]]\nmeasure = "nps"\nat_least = 10\n')
    monkeypatch.setenv("RENEWCAST_RULES", str(tmp_path))
    assert [(t.measure, t.value) for t in kpi_targets_file().targets] == [("nps", 10.0)]
