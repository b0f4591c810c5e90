"""How often the reasons of an account stay the same when the model is fitted again.

Two kinds of refits: at the next monthly date (both models explain the same later snapshot), and on resampled accounts,
each with a search of its own. "Given" reasons are those that an answer shows; ours shows only those on which the
members of the ensemble agree, the earlier release always shows five. A reason is the same if its concept and its
direction are.

    python bench/reason_changes.py --workdir DIR [--data crm-simulated mixed-b2b] [--resamples 4] [--earlier CHECKOUT]
        [--accounts 1000] [--weeks 104] [--seeds 1 2 3]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from model_runs import Runs, earlier, fit, reasons, resampled
from portfolios import Portfolio, example
from synthetic_portfolios import EARLIER, OURS, World

from features.utils.dates import parse_instant
from models.targets import TARGETS, Target

CRM = "crm-simulated"
DATES = {
    CRM: ("2023-08-08", "2023-09-05"),
    "mixed-b2b": ("2026-02-03", "2026-03-03", "2026-03-31"),
}
"""Dates of consecutive models, four weeks apart; the last one is that of the resamples."""
Reasons = Mapping[str, list[str]]


def portfolios_of(name: str, options: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Portfolio]]:
    """Yield an example data set, or the simulated portfolios of a kind, each with its part of the key of a run."""
    if name != CRM:
        for seed in options.seeds:
            world = World(name, options.accounts, options.weeks, seed, options.workdir)
            yield {"data": name, "accounts": options.accounts, "weeks": options.weeks, "seed": seed}, world.portfolio
    elif (portfolio := example(name, options.workdir)) is not None:
        yield {"data": name}, portfolio


def dated(
    portfolio: Portfolio, name: str, target: Target, date: str, checkout: Path | None, who: str
) -> dict[str, Any]:
    """Fit as of a date, and return the reasons for the snapshots of that date and of the next one."""
    dates = DATES[name]
    explained = [date, *dates[dates.index(date) + 1 : dates.index(date) + 2]]
    through = parse_instant(date)
    if who == OURS:
        model = fit(portfolio, target, through)
        return {each: reasons(model, portfolio, target, parse_instant(each)) for each in explained}
    assert checkout is not None
    snapshots = pd.concat([_snapshot(portfolio, each) for each in explained], ignore_index=True)
    run = earlier(checkout, portfolio, target, through, snapshots.head(1), intervals=True, explained=snapshots)
    if "reasons" not in run:
        return run
    answer: dict[str, Any] = {"stability": run["stability"]}
    for each in explained:
        marks = [key for key in run["reasons"] if key.startswith(f"{each} ")]
        answer[each] = {key.removeprefix(f"{each} "): run["reasons"][key] for key in marks}
    return answer


def _snapshot(portfolio: Portfolio, date: str) -> pd.DataFrame:
    """Return the snapshots of a date; the account's name says which date it is."""
    frame = portfolio.frame[portfolio.frame["as_of"] == parse_instant(date)]
    return frame.assign(account_id=f"{date} " + frame["account_id"].astype(str))


def redrawn(
    portfolio: Portfolio, target: Target, date: str, number: int, checkout: Path | None, who: str
) -> dict[str, Any]:
    """Fit on resampled accounts, and return the reasons for the snapshots of a date."""
    through, source = parse_instant(date), resampled(portfolio, number)
    if who == OURS:
        return {"reasons": reasons(fit(source, target, through), portfolio, target, through)}
    assert checkout is not None
    snapshots = portfolio.frame[portfolio.frame["as_of"] == through]
    return earlier(checkout, source, target, through, snapshots.head(1), intervals=False, explained=snapshots)


def changes(before: Reasons, after: Reasons) -> dict[str, float]:
    """Compare the given reasons of two models for the same accounts."""
    both = [(before[account], after[account]) for account in before if account in after]
    given = [(one, other) for one, other in both if one]
    return {
        "first reason first again": float(np.mean([one[:1] == other[:1] for one, other in given])),
        "first reason given again": float(np.mean([one[0] in other for one, other in given])),
        "reasons given again": sum(r in other for one, other in both for r in one) / sum(len(one) for one, _ in both),
        "at least one": len(given) / len(both),
        "at least two": float(np.mean([len(one) >= 2 for one, _ in both])),
        "mean number": float(np.mean([len(one) for one, _ in both])),
        "accounts": len(both),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(DATES), choices=list(DATES), help="portfolios")
    parser.add_argument("--resamples", type=int, default=4, help="refits on resampled accounts")
    parser.add_argument("--accounts", type=int, default=1000, help="accounts of simulated portfolios")
    parser.add_argument("--weeks", type=int, default=104, help="weeks of simulated portfolios")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="seeds of simulated portfolios")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for stored results")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release to compare with")
    options = parser.parse_args()
    stored = Runs(options.workdir / "reason_changes.jsonl")
    for name in options.data:
        found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
        for named, portfolio in portfolios_of(name, options):
            for target, who in product(TARGETS, (OURS, EARLIER) if options.earlier else (OURS,)):
                key = named | {"target": target, "who": who}
                for kind, pairs in refits(stored, key, portfolio, name, target, who, options).items():
                    found.setdefault((target, who, kind), []).extend(pairs)
        for (target, who, kind), pairs in found.items():
            report(f"{name}, {target}, {who}: {kind}, {len(pairs)}", pairs)


def refits(
    stored: Runs,
    key: Mapping[str, Any],
    portfolio: Portfolio,
    name: str,
    target: Target,
    who: str,
    options: argparse.Namespace,
) -> dict[str, list[dict[str, float]]]:
    """Return the changes of the reasons of one portfolio, by kind of refit."""
    dates, earlier_release = DATES[name], options.earlier
    runs = {}
    for date in dates:
        runs[date] = stored.get(
            {**key, "date": date}, lambda d=date: dated(portfolio, name, target, d, earlier_release, who)
        )
    pairs = [
        changes(runs[one][other], runs[other][other])
        for one, other in pairwise(dates)
        if other in runs[one] and other in runs[other]
    ]
    stable = [run["stability"] for run in runs.values() if run.get("stability")]
    answer = {"refits at the next date": pairs, "its own figures on resampled accounts, without the direction": stable}
    date = dates[-1]
    if date in runs[date]:
        drawn = [
            stored.get(
                {**key, "date": date, "resample": number},
                lambda n=number: redrawn(portfolio, target, date, n, earlier_release, who),
            )["reasons"]
            for number in range(1, options.resamples + 1)
        ]
        answer["refits on samples of the accounts"] = [changes(runs[date][date], other) for other in drawn]
    return answer


def report(title: str, pairs: list[dict[str, float]]) -> None:
    """Print the mean and the range over pairs of models."""
    if pairs:
        print(f"\n{title}")
        print(pd.DataFrame(pairs).agg(["mean", "min", "max"]).T.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
