"""What the company's own past says of every rubric: what its scores have meant, and weights where they are learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.meaning import HealthFacts, RubricFacts
from models.rubric import Rubric, load_rubric, rubric_files
from training.learned_weights import learn_weights
from training.meaning import fit_meaning
from training.prepare import Prepared
from training.split import Split


def health_facts(prepared: Prepared, rubric: Rubric, parts: Split, seed: int = 0) -> HealthFacts:
    """Look at every rubric there is, and at ``rubric``.

    Weights are learned on the dates before the test slice, so that the curve over the resulting score, held against the
    test slice, has not seen what it is judged by. The curve itself is then fitted on every labelled date.

    Parameters
    ----------
    prepared : labelled snapshots.
    rubric : the one that training uses, which may be a file of the user's.
    parts : the dates of training, calibration and test.
    """
    rubrics = {name: load_rubric(name) for name in rubric_files()} | {rubric.name: rubric}
    frame, label = prepared.frame, prepared.labels["churn"].to_numpy(dtype=np.float64)
    test = parts.mask("test", frame["as_of"]) & np.isfinite(label)
    labelled = np.isfinite(label)
    before: npt.NDArray[np.bool_] = labelled & (frame["as_of"] < frame["as_of"][test].min()).to_numpy()
    accounts = frame["account_id"].to_numpy(dtype=object)
    found: dict[str, RubricFacts] = {}
    for name, one in sorted(rubrics.items()):
        learned = None
        if one.rules.weights == "learned":
            points = one.score(frame).dimensions
            learned = learn_weights(points[before], label[before], accounts[before], seed)
            one = replace(one, learned=learned.weights if learned else None)
        scores = one.score(frame)
        meaning = fit_meaning(
            scores.score.to_numpy()[labelled],
            scores.band.to_numpy(dtype=object)[labelled],
            label[labelled],
            accounts[labelled],
            frame["as_of"][labelled].reset_index(drop=True),
            test[labelled],
            seed,
        )
        found[name] = RubricFacts(version=one.version, meaning=meaning, learned=learned)
    return HealthFacts(rubrics=found)
