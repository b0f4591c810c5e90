"""Which dates are looked at, and by which champion's predictions; the snapshots and the models are made up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import BundleError
from features.signals.signals import OpenSignals
from features.utils.dates import Grid
from models.artifacts.champion_pointer import ChampionChange, ChampionEntry, ChampionPointer
from models.home import Home
from training.monitoring import monitor
from training.monitoring.report import ChampionMonitoring

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
ACCOUNTS = 100


class _Scorer:
    """Tells everyone the same, 30 days ahead."""

    horizons = ()
    features = ("usage.noise", "portfolio.churn_182d")

    def __init__(self, p: float) -> None:
        self._p = p

    def encode(self, frame: pd.DataFrame) -> Any:
        return type("Encoded", (), {"matrix": frame[["usage.noise"]].to_numpy()})

    def raw(self, matrix: np.ndarray) -> np.ndarray:
        return np.zeros(len(matrix))

    def calibrate(self, raw: np.ndarray) -> Any:
        return type("Calibrated", (), {"probability": np.full(len(raw), self._p)})

    def by_horizon(self, _: np.ndarray) -> dict[int, np.ndarray]:
        return {}


def _day(days: float) -> datetime:
    return FIRST + timedelta(days=days)


def _pointed(version: str) -> ChampionEntry:
    return ChampionEntry(version=version, folder=f"bundles/churn/{version}-run")


def _bundle(home: Home, version: str, p: float, through: int) -> Any:
    result = {"target": "churn", "version": version, "horizon_days": 30, "grace_days": 30, "metrics": {}}
    result |= {"trained_through": _day(through), "created_at": _day(through + 0.1)}
    facts = {"manifest": type("Manifest", (), result), "scorer": _Scorer(p), "folder": home.root / _pointed(version).folder}
    return type("Bundle", (), facts)


@pytest.fixture
def look(
    make_signals: Callable[..., OpenSignals], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[ChampionMonitoring, Grid]]:
    """Monitor champions trained through the given days, on 700 days of signals.

    One tenth of the accounts leaves every hundred days. Also returns the dates of the snapshots.
    """
    rows: list[dict[str, object]] = [
        {"account_id": f"a{i}", "started_at": FIRST.replace(tzinfo=None), "arr": 1e3}
        | ({"ended_at": _day(left).replace(tzinfo=None)} if (left := 110 + 100 * (i // 10)) < 700 else {})
        for i in range(ACCOUNTS)
    ]
    signals = make_signals(_day(700), subscriptions=rows)
    grids: list[Grid] = []

    def snapshot(_: OpenSignals, grid: Grid, **__: object) -> pd.DataFrame:
        grids.append(grid)
        dates = pd.DatetimeIndex(grid.as_ofs).as_unit("us")
        names = [f"a{i}" for i in range(ACCOUNTS)]
        keys = {"account_id": names * grid.n, "as_of": dates.repeat(ACCOUNTS)}
        rate = np.repeat(np.arange(grid.n, dtype=float), ACCOUNTS)
        noise = np.tile(np.arange(ACCOUNTS, dtype=float), grid.n)
        return pd.DataFrame(keys | {"usage.noise": noise, "portfolio.churn_182d": rate})

    def run(trained: dict[str, int], missing: str = "") -> tuple[ChampionMonitoring, Grid]:
        home = Home(tmp_path)
        bundles = {v: _bundle(home, v, 0.01 * int(v), through) for v, through in trained.items()}
        history = tuple(
            ChampionChange(at=_day(d + 0.2), what="promoted", target="churn", champion=_pointed(v), who="Ada", why="a test")
            for v, d in trained.items()
        )
        pointer = ChampionPointer(churn=history[-1].champion, promoted_at=history[-1].at, history=history)

        def load(folder: Path, *_: object) -> Any:
            version = folder.name.partition("-")[0]
            if version == missing:
                raise BundleError("it is gone")
            return bundles[version]

        monkeypatch.setattr(monitor, "snapshot", snapshot)
        monkeypatch.setattr(monitor, "load_bundle", load)
        bundle = bundles[history[-1].champion.version]
        return monitor._monitor_champion(signals, bundle, pointer, home, CATALOGUE), grids[0]

    return run


@pytest.mark.parametrize("trained", [400, 413, 448, 699, 700])
def test_three_dates_before_training_are_the_reference(look: Any, trained: int) -> None:
    grid = look({"1": trained})[1]
    assert grid.last == _day(700)
    assert sum(as_of < _day(trained) for as_of in grid.as_ofs) == monitor.REFERENCE_DATES == 3


def test_with_monthly_training_previous_champions_are_evaluated(look: Any) -> None:
    watched, grid = look({"1": 588, "2": 616, "3": 644, "4": 672})
    assert watched.matured == (), "nothing that the present one predicted is known yet"
    dates = {former.version: (former.since, former.until) for former in watched.former}
    assert dates == {"1": (_day(588), _day(616)), "2": (_day(616), _day(644)), "3": (_day(644), _day(672))}
    first, second, third = (former.matured for former in watched.former)
    # A date of day 588 + 28 n; what is 60 days old by day 700 has matured.
    assert [recorded.expected for recorded in first] == pytest.approx([0.01])
    assert [recorded.expected for recorded in second] == pytest.approx([0.02])
    assert third == ()
    (together,) = watched.together
    assert together.rows == first[0].rows + second[0].rows
    assert together.expected * together.rows == pytest.approx(0.01 * first[0].rows + 0.02 * second[0].rows)
    # Of the 50 that were left on day 588, ten leave on day 610, within its 30 days.
    assert first[0].happened == 10
    assert {_day(588), _day(616), _day(644), _day(672), _day(700)} <= set(grid.as_ofs)


def test_a_missing_bundle_is_skipped(look: Any) -> None:
    watched = look({"1": 560, "2": 616, "3": 672}, missing="1")[0]
    assert [former.matured is None for former in watched.former] == [True, False]
    assert [recorded.expected for recorded in watched.together] == pytest.approx([0.02])


def test_a_first_champion_has_no_previous_champions(look: Any) -> None:
    watched = look({"1": 400})[0]
    assert watched.former == ()
    # Undefined figures are NaN, which equals nothing.
    assert repr(watched.together) == repr(watched.matured)
    # A rate of the portfolio is the same for all accounts of a date, and always differs between dates.
    assert set(watched.drifted.feature_psi) == {"usage.noise"}


def test_early_warnings_need_a_churn_champion_and_history(make_signals: Callable[..., OpenSignals], tmp_path: Path) -> None:
    assert monitor._measure_warnings(None, None, CATALOGUE) == (  # type: ignore[arg-type]
        None,
        "there is no champion for churn, whose horizon is used",
    )
    signals = make_signals(_day(80), subscriptions=[{"account_id": "a", "started_at": FIRST.replace(tzinfo=None), "arr": 1e3}])
    precision, why = monitor._measure_warnings(signals, _bundle(Home(tmp_path), "1", 0.1, 70), CATALOGUE)
    assert precision is None
    assert why is not None
    assert why.startswith("not enough history: 8 more days of history")
