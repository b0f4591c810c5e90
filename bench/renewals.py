"""The renewal forecast on simulated portfolios: coverage of its intervals; the renewal model against the derivation.

For each seed: simulate, forecast each of the newest quarters from its start by models fitted on what was known by then
(`training.renewals.forecast_backtest`), and compare every figure with what happened (target: 75 to 85% of quarters
inside the 80% interval). As in production, the shared error of a forecast is learned from the quarters of its portfolio
that had matured before it.

With --stages instead: the backtest of the renewal model (`training.renewals.candidate`). Every stage (lost, expanded,
contracted) is compared with the derivation from the churn and expansion models of the same origins, on the same rows.
Differences of log loss and Brier score have 95% intervals by resampled accounts. The error of lost ARR is that of the
renewals that an origin predicts 90 days before, as a share of their ARR.

    python bench/renewals.py [--stages] [--preset mixed-b2b] [--accounts 600] [--weeks 182] [--quarters 5]
        [--seeds 0 1 2 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from features.errors import InsufficientData
from features.utils.progress import no_progress
from models.renewals.past_forecasts import FIGURES
from models.scorer.base import RENEWAL_FEATURE
from models.targets import TARGETS
from training.config import TrainConfig
from training.dataset.labelled_snapshots import read_labelled_snapshots
from training.dataset.origins import choose_origins
from training.dataset.target_rows import TargetRows
from training.evaluation.backtest import run_backtest
from training.renewals.candidate import fit_renewals
from training.renewals.forecast_backtest import forecast_past_quarters
from training.simulation import MarketOptions, simulate
from training.simulation.presets import MIXED_B2B

QUICK = TrainConfig(every_days=28, trials=1, folds=2)


def stages(preset: str, accounts: int, weeks: int, seed: int) -> list[dict[str, object]]:
    """Return one row per stage and candidate of the backtest of the renewal model."""
    with tempfile.TemporaryDirectory() as place:
        signals = Path(place) / "signals"
        simulate(signals, accounts=accounts, weeks=weeks, seed=seed, options=MarketOptions(preset=preset))
        prepared = read_labelled_snapshots(signals, None, QUICK)
        try:
            origins = choose_origins(
                prepared.grid.as_ofs, QUICK.horizon_days, prepared.grace_days, prepared.signals.data_through
            )
            derived = {
                target: run_backtest(
                    TargetRows(prepared, target, {}, QUICK.horizon_days), origins, QUICK, no_progress
                ).by_renewal
                for target in TARGETS
            }
            candidate = fit_renewals(prepared, origins, derived["churn"], derived["expansion"], QUICK)
        finally:
            prepared.signals.close()
    until = prepared.frame[RENEWAL_FEATURE].to_numpy(dtype=float)
    rows: list[dict[str, object]] = []
    for each in candidate.stages:
        state = each.reason or "used"
        print(f"seed {seed}: {each.stage}: {each.outcomes} of {each.renewals} renewals; {state}")
        if each.judgement is None or each.tested is None:
            continue
        tested = each.tested
        before = np.flatnonzero((until[tested.index] >= 90) & (until[tested.index] < 90 + QUICK.every_days))
        for name, p in tested.p.items():
            row: dict[str, object] = {"seed": seed, "stage": each.stage, "candidate": name}
            row |= {metric: each.judgement[name][metric].value for metric in ("roc_auc", "log_loss", "brier")}
            for loss in ("log_loss", "brier"):
                found = each.judgement.difference(name, loss)
                if found is not None:
                    row |= {f"{loss}_off": found.value, f"{loss}_low": found.low, f"{loss}_high": found.high}
            if each.stage == "lost":
                share = []
                for origin in np.unique(tested.origin[before]):
                    at = before[tested.origin[before] == origin]
                    share.append(((p - tested.y)[at] @ tested.arr[at]) / tested.arr[at].sum())
                row["arr_error"] = float(np.abs(share).mean())
            rows.append(row)
    return rows


def one(preset: str, accounts: int, weeks: int, quarters: int, seed: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as place:
        signals = Path(place) / "signals"
        simulate(signals, accounts=accounts, weeks=weeks, seed=seed, options=MarketOptions(preset=preset))
        prepared = read_labelled_snapshots(signals, None, QUICK)
        try:
            forecasts = forecast_past_quarters(prepared, quarters, QUICK, {})
        except InsufficientData as error:
            print(f"seed {seed}: {error}", flush=True)
            return []
        finally:
            prepared.signals.close()
    rows: list[dict[str, object]] = []
    for quarter in forecasts.quarters:
        for name in FIGURES:
            figure = quarter.figures[name]
            rows.append(
                {
                    "seed": seed,
                    "quarter": quarter.period,
                    "due": quarter.accounts,
                    "figure": name,
                    "expected": figure.expected,
                    "low": figure.low,
                    "high": figure.high,
                    "happened": figure.happened,
                    "inside": figure.inside,
                    "below": figure.happened < figure.low and not figure.inside,
                    "width": figure.high - figure.low,
                    "off": figure.happened - figure.expected,
                }
            )
    for name, why in forecasts.skipped.items():
        print(f"seed {seed}: {name} skipped: {why}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=600, help="number of simulated accounts (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=182, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument(
        "--quarters", type=int, default=5, help="number of the newest quarters to forecast (default: %(default)s)"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2, 3],
        help="seeds of the simulated portfolios (default: %(default)s)",
    )
    parser.add_argument("--preset", default=MIXED_B2B, help="preset of the simulator (default: %(default)s)")
    parser.add_argument("--stages", action="store_true", help="compare the renewal model with the derivation")
    options = parser.parse_args()
    if options.stages:
        compared = []
        for seed in options.seeds:
            start = time.perf_counter()
            compared += stages(options.preset, options.accounts, options.weeks, seed)
            print(f"seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
        if compared:
            table = pd.DataFrame(compared).sort_values(["stage", "candidate", "seed"])
            print(table.round(4).to_string(index=False))
        return
    rows = []
    for seed in options.seeds:
        start = time.perf_counter()
        new = one(options.preset, options.accounts, options.weeks, options.quarters, seed)
        rows += new
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s")
        if new:
            columns = pd.DataFrame(new).drop(columns=["seed", "width", "off", "below"])
            print(columns.round(3).to_string(index=False), flush=True)
    if not rows:
        return
    table = pd.DataFrame(rows)
    print(f"{table.groupby(['seed', 'quarter']).ngroups} forecasts")
    by = table.groupby("figure", sort=False)
    summary = pd.DataFrame(
        {
            "inside": by["inside"].mean(),
            "below": by["below"].mean(),
            "above": 1 - by["inside"].mean() - by["below"].mean(),
            "mean width": by["width"].mean(),
            "mean error": by["off"].mean(),
            "happened over expected": by["happened"].sum() / by["expected"].sum(),
        }
    )
    # Quarters of one seed are not independent, so whole seeds are resampled.
    rng = np.random.default_rng(0)
    shares = table.pivot_table(index="seed", columns="figure", values="inside", aggfunc=["sum", "count"])
    indices = rng.integers(0, len(shares), (2000, len(shares)))
    for name in summary.index:
        share = shares["sum"][name].to_numpy()[indices].sum(axis=1) / shares["count"][name].to_numpy()[indices].sum(
            axis=1
        )
        summary.loc[name, ["low 95", "high 95"]] = np.quantile(share, [0.025, 0.975])
    print(summary.round(3).to_string())


if __name__ == "__main__":
    main()
