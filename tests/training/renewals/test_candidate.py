"""The renewal model is released if it is better than the base rate and no worse than the derivation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.definitions.feature import Feature
from models.renewals.renewal_model import STAGES
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import Origins
from training.renewals.candidate import NO_DATES, fit_renewals

CONFIG = TrainConfig(every_days=28, trials=1, folds=2, resamples=50)
THROUGH = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def prepared(annual_contracts: pd.DataFrame, contract_table: pa.Table) -> LabelledSnapshots:
    """Snapshots of the contracts with one useful feature, the usage level of the term."""
    dates = [datetime(2025, 9, 1, tzinfo=UTC) - timedelta(days=28 * i) for i in range(38)][::-1]
    rng, parts = np.random.default_rng(0), []
    for at in dates:
        rows = annual_contracts[(annual_contracts["started_at"] < at) & (annual_contracts["renewal_at"] >= at)]
        days = (rows["renewal_at"] - at).dt.days
        parts.append(
            pd.DataFrame(
                {
                    "account_id": rows["account_id"],
                    "as_of": pd.Series([at] * len(rows), index=rows.index, dtype="datetime64[us, UTC]"),
                    "usage.falling": -np.log(rows["level"]) + rng.normal(0, 0.2, len(rows)),
                    "usage.noise": rng.normal(size=len(rows)),
                    "contract.arr": rows["arr"],
                    "contract.days_to_renewal": days.astype(float),
                    "contract.term_days": 365.0,
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    table = ibis.memtable(contract_table)
    signals: Any = SimpleNamespace(contractual=True, data_through=THROUGH, tables={"subscriptions": table})
    grid: Any = SimpleNamespace(as_ofs=dates, every_days=28)

    def feature(name: str) -> Feature:
        return Feature(name, name.split(".")[0], "usage", name, "number", "", words=name, direction=None, expansion_direction=None)

    names = ("usage.falling", "usage.noise", "contract.arr", "contract.days_to_renewal")
    catalogue: Any = {name: feature(name) for name in names}
    return LabelledSnapshots(signals, grid, frame, pd.DataFrame(), 30, catalogue)


def _origins(prepared: LabelledSnapshots) -> Origins:
    dates = tuple(prepared.grid.as_ofs)
    return Origins((dates[-11],), dates, 120)


def _derived(prepared: LabelledSnapshots, p: float) -> np.ndarray:
    return np.full(len(prepared.frame), p)


def test_useful_stages_are_released_and_judged(prepared: LabelledSnapshots) -> None:
    shares: list[float] = []
    candidate = fit_renewals(
        prepared, _origins(prepared), _derived(prepared, 0.2), _derived(prepared, 0.1), CONFIG, lambda s, _: shares.append(s)
    )
    assert candidate.reason == ""
    assert [stage.stage for stage in candidate.stages] == list(STAGES)
    lost = candidate.stages[0]
    assert lost.judgement is not None
    for rival in ("base_rate", "derivation"):
        difference = lost.judgement.difference(rival)
        assert difference is not None
        assert difference.better
    assert all(gate.passed for gate in lost.gates)
    models = candidate.models()
    assert "lost" in models
    assert models["lost"].design.ends.max() <= pd.Timestamp(THROUGH)
    assert shares == sorted(shares)
    document = candidate.as_dict()
    assert document["used"]
    assert document["stages"][0]["renewals"] > document["stages"][0]["outcomes"] > 30


def test_a_stage_worse_than_the_derivation_is_not_released(prepared: LabelledSnapshots, annual_contracts: pd.DataFrame) -> None:
    # The derivation knows each outcome, so no model can be as good, and the mean of both is worse.
    ended = annual_contracts.groupby("account_id")["renewal_at"].max()
    last = prepared.frame["account_id"].map(ended)
    until = pd.to_timedelta(prepared.frame["contract.days_to_renewal"], unit="D")
    lost = (prepared.frame["as_of"].dt.normalize() + until >= last - timedelta(days=1)) & (last < pd.Timestamp(THROUGH))
    exact = np.where(lost, 0.97, 0.03)
    candidate = fit_renewals(prepared, _origins(prepared), exact, None, CONFIG)
    assert candidate.models() == {}
    assert "derivation" in candidate.reason
    assert [stage.stage for stage in candidate.stages] == ["lost"]


def test_too_few_renewals_give_no_model_and_the_reason(prepared: LabelledSnapshots) -> None:
    few = prepared.frame[prepared.frame["account_id"] < "a030"].reset_index(drop=True)
    small = replace(prepared, frame=few)
    candidate = fit_renewals(small, _origins(prepared), _derived(small, 0.2), None, CONFIG)
    assert candidate.models() == {}
    assert candidate.reason.startswith("too few renewals")
    assert "at least 30" in candidate.reason


def test_monthly_contracts_and_orders_have_no_model(prepared: LabelledSnapshots) -> None:
    monthly = replace(prepared, frame=prepared.frame.assign(**{"contract.term_days": 30.0}))
    assert fit_renewals(monthly, _origins(prepared), _derived(prepared, 0.2), None, CONFIG).reason == NO_DATES
    orders: Any = SimpleNamespace(contractual=False)
    without = fit_renewals(replace(prepared, signals=orders), _origins(prepared), _derived(prepared, 0.2), None, CONFIG)
    assert "no renewals" in without.reason
