"""What the company's own past says of every rubric: what its scores have meant, and weights where they are learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.meaning import HealthFacts, RubricFacts
from models.rubric import HealthScores, Rubric, load_rubric, rubric_files
from training.learned_weights import learn_weights
from training.meaning import fit_meaning
from training.prepare import Prepared
from training.split import Split


def rubrics_beside(rubric: Rubric) -> dict[str, Rubric]:
    """Every rubric there is by its name, and ``rubric``, which may be a file of the user's."""
    return {name: load_rubric(name) for name in rubric_files()} | {rubric.name: rubric}


def health_facts(prepared: Prepared, scored: Mapping[str, HealthScores], parts: Split, seed: int = 0) -> HealthFacts:
    """Look at every rubric of ``scored``.

    Weights are learned on the dates before the test slice, so that the curve over the resulting score, held against the
    test slice, has not seen what it is judged by. The curve itself is then fitted on every labelled date.

    Parameters
    ----------
    prepared : labelled snapshots.
    scored : their health scores by rubric.
    parts : the dates of training, calibration and test.
    """
    frame, label = prepared.frame, prepared.labels["churn"].to_numpy(dtype=np.float64)
    labelled = np.isfinite(label)
    test = parts.mask("test", frame["as_of"]) & labelled
    before: npt.NDArray[np.bool_] = labelled & (frame["as_of"] < frame["as_of"][test].min()).to_numpy()
    accounts = frame["account_id"].to_numpy(dtype=object)
    found: dict[str, RubricFacts] = {}
    for name, scores in sorted(scored.items()):
        learned = None
        if scores.rubric.rules.weights == "learned":
            learned = learn_weights(scores.dimensions[before], label[before], accounts[before], seed)
            scores = replace(scores.rubric, learned=learned.weights if learned else None).score(frame)
        meaning = fit_meaning(
            scores.score.to_numpy()[labelled],
            scores.band.to_numpy(dtype=object)[labelled],
            label[labelled],
            accounts[labelled],
            frame["as_of"][labelled].reset_index(drop=True),
            test[labelled],
            seed,
        )
        found[name] = RubricFacts(version=scores.rubric.version, meaning=meaning, learned=learned)
    return HealthFacts(rubrics=found)
