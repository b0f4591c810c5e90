"""Run a quarterly review: read signals, write the document and its page, and log both to MLflow."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
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
from models.home_writers import writing
from models.reviews.review_store import CHARTS, DOCUMENT, PAGE
from models.reviews.sign_off import earliest_effective
from training.config import TrainConfig
from training.registry import mlflow_tracking
from training.review.dataset import ReviewData, load_review_data
from training.review.document import SCHEMA_VERSION, QuarterlyReview, SignOffSection
from training.review.hindsight import hindsight
from training.review.html.render import render
from training.review.html.section_charts import draw_section_charts
from training.review.recalibration.proposals import Proposals, propose_changes
from training.review.sections.band_migration import band_migration
from training.review.sections.by_band import outcome_by_band
from training.review.sections.by_contract import contract_rows
from training.review.sections.by_segment import segment_rows
from training.review.sections.challenger import compare_challenger
from training.review.sections.data_quality import data_quality, weights_in_force
from training.review.sections.decision import decision_box
from training.review.sections.definitions import review_definitions
from training.review.sections.disagreements import find_disagreements
from training.review.sections.drift import signal_drift
from training.review.sections.impact import proposal_impact
from training.review.sections.interventions import intervention_outcomes
from training.review.sections.judgments import review_judgments
from training.review.sections.lead_time import lead_time
from training.review.sections.reliability import model_reliability, score_meaning, score_reliability

CAPACITY = TrainConfig().capacity


@dataclass(frozen=True)
class ReviewResult:
    """A review, its folder, its MLflow run, and what the mapping of the signals has not answered."""

    review: QuarterlyReview
    folder: Path
    run_id: str
    open_questions: tuple[str, ...] = ()

    def text(self) -> str:
        """Summarize the decision and list the next steps."""
        box = self.review.decision
        lines = [
            box.headline,
            f"  {box.changes}",
            f"  {box.hindsight}",
            f"  {box.evidence}",
            *(f"  {note}" for note in box.notes),
        ]
        for name, decided in (("weights", box.weights), ("band limits", box.bands)):
            lines += [f"  {name}: {decided.words}", *(f"    {reason}" for reason in decided.reasons)]
        return "\n".join(
            [
                *lines,
                f"Page     {self.folder / PAGE}",
                f"Figures  {self.folder / DOCUMENT}",
                f"Sign     renewcast approve {self.review.id} --owner NAME",
                f"         Two people sign, each with their own API key; earliest effective date {box.effective}",
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
    """Review a quarter.

    Parameters
    ----------
    address : the signals source. Rows at or after the end of the quarter are ignored.
    quarter : the quarter to review.
    home : where bundles, rubrics and reviews are stored.
    rubric : name or file of the rubric to review; None for the rubric of the champion.
    capacity : red accounts that the team can look after on a date.
    out : the folder to write; None for ``RENEWCAST_HOME/reviews/<id>``. Only an earlier review is replaced.
    progress : called with the share done (0 to 1) and a description of the current step.

    Returns
    -------
    The review and where it was written.

    Raises
    ------
    InsufficientData
        No snapshot matured in the quarter, or there is no history before it; the message lists what is missing.
    SignalsError, BundleError, RulesError, HomeError
        The source, a bundle, a rule or the home is broken, the output cannot be written, or the source belongs to
        another portfolio.
    BadRequest
        The capacity is below 1.
    """
    if capacity < 1:
        raise BadRequest(f"a capacity of {capacity} accounts", "at least 1")
    home.ensure()
    if out is not None:
        _require_replaceable(out)
    champion = load_champion(home)
    if rubric is not None:
        champion = champion.with_rubric(rubric)
    with writing(home, "review"):
        data = load_review_data(address, quarter, champion, lambda done, what: progress(0.6 * done, what), home.rollups)
        try:
            require_portfolio(home, data.signals)
            progress(0.6, "weights and band limits")
            proposals = propose_changes(data, capacity)
            progress(0.8, "the other sections")
            review = _review(data, proposals, capacity, home, address)
            progress(0.9, "rendering the page")
            charts = draw_section_charts(review.plain())
            page = render(review, charts)
        finally:
            data.signals.close()
        folder = out or home.reviews / review.id
        progress(0.95, "writing")
        document = json.dumps(review.plain(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        drawn = json.dumps({name.replace("_", "-"): chart for name, chart in charts.items() if chart})
        run_id = _write(home, review, folder, {PAGE: page, DOCUMENT: document, CHARTS: drawn})
    progress(1.0, "done")
    return ReviewResult(review, folder, run_id, data.signals.open_questions)


def _review(data: ReviewData, proposals: Proposals, capacity: int, home: Home, address: str | Path) -> QuarterlyReview:
    rubric, bundle = data.champion.rubric, data.champion.bundles.get("churn")
    hashes = ReviewedHashes(
        data=data.data_fingerprint, rubric=sha256(rubric.text), model=None if bundle is None else bundle.fingerprint
    )
    quarter = data.window.quarter
    inputs = [SCHEMA_VERSION, quarter.name, rubric.name, hashes.model_dump(), capacity]
    short = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:8]
    past_bands, reviewed_to = hindsight(data, proposals.proposed), quarter.end.date()
    effective = earliest_effective(
        home, read_history(home), rubric.name, reviewed_to, proposals.changes
    ).day.isoformat()
    limits, meaning = rubric.rules.bands, None
    if proposals.proposed is not None:
        scores = proposals.proposed.score(data.frame)
        meaning = score_meaning(data, np.asarray(scores.score, dtype=np.float64), scores.band.to_numpy(dtype=object))
    return QuarterlyReview(
        id=f"{quarter.name}-{rubric.name}-{short}",
        quarter=quarter.name,
        created_at=datetime.now(UTC),
        decision=decision_box(proposals, effective, past_bands.words, _dimension_strength(data)),
        definitions=review_definitions(data),
        data_quality=data_quality(data),
        churn_by_band=outcome_by_band(data, "churn"),
        expansion_by_band=outcome_by_band(data, "expansion"),
        lead_time=lead_time(data),
        hindsight=past_bands,
        migration=band_migration(data),
        score_reliability=score_reliability(data),
        model_reliability=model_reliability(data, home),
        judgments=review_judgments(data) if data.signals.has("pulse") else None,
        weight_proposal=proposals.sets[0].as_dict(),
        profile_proposals=tuple(each.as_dict() for each in proposals.sets[1:]),
        band_proposal=proposals.bands.as_dict(),
        impact=proposal_impact(data, proposals.proposed or proposals.candidate, capacity, proposals.changes),
        challenge=compare_challenger(data, home),
        segments=segment_rows(data),
        groups=contract_rows(data),
        drift=signal_drift(data),
        disagreements=find_disagreements(data),
        interventions=intervention_outcomes(data),
        sign_off=SignOffSection(
            rubric=rubric.name,
            version=rubric.version,
            model=None if bundle is None else bundle.manifest.version,
            signals=_stored_address(address, data),
            data_through=data.window.data_through.isoformat(),
            hashes=hashes,
            weights=weights_in_force(data),
            bands={"green": limits.green, "yellow": limits.yellow, "red": limits.red},
            profiles=rubric.rules.profiles,
            proposed_weights=dict(proposals.sets[0].proposal.new) if proposals.changes else None,
            proposed_bands=dict(proposals.bands.new) if proposals.changes else None,
            proposed_profiles=proposals.proposed.rules.profiles if proposals.proposed is not None else (),
            meaning=meaning,
            earliest_effective=reviewed_to.isoformat(),
        ),
    )


def _dimension_strength(data: ReviewData) -> dict[str, float]:
    """The association of each dimension alone with staying, from training; empty if unknown."""
    rubric, bundle = data.champion.rubric, data.champion.bundles.get("churn")
    facts = None if bundle is None else bundle.health.of(rubric.name, rubric.version)
    return {} if facts is None or facts.learned is None else {n: s[0] for n, s in facts.learned.strength.items()}


def _stored_address(address: str | Path, data: ReviewData) -> str:
    """The address to store: an absolute path, or the address without its password."""
    return data.signals.origin if "://" in str(address) else str(Path(address).absolute())


def _require_replaceable(out: Path) -> None:
    if out.exists() and (not out.is_dir() or {entry.name for entry in out.iterdir()} - {PAGE, DOCUMENT, CHARTS}):
        raise HomeError(
            f"{out} contains files that do not belong to a review", "a new folder, or the folder of an earlier review"
        )


def _write(home: Home, review: QuarterlyReview, folder: Path, files: Mapping[str, str]) -> str:
    """Write the files to a temporary folder, log page and document to MLflow, and move the folder into place."""
    temporary = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}{UNFINISHED}")
    with mlflow_tracking.run(home, f"review {review.id}") as run:
        with new_folder(temporary) as new:
            for name, text in files.items():
                (new / name).write_text(text, encoding="utf-8")
        try:
            run.tags({"renewcast.review": review.id})
            run.params(
                {"quarter": review.quarter, "rubric": review.sign_off.rubric, "version": review.sign_off.version}
            )
            for name in (PAGE, DOCUMENT):
                run.document(f"review/{name}", files[name])
            run.metrics(_metrics(review), "review")
            _replace_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return run.run_id


def _metrics(review: QuarterlyReview) -> dict[str, float]:
    figures = {"score_auc": review.score_reliability.auc, "churn_rate": review.churn_by_band.overall}
    values = {name: figure.value for name, figure in figures.items() if figure.value is not None}
    return values | {"accounts_with_churn": float(review.definitions.accounts_with_churn)}


def _replace_folder(new: Path, folder: Path) -> None:
    """Replace a folder with two renames, so that it is never incomplete."""
    old = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}{UNFINISHED}")
    try:
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError as error:
        raise HomeError(f"cannot write {folder}: {error.strerror}", "a writable folder") from error
    finally:
        shutil.rmtree(old, ignore_errors=True)
