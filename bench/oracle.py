"""Distance to the best possible model, on simulated portfolios with known true probabilities.

For each seed: simulate, train our model on every outcome known before a date, score at that date and two later ones,
and compare the probabilities with the true ones of the simulation. The Brier skill is the expected one, given the truth
q: a forecast p loses (p - q)^2 + q (1 - q) on average, so chance has no influence; "oracle" forecasts q itself. No
snapshot shows all of q: "attainable" forecasts the mean of q among accounts with the same features, learned by trees
from the true probabilities of a large sample (bench/synthetic_portfolios.py). The parts of the ensemble are calibrated
on the same rows by the same rule. The earlier release (``--earlier``, a checkout of it) reads the same snapshots.

    python bench/oracle.py [--accounts 1500] [--weeks 157] [--seeds 0 1 2 3 4] [--workdir DIR] [--earlier CHECKOUT]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from model_runs import probabilities
from synthetic_portfolios import EARLIER, OURS, WORLDS, Attainable, World, attainable, skill

from models.targets import TARGETS, Target


RUBRICS = ("five-dimensions", "product-relationship-outcomes", "adoption-engagement-business-relationship")
RIVALS = (*PARTS, *RUBRICS)
#: Contenders of the training itself, whose figures in its own backtest are reported too.
JUDGED = (BLEND, RENEWAL_DUE, *PARTS)


def skill(p: np.ndarray, q: np.ndarray) -> float:
    """Return the expected Brier skill of forecasts p against the best constant one, given the truth q."""
    loss = np.mean((p - q) ** 2 + q * (1 - q))
    constant = np.mean((q.mean() - q) ** 2 + q * (1 - q))
    return float(1 - loss / constant)


def at(signals: Path, dates: list[datetime]) -> pd.DataFrame:
    """Return snapshots of these dates, each with what was known by then."""
    frames = []
    for as_of in dates:
        opened = open_signals(signals, as_of)
        frames.append(snapshot(opened, Grid.single(as_of)))
        opened.close()
    return pd.concat(frames, ignore_index=True)


def rivals(
    model: FittedModel, prepared: LabelledSnapshots, frame: pd.DataFrame, target: Target
) -> dict[str, np.ndarray]:
    """Return probabilities of the competitors: the parts of the model alone, and each rubric."""
    answer = model.part_probabilities(frame, PARTS)
    for name, rubric in all_rubrics(load_rubric(TrainConfig().rubric, prepared.catalogue)).items():
        past, later = (np.asarray(rubric.score(part).score, dtype=np.float64) for part in (prepared.frame, frame))
        answer[name] = health_probabilities(model, past, later, target)
    return answer


def one(accounts: int, weeks: int, seed: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as place:
        signals, home = Path(place) / "signals", Home(Path(place) / "home")
        simulate(signals, accounts=accounts, weeks=weeks, seed=seed)
        truth = pq.read_table(Path(place) / "signals-truth.parquet").to_pandas()
        truth["as_of"] = pd.to_datetime(truth["as_of"], utc=True)
        through = parse_instant(THROUGH)
        start = time.perf_counter()
        try:
            report = train(signals, home, TrainConfig(), through)
        except InsufficientData as error:
            print(f"seed {seed}: {error}")
            return []
        took = time.perf_counter() - start
        dates = sorted(d.to_pydatetime() for d in truth["as_of"].unique() if d >= pd.Timestamp(through))
        frame = at(signals, dates)
        prepared = read_labelled_snapshots(signals, through, TrainConfig())
        prepared.signals.close()
        rows = []
        for target, model in report.models.items():
            predictions = model.bundle.scorer.predict(frame)
            both = frame[["account_id", "as_of"]].assign(
                p=predictions.probability,
                low=predictions.low,
                high=predictions.high,
                **rivals(model.candidate.final, prepared, frame, target),
            )
            both = both.merge(truth, on=["account_id", "as_of"])
            q, p = both[target].to_numpy(), both["p"].to_numpy()
            ours, best = skill(p, q), skill(q, q)
            rows.append(
                {
                    "seed": seed,
                    "target": target,
                    "accounts x dates": len(both),
                    "rate": q.mean(),
                    "oracle skill": best,
                    "our skill": ours,
                    "share": ours / best,
                    "rank correlation with truth": both["p"].corr(both[target], method="spearman"),
                    "truth inside the 80% interval": ((both["low"] <= q) & (q <= both["high"])).mean(),
                    **{f"share, {name}": skill(both[name].to_numpy(), q) / best for name in RIVALS},
                    **{
                        f"{metric} in the backtest, {row.candidate}": row[metric].value
                        for row in model.candidate.judgement.rows
                        for metric in ("log_loss", "roc_auc")
                        if row.candidate in JUDGED
                    },
                    "calibrator": model.candidate.calibrator["kind"],
                    "promoted": model.promoted,
                    "training seconds": took,
                }
            )
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="mixed-b2b", choices=list(WORLDS), help="the kind of world")
    parser.add_argument("--accounts", type=int, default=1500, help="accounts of each world (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=5000, help="accounts of the large sample (default: %(default)s)")
    parser.add_argument("--weeks", type=int, default=157, help="weeks of simulated history (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the worlds (default: %(default)s)")
    parser.add_argument("--workdir", type=Path, help="folder for stored results")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release to compare with")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        work = options.workdir or Path(fresh)
        best = attainable(work, options.world, options.sample, options.weeks)
        for target in TARGETS:
            print(f"{target}: {best[target].words}")
        rows: dict[Target, list[dict[str, Any]]] = {target: [] for target in TARGETS}
        for seed in options.seeds:
            world = World(options.world, options.accounts, options.weeks, seed, work)
            for target in TARGETS:
                rows[target].append(one(world, target, best[target], options.earlier))
    for target, table in rows.items():
        title = f"{options.world}, {options.accounts:,} accounts, seeds {options.seeds}, {target}"
        print(f"\n{title}: share of the oracle's skill")
        both = pd.DataFrame(table)
        if EARLIER in both:
            change = (both[OURS] - both[EARLIER]).dropna()
            print(f"ours minus the earlier release, by seed: {change.round(3).tolist()}")
        for name, values in both.items():
            print(f"| {name} | {values.mean():.3f} ({values.min():.3f}, {values.max():.3f}) | {values.count()} |")


if __name__ == "__main__":
    main()
