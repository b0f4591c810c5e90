"""Coverage of the interval if the level moves, on simulated worlds with a known level.

600 accounts, 130 weeks. Log-odds have the right shape and are calibrated on a quarter whose last label window ends with
the data; the forecast is for the day after. "steady": the level stays; "double", "halve": it moves by log 2 once, after
the middle of the calibration slice and never before; "walk": it moves by log 2 up or down every half-year. Each is
evaluated without and with the past movements of the level.

    python bench/level.py [--worlds 16]
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.special
from training.evaluation.interval_width import UNEXPLAINED_SPREAD

from features.utils.arrays import Bools, Floats
from models.scorer.scorer import INTERVAL, NORMAL_80
from training.estimators import level_shift
from training.estimators.calibration import apply_calibrator, calibrate
from training.statistics import newton_logistic

ACCOUNTS, WEEKS, GAP, SLICE, AHEAD, BASE = 600, 130, 17, 13, 13, -3.0
WORLDS = ("steady", "double", "halve", "walk")


class World(NamedTuple):
    """Signals (weeks, accounts), customer ids, outcomes within 13 weeks, signals and true chances at the end."""

    signal: Floats
    ids: Floats
    outcome: Bools
    now: Floats
    truth: Floats


def path(kind: str, rng: np.random.Generator) -> Floats:
    values = np.zeros(WEEKS + AHEAD)
    if kind == "walk":
        for week in range(26, len(values), 26):
            values[week:] += np.log(2) * rng.choice([-1, 1])
    elif kind != "steady":
        values[rng.integers(WEEKS - GAP - SLICE // 2, WEEKS) :] += np.log(2) * (1 if kind == "double" else -1)
    return values


def world(kind: str, seed: int) -> World:
    rng = np.random.default_rng(seed)
    levels, usual, unseen = path(kind, rng), rng.normal(size=ACCOUNTS), rng.normal(0, UNEXPLAINED_SPREAD, ACCOUNTS)
    ids, signal, weeks, available, ended = np.arange(ACCOUNTS, dtype=np.float64), usual.copy(), [], [], []
    now, left = signal, np.ones(ACCOUNTS)
    for week, high in enumerate(levels):
        signal = usual + 0.8 * (signal - usual) + rng.normal(0, 0.25, ACCOUNTS)
        hazard = 1 - (1 - scipy.special.expit(BASE + high + signal + unseen)) ** (1 / AHEAD)
        if week == WEEKS:
            now, then = signal.copy(), unseen.copy()
        if week >= WEEKS:
            left *= (1 - scipy.special.expit(BASE + high + now + then)) ** (1 / AHEAD)
        churned = rng.random(ACCOUNTS) < hazard
        weeks.append(signal.copy())
        available.append(ids.copy())
        ended.append(churned)
        usual[churned], unseen[churned] = (
            rng.normal(size=churned.sum()),
            rng.normal(0, UNEXPLAINED_SPREAD, churned.sum()),
        )
        signal[churned], ids[churned] = usual[churned], ids.max() + 1 + np.arange(churned.sum())
    counts = np.vstack([np.zeros(ACCOUNTS), np.cumsum(ended, axis=0)])
    return World(np.array(weeks), np.array(available), counts[AHEAD:] > counts[:-AHEAD], now, 1 - left)


def one(kind: str, seed: int) -> dict[str, float]:
    created, last = world(kind, seed), WEEKS - GAP

    def rows(first: int, end: int, every: int = 1) -> tuple[Floats, Floats, np.ndarray, pd.Series]:
        weeks = np.arange(first, end, every)
        dates = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.repeat(7 * weeks, ACCOUNTS), unit="D")
        labels = created.outcome[weeks].ravel().astype(np.float64)
        return created.signal[weeks].ravel(), labels, created.ids[weeks].ravel().astype(str), pd.Series(dates)

    past, happened, _, _ = rows(0, last - SLICE - GAP)
    design = np.column_stack([past, np.ones_like(past)])
    slope, constant = newton_logistic.fit(design, happened, np.ones((1, len(past))), np.zeros(2), np.zeros(2))[0]
    signal, y, accounts, as_of = rows(last - SLICE, last)
    raw, trained = slope * signal + constant, slope * past + constant
    expected = level_shift.expected_slice_rate(raw, y, accounts, trained, float(happened.mean()))
    signals, outcomes, names, dates = rows(0, last, 2)
    offset = level_shift.nonnegative_slope(raw, y, accounts) * (slope * signals + constant)
    move = level_shift.estimate_level_move(offset, outcomes, names, dates, 7 * (GAP + SLICE / 2))
    answer = {"move": move}
    for name, by in (("without", 0.0), ("with", move)):
        calibrated = calibrate(raw, y, accounts, as_of, expected, seed=seed, move=by)
        requested = slope * created.now + constant
        every = [
            apply_calibrator({"kind": calibrated["kind"], "parameters": p}, requested) for p in calibrated["resamples"]
        ]
        point = scipy.special.logit(apply_calibrator(calibrated, requested))
        low, high = scipy.special.logit(np.quantile(every, INTERVAL, axis=0))
        wide = NORMAL_80 * UNEXPLAINED_SPREAD
        lower = point - np.hypot(wide, np.maximum(point - low, 0))
        upper = point + np.hypot(wide, np.maximum(high - point, 0))
        true = scipy.special.logit(created.truth)
        answer |= {f"truth inside, {name}": float(((lower <= true) & (true <= upper)).mean())}
        answer |= {f"width, {name}": float((scipy.special.expit(upper) - scipy.special.expit(lower)).mean())}
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=16, help="number of simulated worlds (default: %(default)s)")
    options = parser.parse_args()
    for kind in WORLDS:
        frame = pd.DataFrame([one(kind, seed) for seed in range(options.worlds)])
        print(kind, frame.mean().round(3).to_dict(), flush=True)


if __name__ == "__main__":
    main()
