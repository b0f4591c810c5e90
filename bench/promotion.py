"""Error rates of promotion: how often a model is promoted with and without signal, by accounts, months and true AUC.

Each portfolio is simulated, prepared, backtested and gated by the code of `renewcast train`. The final models are not
fitted, and the leak check, which does not depend on the signal, is left out. With `--signal 0` of the simulator no
method can rank accounts, so every promotion is an error. The true AUC is the expected AUC of the true probabilities:
that of a model that knows everything about each account.

Each portfolio adds a line to the cache, a file of JSON lines. Portfolios in the cache are not simulated again, so the
script can be stopped at any time. Without `--seeds`, it only prints the tables of the cache.

    python bench/promotion.py promotion.jsonl --signal 0.5 --seeds 0 20
    python bench/promotion.py promotion.jsonl --signal 0 --seeds 0 20
    python bench/promotion.py promotion.jsonl

`--samples` needs no training: it draws outcomes and predictions of a given quality, and reports how often they pass the
gates of base rate and slope.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats
from threadpoolctl import threadpool_limits

from features.custom.current_catalogue import current_catalogue
from features.errors import InsufficientData
from features.feed_health.feed_health import feed_health
from features.signals.signals import read_signals
from features.sources.open_source import open_source
from features.utils.progress import no_progress
from models.home import Home
from models.targets import Target
from training.config import TrainConfig
from training.dataset.sufficiency import MINIMUM_OUTCOMES
from training.dataset.target_rows import TargetRows
from training.dataset.training_data import TrainingData
from training.evaluation.backtest import run_backtest
from training.evaluation.baselines import BASE_RATE, BLEND
from training.evaluation.comparison import json_safe
from training.evaluation.promotion_gates import SLOPE_BOUNDS, all_passed, evaluate_gates
from training.leakage.report import LeakReport
from training.pipeline.training_run import TrainingRun
from training.simulation import MarketOptions, simulate
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions
from training.statistics.newton_logistic import row_log_loss

CONFIG = TrainConfig()
WEEKS_PER_MONTH = 365.25 / 12 / 7
#: Metrics that are recorded with their intervals.
METRICS = ("roc_auc", "log_loss", "brier_skill", "calibration_slope")
#: Limits of the true AUC by which portfolios are grouped.
AUC_LIMITS = (0.55, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)
#: Random predictions: the outcome rate of a label window, active accounts, independent label windows that a backtest
#: predicts by months of history, AUC of calibrated predictions, and pairs of true and predicted spread.
SAMPLE_RATE = 0.05
SAMPLE_ACCOUNTS = (300, 500, 1500)
SAMPLE_WINDOWS = {12: 1, 18: 3, 36: 6}
SAMPLE_AUC = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
SAMPLES = ((0, 0.05), (0, 0.3), (0, 0.8), (0.4, 0.4), (0.4, 0.2), (0.7, 0.7), (0.7, 0.35), (1.2, 1.2), (1.2, 0.7))


def expected_auc(q: np.ndarray) -> float:
    """Return the expected AUC of true probabilities: the chance that an account with the outcome ranks higher."""
    ordered = np.sort(q)
    wins = float(ordered @ (np.cumsum(1 - ordered) - (1 - ordered)))
    ties = float((q * (1 - q)).sum())
    if ordered[0] == ordered[-1]:
        return 0.5
    return wins / (float(q.sum() * (1 - q).sum()) - ties)


def true_auc(truth: pd.DataFrame, target: Target, through: pd.Timestamp) -> float:
    """Return the mean expected AUC on the dates whose outcomes are known at the end."""
    known = truth[truth["as_of"] + timedelta(days=CONFIG.horizon_days + CONFIG.grace_days) <= through]
    return float(np.mean([expected_auc(part[target].to_numpy()) for _, part in known.groupby("as_of")]))


def judge(data: TrainingData, run: TrainingRun, targets: list[Target]) -> dict[str, Any]:
    """Return what the backtest and the gates say about each target with enough data."""
    leaks = LeakReport("not checked", data.prepared.signals.data_through, "", 0, (), (), (), (), 0.0)
    health, answer = run.score_rubrics(data, leaks).contenders(), {}
    for target in targets:
        rows, enough = TargetRows(data.prepared, target, health, CONFIG.horizon_days), data.facts[target]
        judgement = (backtest := run_backtest(rows, enough.require(), CONFIG, no_progress)).judgement
        gates = evaluate_gates(judgement, enough, leaks.leaks(target), None, data.label_feed_faults)
        against = {d.against: (d.value, d.low, d.high) for d in judgement.differences if d.loss == "log_loss"}
        answer[target] = {
            "promoted": all_passed(gates),
            "failed": [gate.name for gate in gates if not gate.passed],
            "grade": judgement.grade,
            "origins": len(enough.require().dates),
            "outcomes": {name: part.accounts_with_outcome for name, part in enough.slices.items()},
            "metrics": {name: (m.value, m.low, m.high) for name in METRICS for m in (judgement[BLEND][name],)},
            "rate_log_loss": judgement[BASE_RATE]["log_loss"].value,
            "against": against,
            "ranking": None if (within := judgement.ranking) is None else (within.value, within.low, within.high),
            "spread": float(scipy.special.logit(backtest.tested.p[BLEND]).std()),
        }
    return answer


def portfolio(accounts: int, months: int, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Simulate and judge one portfolio. Return the line of the cache."""
    start, weeks = time.process_time(), round(months * WEEKS_PER_MONTH)
    with tempfile.TemporaryDirectory() as place:
        market = MarketOptions(**options)
        summary = simulate(Path(place) / "signals", accounts=accounts, weeks=weeks, seed=seed, options=market)
        truth = pd.read_parquet(summary.truth)
        truth["as_of"] = pd.to_datetime(truth["as_of"], utc=True)
        simulated = time.process_time()
        (home := Home(Path(place) / "home")).ensure()
        run = TrainingRun.of(home, CONFIG, current_catalogue(), None, no_progress)
        source = open_source(summary.folder)
        feeds = feed_health(source, None)
        signals = read_signals(source, None)
        result: dict[str, Any] = {"churned": summary.churned}
        with closing(signals), threadpool_limits(limits=1, user_api="blas"):
            through = pd.Timestamp(signals.data_through)
            result["auc"] = {target: true_auc(truth, target, through) for target in ("churn", "expansion")}
            try:
                data = run.prepare(signals, feeds)
                result["missing"] = {target: list(enough.missing) for target, enough in data.facts.items()}
                result["targets"] = judge(data, run, data.trainable())
            except InsufficientData as error:
                result |= {"targets": {}, "refused": str(error)}
    seconds = {"simulation": simulated - start, "judging": time.process_time() - simulated}
    return result | {"cpu_seconds": seconds}


