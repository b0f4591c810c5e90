"""Churn by band of every rubric, and its ranking compared with the model, on simulated portfolios and on given signals.

The training is a normal one, evaluated on the dates that its backtest predicts. The rates of the bands are those of all
labeled dates.

    python bench/rubrics.py [--seeds 0 1 2] [--accounts 800] [--weeks 130] [SIGNALS ...]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from models.home import Home
from training.config import TrainConfig
from training.pipeline.train import train
from training.simulation import simulate


def report(name: str, address: str | Path) -> None:
    """Train, and print the results of each rubric."""
    with tempfile.TemporaryDirectory() as place:
        report = train(address, Home(Path(place)), TrainConfig())
        facts = next(iter(report.models.values())).bundle.health
        candidate = report.candidates.get("churn")
    print(f"\n{name}")
    for rubric, fact in facts.rubrics.items():
        if fact.meaning is None:
            print(f"  {rubric}: too few accounts with a score churned")
            continue
        bands = ", ".join(
            f"{b.band} {b.rate:.1%} ({b.low:.1%} to {b.high:.1%}; {b.rows:,} rows)"
            if b.rate is not None
            else f"{b.band} none"
            for b in fact.meaning.bands
        )
        print(f"  {rubric}: {bands}; {fact.meaning.accounts_with_churn} accounts churned")
        if later := fact.meaning.later:
            print(
                f"    on later dates: expected {later.expected:.2%}, happened {later.happened:.2%}, calibration error "
                f"{later.calibration_error:.2%}, Brier {later.brier:.4f} (base rate {later.brier_base_rate:.4f})"
            )
        if fact.learned:
            weights = ", ".join(f"{d} {w:.0f}" for d, w in fact.learned.weights.items())
            print(f"    weights learned: {weights}")
    if candidate is not None:
        for row in candidate.judgement.rows:
            lift, auc = row["lift_10"], row["roc_auc"]
            print(
                f"  {row.candidate:42} lift of the riskiest tenth {lift.value:.2f} ({lift.low:.2f}, {lift.high:.2f}), "
                f"AUC {auc.value:.3f} ({auc.low:.3f}, {auc.high:.3f})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signals", nargs="*", help="signals to evaluate; without them, portfolios are simulated")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="*",
        default=[0, 1, 2],
        help="seeds of the simulated portfolios (default: %(default)s)",
    )
    parser.add_argument("--accounts", type=int, default=800, help="number of simulated accounts (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=130, help="weeks of simulated history (default: %(default)s)")
    options = parser.parse_args()
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as place:
            signals = Path(place) / "signals"
            simulate(signals, accounts=options.accounts, weeks=options.weeks, seed=seed)
            report(f"simulated, {options.accounts} accounts, {options.weeks} weeks, seed {seed}", signals)
    for address in options.signals:
        report(Path(address).stem, address)


if __name__ == "__main__":
    main()
