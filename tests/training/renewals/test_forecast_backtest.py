"""The backtest reads outcomes correctly, and no model trained on an outcome forecasts it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import InsufficientData
from features.signals.signals import open_signals
from features.utils.dates import Grid
from models.scorer.base import Calibrated
from models.scorer.members import LogOdds
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.renewals.forecast_backtest import forecast_past_quarters

START = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = datetime(2025, 12, 1, tzinfo=UTC)
EVERY = TrainConfig(every_days=28, trials=1, folds=2)

#    account    from          to            why           ARR    renews
BOOK = [
    ("stays",  "2025-02-01", "2026-02-01", "renewed",    100.0, "2026-02-01"),
    ("stays",  "2026-02-01", None,         None,         103.0, "2027-02-01"),
    ("leaves", "2025-02-10", "2026-02-10", "cancelled",  200.0, "2026-02-10"),
    ("grows",  "2025-03-01", "2026-03-01", "upgraded",   100.0, "2026-03-01"),
    ("grows",  "2026-03-01", None,         None,         150.0, "2027-03-01"),
    ("shrinks", "2025-03-01", "2026-03-01", "downgraded", 400.0, "2026-03-01"),
    ("shrinks", "2026-03-01", None,        None,         300.0, "2027-03-01"),
    ("lapses", "2025-03-30", "2026-03-30", "cancelled",   50.0, "2026-03-30"),
    ("lapses", "2026-04-20", None,         None,          50.0, "2027-03-30"),
    ("early",  "2025-03-30", "2026-01-15", "cancelled",   70.0, "2026-03-30"),
    ("unsigned", "2025-03-05", None,       None,          10.0, "2026-03-05"),
    ("later",  "2025-05-01", None,         None,         999.0, "2026-05-01"),
]  # fmt: skip


class Sayer:
    """A model that gives everybody the same probability within each horizon."""

    def __init__(self, p: float) -> None:
        self.p = p

    def encode(self, frame: pd.DataFrame) -> SimpleNamespace:
        return SimpleNamespace(matrix=np.zeros((len(frame), 1)))

    def estimate(self, matrix: np.ndarray) -> LogOdds:
        return LogOdds(matrix[:, 0], np.zeros(len(matrix)))

    def calibrate(self, raw: np.ndarray, _error: np.ndarray) -> Calibrated:
        return Calibrated(np.full(len(raw), self.p), np.full(len(raw), self.p / 2), np.full(len(raw), min(2 * self.p, 0.9)))

    def by_horizon(self, matrix: np.ndarray) -> dict[int, np.ndarray]:
        return {days: np.full(len(matrix), self.p) for days in (30, 60, 90, 180)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelledSnapshots]:
    folder = tmp_path_factory.mktemp("signals")
    names = dict.fromkeys(row[0] for row in BOOK)
    pd.DataFrame({"account_id": list(names), "created_at": "2025-01-01"}).to_csv(folder / "accounts.csv", index=False)
    columns = ["account_id", "started_at", "ended_at", "end_reason", "arr", "renewal_at"]
    pd.DataFrame(BOOK, columns=columns).to_csv(folder / "subscriptions.csv", index=False)
    signals = open_signals(folder, datetime(2026, 6, 15, tzinfo=UTC))
    grid = Grid(datetime(2025, 6, 1, tzinfo=UTC), 28, 7)
    frame = pd.DataFrame({"account_id": ["stays"], "as_of": pd.to_datetime([grid.first], utc=True)})
    labels = pd.DataFrame({"churn": [0.0], "expansion": [0.0]})
    yield LabelledSnapshots(signals, grid, frame, labels, 30, CATALOGUE)
    signals.close()


def champions(p: float, q: float, through: datetime) -> Any:
    return {"churn": (Sayer(p), through), "expansion": (Sayer(q), through)}


def test_a_quarter_by_hand(prepared: LabelledSnapshots) -> None:
    forecasts = forecast_past_quarters(prepared, 9, EVERY, champions(0.25, 0.1, BEFORE))
    (quarter,) = (each for each in forecasts.quarters if each.period == "2026Q1")
    assert quarter.by == "champion"
    # All but "later" are due. "lapses" returns within the grace period; "unsigned" keeps its ARR.
    assert (quarter.accounts, quarter.arr) == (7, 930.0)
    happened = {name: figure.happened for name, figure in quarter.figures.items()}
    assert happened == {
        "renewed_accounts": 5.0,
        "renewed_arr": 660.0,
        "lost_arr": 270.0,
        "contracted_arr": 100.0,
        "expanded_arr": 53.0,
        "grr": pytest.approx(560 / 930),
        "nrr": pytest.approx(613 / 930),
    }
    assert quarter.figures["lost_arr"].expected == pytest.approx(0.25 * 930)
    assert (quarter.leaving.expected, quarter.leaving.happened) == (pytest.approx(7 * 0.25), 2.0)
    assert (quarter.growing.expected, quarter.growing.happened) == (pytest.approx(0.7), 1.0)


def test_a_quarter_whose_renewals_have_not_settled_is_left_out(prepared: LabelledSnapshots) -> None:
    forecasts = forecast_past_quarters(prepared, 9, EVERY, champions(0.25, 0.1, datetime(2025, 6, 2, tzinfo=UTC)))
    assert [quarter.period for quarter in forecasts.quarters] == ["2026Q1"], "2026Q2 is not over"
    assert "2025Q3" in forecasts.skipped or "2025Q4" in forecasts.skipped, "no renewal was due, which is reported"


def test_a_champion_trained_on_the_outcome_is_not_used(prepared: LabelledSnapshots) -> None:
    # Its recipe would have to be fitted again, and nothing can be fitted on this portfolio.
    with pytest.raises(InsufficientData) as caught:
        forecast_past_quarters(prepared, 1, EVERY, champions(0.25, 0.1, datetime(2026, 1, 2, tzinfo=UTC)))
    assert "2026Q1" in str(caught.value)


def test_later_quarters_do_not_change_a_forecast(prepared: LabelledSnapshots) -> None:
    wrong = champions(0.9, 0.1, BEFORE)
    one, two = (forecast_past_quarters(prepared, n, EVERY, wrong).quarters[-1] for n in (1, 9))
    assert one.figures == two.figures
