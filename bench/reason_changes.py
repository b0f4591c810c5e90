"""How often the reasons of an account stay the same when the model is fitted again.

Two kinds of refits: at the next monthly date (both models explain the same later snapshot), and on resampled accounts,
each with a search of its own. "Given" reasons are those that an answer shows; ours shows only those on which the
members of the ensemble agree, the earlier release always shows five. A reason is the same if its concept and its
direction are.

    python bench/reason_changes.py --workdir DIR [--data crm-simulated mixed-b2b] [--resamples 4] [--earlier CHECKOUT]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from model_runs import Runs, earlier, fit, reasons, resampled
from portfolios import Portfolio, example
from synthetic_portfolios import EARLIER, OURS, World

from features.utils.dates import parse_instant
from models.targets import TARGETS, Target

DATES = {
    "crm-simulated": ("2023-08-08", "2023-09-05"),
    "mixed-b2b": ("2026-02-03", "2026-03-03", "2026-03-31"),
}
"""Dates of consecutive models, four weeks apart; the last one is that of the resamples."""
WORLD = (1000, 104, 1)
"""Accounts, weeks and seed of the simulated portfolio."""
Reasons = Mapping[str, list[str]]


def portfolio_of(name: str, work: Path) -> Portfolio | None:
    """Return an example data set or a simulated portfolio."""
    return example(name, work) if name == "crm-simulated" else World(name, *WORLD, work).portfolio


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
    parser.add_argument("--workdir", type=Path, required=True, help="folder for stored results")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier release to compare with")
    options = parser.parse_args()
    stored = Runs(options.workdir / "reason_changes.jsonl")
    for name in options.data:
        portfolio = portfolio_of(name, options.workdir)
        if portfolio is None:
            continue
        for target in TARGETS:
            for who in (OURS, EARLIER) if options.earlier else (OURS,):
                runs = {}
                for date in DATES[name]:
                    key = {"data": name, "date": date, "target": target, "who": who}
                    runs[date] = stored.get(
                        key,
                        lambda p=portfolio, n=name, t=target, d=date, w=who: dated(p, n, t, d, options.earlier, w),
                    )
                pairs = [
                    changes(runs[one][other], runs[other][other])
                    for one, other in pairwise(DATES[name])
                    if other in runs[one] and other in runs[other]
                ]
                report(f"{name}, {target}, {who}: {len(pairs)} refits at the next date", pairs)
                stable = [run["stability"] for run in runs.values() if run.get("stability")]
                report("its own figures on resampled accounts, without the direction", stable)
                date = DATES[name][-1]
                if date not in runs[date]:
                    continue
                drawn = [runs[date][date]]
                for number in range(1, options.resamples + 1):
                    key = {"data": name, "date": date, "target": target, "who": who, "resample": number}
                    run = stored.get(
                        key,
                        lambda p=portfolio, t=target, d=date, n=number, w=who: redrawn(p, t, d, n, options.earlier, w),
                    )
                    drawn.append(run["reasons"])
                pairs = [changes(drawn[0], other) for other in drawn[1:]]
                report(f"{name}, {target}, {who}: refits on {len(pairs)} samples of the accounts", pairs)


def report(title: str, pairs: list[dict[str, float]]) -> None:
    """Print the mean and the range over pairs of models."""
    if pairs:
        print(f"\n{title}")
        print(pd.DataFrame(pairs).agg(["mean", "min", "max"]).T.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
