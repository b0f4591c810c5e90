"""The cost of an explanation: our tables, LightGBM's pred_contrib and SHAP's TreeExplainer, on the same boosters.

The contenders take turns. Times are medians of the turns (minimum to maximum in brackets), and ratios are those of the
medians of one run. CPU time is that of all threads. LightGBM and SHAP explain fewer rows per call, because their cost
per row does not depend on it.

    python bench/explain.py [--turns 5] [--rows 10000] [--shapes 200x8d3 400x12 500x15d5 500x31] [--depths 3 4 5 6 8]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import lightgbm
import numpy as np
import numpy.typing as npt

from models.explain.treeshap import TreeShap

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Raised by SHAP and matplotlib on import.
    import shap

Floats = npt.NDArray[np.float64]

COLUMNS, ROWS = 120, 8000
#: Rows that LightGBM and SHAP explain in one turn.
THEIRS, OF_SHAP = 200, 50


def rows_of(count: int, seed: int) -> tuple[Floats, Floats]:
    """Return correlated signals (two categories, a seventh unknown) and outcomes that depend on a few of them."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(count, 12))
    x = hidden[:, np.random.default_rng(0).integers(0, 12, COLUMNS)] * 0.7 + rng.normal(size=(count, COLUMNS)) * 0.7
    x[:, :40] = np.round(np.exp(x[:, :40]))
    x[:, 0], x[:, 1] = rng.integers(0, 4, count), rng.integers(0, 18, count)
    x[rng.random(x.shape) < 0.15] = np.nan
    score = hidden[:, 0] * hidden[:, 1] + hidden[:, 2] - 0.5 * hidden[:, 3] ** 2 + (hidden[:, 4] > 1) * hidden[:, 5]
    score += (x[:, 0] == 2) + np.isin(x[:, 1], [2, 5, 9])
    return x, (rng.random(count) < 1 / (1 + np.exp(1.5 - score))).astype(float)


def booster_of(trees: int, leaves: int, depth: int) -> lightgbm.Booster:
    x, y = rows_of(ROWS, 0)
    settings = {"objective": "binary", "num_leaves": leaves, "max_depth": depth, "learning_rate": 0.05, "max_bin": 63}
    settings |= {"feature_fraction": 0.4, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 10.0}
    settings |= {"min_data_in_leaf": 60, "max_cat_to_onehot": 8, "verbosity": -1, "num_threads": 1, "seed": 1}
    data = lightgbm.Dataset(x, y, categorical_feature=[0, 1])
    return lightgbm.Booster(model_str=lightgbm.train(settings, data, trees).model_to_string())


def seconds_per_call(what: Callable[[], object], times: int = 1) -> tuple[float, float]:
    """Return the median CPU and wall seconds of a call."""
    values = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        what()
        values.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = np.median(values, axis=0)
    return float(cpu), float(wall)


def in_turns(contenders: dict[str, tuple[Callable[[], object], int, int]], turns: int) -> dict[str, npt.NDArray]:
    """Return CPU and wall seconds per row by contender, (turns, 2); a contender is (call, its rows, calls per turn)."""
    result: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(turns):
        for name, (call, _, times) in contenders.items():
            result[name].append(seconds_per_call(call, times))
    return {name: np.array(each) / contenders[name][1] for name, each in result.items()}


def summary(seconds: npt.NDArray) -> str:
    low, middle, high = np.quantile(seconds * 1e6, [0, 0.5, 1])
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