def judge_sample(
    seed: int, effect: float, spread: float, accounts: int = 300, windows: int = 3
) -> dict[str, float] | None:
    """Judge random predictions. Return their AUC and whether they pass; None if there are too few outcomes to judge.

    Parameters
    ----------
    seed : of the random numbers.
    effect : standard deviation of the true log-odds between accounts; 0 for no signal.
    spread : standard deviation of the predicted log-odds; the true one is ``effect``.
    accounts, windows : number of accounts, and of independent label windows of each.
    """
    rng = np.random.default_rng(seed)
    ranking = np.repeat(rng.normal(size=accounts), windows)
    level = scipy.special.logit(SAMPLE_RATE) - 0.45 * effect**2
    y = (rng.random(len(ranking)) < scipy.special.expit(level + effect * ranking)).astype(np.float64)
    p, average = scipy.special.expit(level + spread * ranking), np.full(len(ranking), SAMPLE_RATE)
    names = np.repeat([f"{i}" for i in range(accounts)], windows).astype(object)
    if len(set(names[y == 1])) < MINIMUM_OUTCOMES["backtest"]:
        return None
    bootstrap, data = AccountBootstrap(names, 200, 0), Predictions(y, p, average)
    losses = [row_log_loss(metrics.log_odds(each), y) for each in (p, average)]
    value, _, high = bootstrap.mean_interval(losses[0] - losses[1])
    better, dates, once = high < 0, np.tile(np.arange(windows), accounts), np.ones((1, len(y)))
    ranks = value < 0 and interval(bootstrap.values(lambda w: metrics.roc_auc_within(data, w, dates)))[0] > 0.5
    steep = metrics.calibration_slope(data, once)[0] >= SLOPE_BOUNDS[0]
    if (better or ranks) and not steep:
        steep = interval(bootstrap.values(lambda w: metrics.calibration_slope(data, w)))[1] >= 1
    return {
        "auc": float(metrics.roc_auc(data, once)[0]),
        "log loss": float(better and steep),
        "passed": float((better or ranks) and steep),
    }


