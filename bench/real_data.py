"""Renewcast compared with other libraries and with an earlier release on the two example data sets, at past dates.

At each cut-off, every contender learns from the snapshots whose label was known then, predicts the snapshots of that
date, and is compared with what happened. Ours is the model that a training releases
(`training.estimators.fitted_model.fit_model`). The other libraries (bench/peers/classifiers.py) read the same
snapshots with their defaults, all of them or only dates four weeks apart ("monthly rows"). The earlier release
(``--earlier``, a checkout of it) runs in a separate process.

The cut-offs in CHOICE had a part in choices of the design, those in REPORTED had none; their label windows overlap,
though, because the histories are short. Figures are means over the cut-offs; intervals (95%) of the differences from
ours are those of resampled accounts, on the cut-offs that both have.

    python bench/real_data.py [online-retail crm-simulated] [--workdir DIR] [--earlier CHECKOUT] [--who ...]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from model_runs import Runs, earlier, ours, probabilities
from peers.comparison import NAMES, forecasts
from portfolios import HORIZON_DAYS, Portfolio, example

from features.catalogue.catalogue import CATALOGUE
from features.utils.dates import parse_instant
from models.targets import TARGETS, Target
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions

REPORTED = {
    "crm-simulated": ("2023-01-24", "2023-03-21", "2023-05-16", "2023-06-27", "2023-07-25", "2023-09-05"),
    "online-retail": ("2011-01-29", "2011-04-23", "2011-07-16", "2011-09-10"),
}
CHOICE = {
    "crm-simulated": ("2023-06-13", "2023-08-08", "2023-10-03"),
    "online-retail": ("2010-12-04", "2011-03-12", "2011-06-04"),
}
OURS, EARLIER, RATE = "ours", "earlier release", "rate known then"
MONTHLY = ", monthly rows"
"""Snapshots four weeks apart instead of all. Rows that overlap count as so many observations for other libraries."""
STEP_DAYS = 28
WHO = (OURS, EARLIER, RATE, *NAMES, *(name + MONTHLY for name in NAMES))
FIGURES = {"AUC": metrics.roc_auc, "log loss": metrics.log_loss, "Brier skill": metrics.brier_skill_in_hindsight}
RESAMPLES = 1_000


def run(
    portfolio: Portfolio, target: Target, cutoff: str, who: str, work: Path, checkout: Path | None
) -> dict[str, Any]:
    """Fit one contender and predict the snapshots of a cut-off."""
    date = parse_instant(cutoff)
    test, _ = portfolio.at(date, target)
    if who == OURS:
        return ours(portfolio, target, date, test)
    if who == EARLIER:
        if checkout is None:
            return {"refused": "no checkout"}
        return earlier(checkout, portfolio, target, date, test)
    y = portfolio.stored["labels"][target].to_numpy(dtype=np.float64)
    ends = portfolio.frame["as_of"] + timedelta(days=HORIZON_DAYS + portfolio.stored["grace_days"])
    known = np.isfinite(y) & (ends <= date).to_numpy()
    if who == RATE:
        return {"p": np.full(len(test), y[known].mean())}
    name = who.removesuffix(MONTHLY)
    if name != who:
        newest = portfolio.frame["as_of"][known].max()
        known &= ((newest - portfolio.frame["as_of"]) % timedelta(days=STEP_DAYS) == timedelta(0)).to_numpy()
    past = portfolio.frame[known]
    names = [feature for feature in CATALOGUE if past[feature].nunique() > 1]
    results = forecasts(work, past[names], y[known], test[names], [name], threads=1)
    return results.get(name, {"refused": "failed"})


def predictions(portfolio: Portfolio, target: Target, cutoffs: Sequence[str], stored: Runs) -> list[pd.DataFrame]:
    """Return a table per cut-off: account, label, and the probabilities of each contender that has them."""
    tables = []
    for cutoff in cutoffs:
        test, y = portfolio.at(parse_instant(cutoff), target)
        table = pd.DataFrame({"account": test["account_id"].to_numpy(), "y": y.to_numpy(dtype=np.float64)})
        for who in WHO:
            found = stored.find({"data": portfolio.name, "cutoff": cutoff, "target": target, "who": who})
            if found is not None and "p" in found:
                table[who] = probabilities(found)
        tables.append(table)
    return tables


def figures(tables: Sequence[pd.DataFrame], who: str) -> pd.DataFrame | None:
    """Return each figure of a contender and its difference from ours, with resamples, on the cut-offs of both."""
    both = [table for table in tables if who in table and OURS in table and table["y"].nunique() > 1]
    if not both:
        return None
    accounts = pd.concat(both, ignore_index=True)["account"].to_numpy(dtype=object)
    bootstrap = AccountBootstrap(accounts, RESAMPLES)
    starts = np.cumsum([0, *[len(table) for table in both]])
    rows = {}
    for name, figure in FIGURES.items():

        def mean(column: str, weights: Any, figure: Any = figure) -> Any:
            values = []
            for table, start in zip(both, starts[:-1], strict=True):
                y, p = table["y"].to_numpy(), table[column].to_numpy()
                values.append(figure(Predictions(y, p, np.ones(len(y))), weights[:, start : start + len(y)]))
            return np.mean(values, axis=0)

        even = np.ones((1, len(accounts)))
        value, own = mean(who, even)[0], mean(OURS, even)[0]
        drawn = bootstrap.values(lambda w, mean=mean: mean(who, w) - mean(OURS, w))
        low, high = interval(drawn)
        rows[name] = {"value": value, "ours": own, "difference": value - own, "low": low, "high": high, "drawn": drawn}
    return pd.DataFrame(rows).T.assign(cutoffs=len(both))


def report(
    portfolio: Portfolio, target: Target, cutoffs: Sequence[str], stored: Runs, title: str
) -> dict[str, pd.DataFrame]:
    """Print the table of one target, and return the figures by contender."""
    tables = predictions(portfolio, target, cutoffs, stored)
    outcomes = int(sum(table["y"].sum() for table in tables))
    print(f"\n{portfolio.name}, {target}, {title}: {outcomes} outcomes of {sum(map(len, tables)):,} account-dates")
    print("| contender (cut-offs) | " + " | ".join(f"{name}; minus ours (95%)" for name in FIGURES) + " |")
    print("|---" * (1 + len(FIGURES)) + "|")
    answer = {who: table for who in WHO if (table := figures(tables, who)) is not None}
    for who, table in answer.items():
        cells = []
        for name, row in table.iterrows():
            digits = 4 if name == "log loss" else 3
            change = f"{row.difference:+.{digits}f} ({row.low:+.{digits}f}, {row.high:+.{digits}f})"
            same = f" (ours {row.ours:.{digits}f})" if row.cutoffs < len(tables) else ""
            cells.append(f"{row.value:.{digits}f}{same}" + ("" if who == OURS else f"; {change}"))
        print(f"| {who} ({table['cutoffs'].iloc[0]:.0f}) | " + " | ".join(cells) + " |", flush=True)
    return answer


def average(tables: Sequence[dict[str, pd.DataFrame]]) -> None:
    """Print the mean difference from ours over all data sets and targets that a contender has."""
    print("\nmean difference from ours over data sets and targets (95%)")
    for who in WHO[1:]:
        both = [table[who] for table in tables if who in table]
        cells = []
        for name in FIGURES if both else ():
            low, high = interval(np.mean([table.loc[name, "drawn"] for table in both], axis=0))
            value = np.mean([table.loc[name, "difference"] for table in both])
            cells.append(f"{name} {value:+.4f} ({low:+.4f}, {high:+.4f})")
        if both:
            print(f"| {who} ({len(both)}) | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(REPORTED), help="data sets to compare")
    parser.add_argument("--workdir", type=Path, help="folder for stored results and the peers' environment")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release to compare with")
    parser.add_argument("--who", nargs="+", default=list(WHO), choices=WHO, help="contenders to run")
    parser.add_argument("--choice", action="store_true", help="run the cut-offs that were used for choices, too")
    parser.add_argument("--report", action="store_true", help="only print the tables of stored runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        work = options.workdir or Path(fresh)
        work.mkdir(parents=True, exist_ok=True)
        stored = Runs(work / "real_data.jsonl")
        reported = []
        for name in options.names:
            portfolio = example(name, work)
            if portfolio is None:
                continue
            sets = {"cut-offs without a part in choices": REPORTED[name]}
            if options.choice:
                sets["cut-offs used for choices"] = CHOICE[name]
            for who in () if options.report else options.who:
                for target in TARGETS:
                    for cutoff in (each for cutoffs in sets.values() for each in cutoffs):
                        if who == EARLIER and options.earlier is None:
                            continue
                        key = {"data": name, "cutoff": cutoff, "target": target, "who": who}
                        stored.get(
                            key,
                            lambda p=portfolio, t=target, c=cutoff, w=who: run(p, t, c, w, work, options.earlier),
                        )
            for target in TARGETS:
                for title, cutoffs in sets.items():
                    table = report(portfolio, target, cutoffs, stored, title)
                    if cutoffs == REPORTED[name]:
                        reported.append(table)
        if len(reported) > 1:
            average(reported)


if __name__ == "__main__":
    main()
