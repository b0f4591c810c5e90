"""The model of a release before the ensemble: a blend of logistic regression and small trees, calibrated on the newest
slice of the history. Run with a checkout of that release as PYTHONPATH; the task is a pickled file.

Its search uses the training rows of the model that ships, not those of the model that was evaluated, so it is a little
better than the release itself.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from training.dataset.time_split import split_dates
from training.estimators.blend import fit_blend
from training.evaluation.interval_width import true_probability_spread
from training.pipeline.final_model import fit_final_model

from features.catalogue.catalogue import CATALOGUE
from features.errors import InsufficientData
from models.scorer.scorer import Scorer
from training.config import TrainConfig
from training.dataset.target_rows import TargetRows
from training.evaluation.reason_stability import reason_stability


def run(task: dict[str, Any]) -> dict[str, Any]:
    config, target, through, main = TrainConfig(), task["target"], task["through"], task["horizon_days"]
    prepared = SimpleNamespace(
        frame=task["frame"],
        labels=task["labels"][main],
        further_labels={days: each for days, each in task["labels"].items() if days != main},
        grace_days=task["grace_days"],
        catalogue=CATALOGUE,
    )
    cpu, start = time.process_time(), time.perf_counter()
    try:
        past = [date for date in task["as_ofs"] if date < through]
        parts = split_dates(past, main, task["grace_days"], through).final()
        rows = TargetRows(prepared, target, {}, main)

        def search(design: Any) -> Any:
            return fit_blend(design, CATALOGUE, target, config.trials, config.seed, config.threads)

        model = fit_final_model(rows, parts, through, search, config.seed)
    except InsufficientData as error:
        return {"refused": str(error)}
    result: dict[str, Any] = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - start}
    calibrator = dict(model.calibrator)
    if task["intervals"]:
        newest = task["frame"][task["frame"]["as_of"] == max(past)]
        refits = reason_stability(model.blend, model.design, newest, CATALOGUE, target, config.refits, config.seed)
        calibrator["spread"] = true_probability_spread(refits)
        result["stability"] = None if refits is None else refits.as_dict()
    blend = model.blend
    schema = json.loads(json.dumps(blend.encoding.schema | blend.scorer_parameters()))
    scorer = Scorer.from_texts(blend.trees.text, schema, json.loads(json.dumps(calibrator)))
    predicted = scorer.predict(task["test"])
    result |= {"p": predicted.probability.tolist(), "low": predicted.low.tolist(), "high": predicted.high.tolist()}
    if task["explained"] is not None:
        result["reasons"] = largest_concepts(scorer, task["explained"])
    return result


def largest_concepts(scorer: Scorer, frame: Any) -> dict[str, list[str]]:
    """Return the five concepts that contribute most, with their sign, by account: the reasons of that release."""
    parts = scorer.contributions(scorer.encode(frame).matrix)[:, :-1]
    concepts = sorted({CATALOGUE[name].concept for name in scorer.features})
    columns = [concepts.index(CATALOGUE[name].concept) for name in scorer.features]
    sums = np.zeros((len(frame), len(concepts)))
    np.add.at(sums.T, columns, parts.T)
    largest = np.argsort(-np.abs(sums), axis=1, kind="stable")[:, :5]
    names = [
        [f"{concepts[c]} {'+' if sums[i, c] > 0 else '-'}" for c in row if sums[i, c] != 0.0]
        for i, row in enumerate(largest)
    ]
    return dict(zip(frame["account_id"].astype(str), names, strict=True))


def main() -> None:
    with threadpool_limits(limits=1, user_api="blas"):
        print(json.dumps(run(pickle.loads(Path(sys.argv[1]).read_bytes()))))


if __name__ == "__main__":
    main()