def sample_tables(number: int) -> str:
    """Return the shares of random predictions that pass both gates, in Markdown: by spread, and by size and AUC."""
    text = ["| true spread | predicted spread | AUC | by log loss alone | or by ranking |", "|---" * 5 + "|"]
    for effect, spread in SAMPLES:
        judged = [each for seed in range(number) if (each := judge_sample(seed, effect, spread)) is not None]
        means = pd.DataFrame(judged).mean()
        shares = f"{means['log loss']:.1%} | {means['passed']:.1%}"
        text.append(f"| {effect} | {spread} | {means['auc']:.2f} | {shares} |")
    text += ["", "| accounts | months | " + " | ".join(f"AUC {auc}" for auc in SAMPLE_AUC) + " |"]
    text.append("|---" * (2 + len(SAMPLE_AUC)) + "|")
    for accounts in SAMPLE_ACCOUNTS:
        for months, windows in SAMPLE_WINDOWS.items():
            cells = []
            for auc in SAMPLE_AUC:
                # For rare outcomes, the ranking of accounts with the outcome is normal with mean ``effect``.
                effect = float(np.sqrt(2) * scipy.stats.norm.ppf(auc))
                judged = [judge_sample(seed, effect, effect, accounts, windows) for seed in range(number)]
                cells.append(f"{np.mean([each is not None and each['passed'] for each in judged]):.0%}")
            text.append(f"| {accounts:,} | {months} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def read_cache(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the cache."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def share_words(successes: int, trials: int) -> str:
    """Return a count with its 95% interval (Clopper and Pearson 1934)."""
    interval = scipy.stats.binomtest(successes, trials).proportion_ci(method="exact")
    return f"{successes} of {trials} ({interval.low:.0%} to {interval.high:.0%})"


def tables(lines: list[dict[str, Any]]) -> str:
    """Return a table of promotions by portfolio, target and true AUC, in Markdown."""
    rows = []
    for line in lines:
        for target in ("churn", "expansion"):
            model = line["targets"].get(target)
            world = "no signal" if line["options"].get("signal") == 0 else "signal"
            low = max((limit for limit in AUC_LIMITS if limit <= line["auc"][target]), default=0.5)
            rows.append(
                {
                    "world": world,
                    "accounts": line["accounts"],
                    "months": line["months"],
                    "target": target,
                    "true AUC from": "0.5" if world == "no signal" else f"{low:.2f}",
                    "trained": model is not None,
                    "promoted": model is not None and model["promoted"],
                    "AUC": model["metrics"]["roc_auc"][0] if model else np.nan,
                    "grade": model["grade"] if model else "no model",
                    "failed": ", ".join(model["failed"]) if model else "too little data",
                }
            )
    text = []
    keys = ["world", "accounts", "months", "target", "true AUC from"]
    names = [*keys, "trained", "promoted", "AUC in the backtest", "grades", "failed gates"]
    text += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for key, part in pd.DataFrame(rows).groupby(keys):
        grades = ", ".join(f"{grade} {n}" for grade, n in part["grade"].value_counts().items())
        failed = part["failed"][part["failed"] != ""].str.split(", ").explode().value_counts()
        cells = (
            *map(str, key),
            f"{int(part['trained'].sum())} of {len(part)}",
            share_words(int(part["promoted"].sum()), len(part)),
            f"{part['AUC'].mean():.3f} ({part['AUC'].min():.3f}, {part['AUC'].max():.3f})",
            grades,
            ", ".join(f"{name} {n}" for name, n in failed.items()) or "none",
        )
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path, nargs="?", default=Path("promotion.jsonl"), help="a file of JSON lines")
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "END"), help="seeds to run, without END")
    parser.add_argument("--accounts", type=int, nargs="+", default=[500])
    parser.add_argument("--months", type=int, nargs="+", default=[18])
    parser.add_argument("--preset", default="mixed-b2b")
    parser.add_argument("--signal", type=float, nargs="+", default=[0.5], help="of the simulator; 0 for no signal")
    parser.add_argument("--noise", type=float, default=0.0, help="of the simulator")
    parser.add_argument(
        "--samples", type=int, metavar="NUMBER", help="judge random predictions instead, so many for each row"
    )
    options = parser.parse_args()
    if options.samples:
        print(sample_tables(options.samples))
        return
    lines = read_cache(options.cache)
    done = {json.dumps([line["accounts"], line["months"], line["seed"], line["options"]]) for line in lines}
    for seed in range(*(options.seeds or (0, 0))):
        for accounts in options.accounts:
            for months in options.months:
                for signal in options.signal:
                    chosen = {"preset": options.preset, "signal": signal, "noise": options.noise}
                    if json.dumps([accounts, months, seed, chosen]) in done:
                        continue
                    result = portfolio(accounts, months, seed, chosen)
                    key = {"accounts": accounts, "months": months, "seed": seed, "options": chosen}
                    lines.append(json_safe(key | result))
                    with options.cache.open("a") as cache:
                        cache.write(json.dumps(lines[-1]) + "\n")
    print(tables(lines))


if __name__ == "__main__":
    main()
