"""Holding a review: signals in, the document and its page out, written whole and recorded in MLflow."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from features.errors import BadRequest, HomeError
from features.utils.atomic_files import UNFINISHED, new_folder
from features.utils.periods import Quarter
from features.utils.progress import Progress, no_progress
from models.artifacts.champion import load_champion
from models.artifacts.home_portfolio import require_portfolio
from models.health.rubric_versions import ReviewedHashes, read_history, sha256
from models.home import Home
from models.reviews.sign_off import earliest_effective
from training.config import TrainConfig
from training.registry import mlflow_tracking
from training.review.dataset import ReviewData, load_review_data
from training.review.document import SCHEMA_VERSION, ReviewDocument, SignOffSection
from training.review.hindsight import hindsight
from training.review.html.render import render
from training.review.recalibration.proposals import Proposals, propose_changes
from training.review.sections.band_migration import band_migration
from training.review.sections.by_band import outcome_by_band
from training.review.sections.by_segment import segment_rows
from training.review.sections.challenger import compare_challenger
from training.review.sections.data_quality import data_quality, weights_in_force
from training.review.sections.decision import decision_box
from training.review.sections.definitions import review_definitions
from training.review.sections.disagreements import find_disagreements
from training.review.sections.drift import signal_drift
from training.review.sections.impact import proposal_impact
from training.review.sections.interventions import intervention_outcomes
from training.review.sections.lead_time import lead_time
from training.review.sections.reliability import model_reliability, score_meaning, score_reliability

PAGE, DOCUMENT = "index.html", "review.json"
CAPACITY = TrainConfig().capacity


@dataclass(frozen=True)
class ReviewResult:
    """A review and where it lies."""

    review: ReviewDocument
    folder: Path
    run_id: str

    def text(self) -> str:
        """What a person wants to know first."""
        box = self.review.decision
        lines = [
            box.headline,
            f"  {box.changes}",
            f"  {box.hindsight}",
            f"  {box.evidence}",
            *(f"  {n}" for n in box.notes),
        ]
        for name, decided in (("weights", box.weights), ("band limits", box.bands)):
            lines += [f"  {name}: {decided.words}", *(f"    {reason}" for reason in decided.reasons)]
        return "\n".join(
            [
                *lines,
                f"Look at  {self.folder / PAGE}",
                f"Figures  {self.folder / DOCUMENT}",
                f"Sign     renewcast approve {self.review.id} --owner NAME",
                f"         Two people sign, each with their own key; in force from {box.effective} at the earliest",
            ]
        )


def run_review(
    address: str | Path,
    quarter: Quarter,
    home: Home,
    rubric: str | None = None,
    capacity: int = CAPACITY,
    out: Path | None = None,
    progress: Progress = no_progress,
) -> ReviewResult:
    """Hold the review of a quarter.

    Parameters
    ----------
    address : the signals source; nothing at or after the quarter's end is read.
    rubric : of the health score to review; the champion's if not given.
    capacity : red accounts that the team can look after at a date.
    out : the folder to write; ``RENEWCAST_HOME/reviews/<id>`` if not given. A folder that holds anything but an earlier
        review is left alone.

    Raises
    ------
    InsufficientData
        Nothing has matured in the quarter, or there is no history before it: what is lacking.
    SignalsError, BundleError, RulesError, HomeError
        The source, a bundle, a rule or the home is broken, or cannot be written, or the source is of another portfolio.
    """
    if capacity < 1:
        raise BadRequest(f"a capacity of {capacity} accounts", "at least 1")
    home.ensure()
    if out is not None:
        _refuse_foreign(out)
    champion = load_champion(home)
    if rubric is not None:
        champion = champion.with_rubric(rubric)
    seen = load_review_data(address, quarter, champion, lambda done, what: progress(0.6 * done, what), home.rollups)
    try:
        require_portfolio(home, seen.signals)
        progress(0.6, "weights and band limits")
        found = propose_changes(seen, capacity)
        progress(0.8, "the other sections")
        review = _review(seen, found, capacity, home, address)
        progress(0.9, "drawing the page")
        page = render(review)
    finally:
        seen.signals.close()
    folder = out or home.reviews / review.id
    progress(0.95, "writing")
    told = json.dumps(review.plain(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    run_id = _write(home, review, folder, page, told)
    progress(1.0, "reviewed")
    return ReviewResult(review, folder, run_id)


def _review(seen: ReviewData, found: Proposals, capacity: int, home: Home, address: str | Path) -> ReviewDocument:
    rubric, bundle = seen.champion.rubric, seen.champion.bundles.get("churn")
    hashes = ReviewedHashes(
        data=seen.data_fingerprint, rubric=sha256(rubric.text), model=None if bundle is None else bundle.fingerprint
    )
    quarter = seen.window.quarter
    inputs = [SCHEMA_VERSION, quarter.name, rubric.name, hashes.model_dump(), capacity]
    short = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:8]
    looked_back, reviewed_to = hindsight(seen, found.proposed), quarter.end.date()
    effective = earliest_effective(home, read_history(home), rubric.name, reviewed_to, found.changes).day.isoformat()
    limits, meaning = rubric.rules.bands, None
    if found.proposed is not None:
        scores = found.proposed.score(seen.frame)
        meaning = score_meaning(seen, np.asarray(scores.score, dtype=np.float64), scores.band.to_numpy(dtype=object))
    return ReviewDocument(
        id=f"{quarter.name}-{rubric.name}-{short}",
        quarter=quarter.name,
        created_at=datetime.now(UTC),
        decision=decision_box(found, effective, looked_back.words, _strength(seen)),
        definitions=review_definitions(seen),
        data_quality=data_quality(seen),
        churn_by_band=outcome_by_band(seen, "churn"),
        expansion_by_band=outcome_by_band(seen, "expansion"),
        lead_time=lead_time(seen),
        hindsight=looked_back,
        migration=band_migration(seen),
        score_reliability=score_reliability(seen),
        model_reliability=model_reliability(seen, home),
        weight_proposal=found.sets[0].as_dict(),
        profile_proposals=tuple(each.as_dict() for each in found.sets[1:]),
        band_proposal=found.bands.as_dict(),
        impact=proposal_impact(seen, found.proposed or found.candidate, capacity, found.changes),
        challenge=compare_challenger(seen, home),
        segments=segment_rows(seen),
        drift=signal_drift(seen),
        disagreements=find_disagreements(seen),
        interventions=intervention_outcomes(seen),
        sign_off=SignOffSection(
            rubric=rubric.name,
            version=rubric.version,
            model=None if bundle is None else bundle.manifest.version,
            signals=_kept_address(address, seen),
            data_through=seen.window.data_through.isoformat(),
            hashes=hashes,
            weights=weights_in_force(seen),
            bands={"green": limits.green, "yellow": limits.yellow, "red": limits.red},
            profiles=rubric.rules.profiles,
            proposed_weights=dict(found.sets[0].proposal.new) if found.changes else None,
            proposed_bands=dict(found.bands.new) if found.changes else None,
            proposed_profiles=found.proposed.rules.profiles if found.proposed is not None else (),
            meaning=meaning,
            earliest_effective=reviewed_to.isoformat(),
        ),
    )


def _strength(seen: ReviewData) -> dict[str, float]:
    """How strongly each dimension goes with staying by itself, as training found; empty where it is not known."""
    rubric, bundle = seen.champion.rubric, seen.champion.bundles.get("churn")
    facts = None if bundle is None else bundle.health.of(rubric.name, rubric.version)
    return {} if facts is None or facts.learned is None else {n: s[0] for n, s in facts.learned.strength.items()}


def _kept_address(address: str | Path, seen: ReviewData) -> str:
    """The address as it can be opened again: absolute, where it is a path; without a password always."""
    return seen.signals.origin if "://" in str(address) else str(Path(address).absolute())


def _refuse_foreign(out: Path) -> None:
    if out.exists() and (not out.is_dir() or {entry.name for entry in out.iterdir()} - {PAGE, DOCUMENT}):
        raise HomeError(f"{out} holds something else than a review", "a folder that is new, or an earlier review's")


def _write(home: Home, review: ReviewDocument, folder: Path, page: str, told: str) -> str:
    """Fill a folder beside, and put it in the place of an earlier one; then record both in MLflow."""
    aside = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}{UNFINISHED}")
    with mlflow_tracking.run(home, f"review {review.id}") as run:
        with new_folder(aside) as beside:
            (beside / PAGE).write_text(page, encoding="utf-8")
            (beside / DOCUMENT).write_text(told, encoding="utf-8")
        try:
            run.tags({"renewcast.review": review.id})
            run.params(
                {"quarter": review.quarter, "rubric": review.sign_off.rubric, "version": review.sign_off.version}
            )
            run.document(f"review/{PAGE}", page)
            run.document(f"review/{DOCUMENT}", told)
            run.metrics("review", _measures(review))
            _exchange(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return run.run_id


def _measures(review: ReviewDocument) -> dict[str, float]:
    figures = {"score_auc": review.score_reliability.auc, "churn_rate": review.churn_by_band.overall}
    told = {name: figure.value for name, figure in figures.items() if figure.value is not None}
    return told | {"accounts_with_churn": float(review.definitions.accounts_with_churn)}


def _exchange(new: Path, folder: Path) -> None:
    """Two renames: between them there is none, and never half of one."""
    old = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}{UNFINISHED}")
    try:
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError as error:
        raise HomeError(f"cannot write {folder}: {error.strerror}", "a place that can be written") from error
    finally:
        shutil.rmtree(old, ignore_errors=True)