def compare(name: str, booster: lightgbm.Booster, turns: int, rows: int) -> None:
    text, (x, _) = booster.model_to_string(), rows_of(rows, 1)
    ours = TreeShap.of(text, COLUMNS)
    loads = np.array([seconds_per_call(lambda: TreeShap.of(text, COLUMNS)) for _ in range(turns)])
    explainer = shap.TreeExplainer(booster)
    explainer.model.model_type = "internal"  # by default SHAP calls LightGBM

    def theirs(rows: Floats, threads: int) -> Callable[[], object]:
        return lambda: booster.predict(rows, pred_contrib=True, num_threads=threads)

    def of_shap(rows: Floats) -> Callable[[], object]:
        return lambda: explainer.shap_values(rows, check_additivity=False)

    off = np.abs(ours.contributions(x[:THEIRS]) - theirs(x[:THEIRS], 1)()).max()
    one, some, few = x[:1], x[:THEIRS], x[:OF_SHAP]
    times = in_turns(
        {
            "ours, one row": (lambda: ours.contributions(one), 1, 30),
            "LightGBM, one row": (theirs(one, 1), 1, 10),
            "SHAP, one row": (of_shap(one), 1, 5),
            "ours, 1,000 rows": (lambda: ours.contributions(x[:1000]), 1000, 3),
            f"ours, {rows:,} rows": (lambda: ours.contributions(x), rows, 1),
            "LightGBM": (theirs(some, 1), THEIRS, 1),
            "LightGBM, two threads": (theirs(some, 2), THEIRS, 1),
            "SHAP": (of_shap(few), OF_SHAP, 1),
            "LightGBM's prediction": (lambda: booster.predict(x, raw_score=True, num_threads=1), rows, 1),
            "LightGBM's prediction, one row": (lambda: booster.predict(one, raw_score=True, num_threads=1), 1, 30),
        },
        turns,
    )
    print(
        f"\n{name}: tables {ours.bytes / 2**20:.1f} MiB, made in {summary(loads[:, 0] / 1e3)} CPU ms; off by {off:.1e}"
    )
    middle = {each: np.median(seconds, axis=0) for each, seconds in times.items()}
    for each, seconds in times.items():
        against = middle["ours, one row" if each.endswith("one row") else f"ours, {rows:,} rows"]
        ratio, wall = middle[each] / against
        print(
            f"  {each:32} CPU {summary(seconds[:, 0]):28} wall {summary(seconds[:, 1]):28} microseconds a row;"
            f" {1 / middle[each][0]:9,.0f} rows a CPU second; {ratio:6.1f} (wall {wall:.1f}) times ours"
        )


def by_depth(depths: list[int], turns: int) -> None:
    x, _ = rows_of(10_000, 1)
    for depth in depths:
        text = (booster := booster_of(400, 31, depth)).model_to_string()
        ours = TreeShap.of(text, COLUMNS)
        times = in_turns(
            {
                "load": (lambda text=text: TreeShap.of(text, COLUMNS), 1, 1),
                "batch": (lambda ours=ours: ours.contributions(x), 10_000, 1),
                "one": (lambda ours=ours: ours.contributions(x[:1]), 1, 30),
                "LightGBM": (lambda b=booster: b.predict(x[:THEIRS], pred_contrib=True, num_threads=1), THEIRS, 1),
            },
            turns,
        )
        middle = {each: np.median(seconds[:, 0]) for each, seconds in times.items()}
        print(
            f"400 trees of at most 31 leaves, depth at most {depth}: tables {ours.bytes / 2**20:.1f} MiB, made in"
            f" {middle['load']:.2f} s; one row {middle['one'] * 1e6:,.0f}, in a batch {middle['batch'] * 1e6:,.0f},"
            f" LightGBM {middle['LightGBM'] * 1e6:,.0f} microseconds: {middle['LightGBM'] / middle['batch']:.1f} times",
            flush=True,
        )


def main() -> None:
    shapes = {"200x8d3": (200, 8, 3), "400x12": (400, 12, -1), "500x15d5": (500, 15, 5), "500x31": (500, 31, -1)}
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--turns", type=int, default=5, help="turns of each contender (default: %(default)s)")
    arguments.add_argument("--rows", type=int, default=10_000, help="rows of a batch (default: %(default)s)")
    arguments.add_argument(
        "--shapes",
        nargs="*",
        default=[*shapes],
        choices=shapes,
        help="boosters to compare: trees x leaves, d and the maximum depth (default: %(default)s)",
    )
    arguments.add_argument(
        "--depths",
        nargs="*",
        type=int,
        default=[3, 4, 5, 6, 8, -1],
        help="maximum tree depths to measure; -1 for no limit (default: %(default)s)",
    )
    options = arguments.parse_args()
    for name in options.shapes:
        compare(name, booster_of(*shapes[name]), options.turns, options.rows)
    by_depth(options.depths, options.turns)


if __name__ == "__main__":
    main()
