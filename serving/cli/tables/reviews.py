"""Terminal output of reviews and sign-offs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rich.console import Console

from features.utils.console import Table
from features.utils.formatting import day
from models.health.rubric_versions import DECISION_NOUNS, HistoryFile
from models.reviews.review_store import ReviewRecord


def print_reviews(reviews: Sequence[ReviewRecord], history: HistoryFile, console: Console, as_json: bool) -> None:
    """Print the reviews, newest first, and every decision."""
    if as_json:
        rows = [
            {"id": k.review.id, "state": k.state, "headline": k.review.decision.headline, "folder": str(k.folder)}
            for k in reviews
        ]
        signed = {
            "decisions": [each.as_dict() for each in history.decisions],
            "pending": [each.as_dict() for each in history.pending],
        }
        json.dump({"reviews": rows, **signed}, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    if not reviews and not history.decisions:
        console.print("no reviews yet; create one with `renewcast review SIGNALS --quarter 2026Q3`")
        return
    table = Table()
    for heading in ("review", "state", "decision", "created"):
        # The ids are copied from here into other commands.
        table.add_column(heading, no_wrap=heading == "review")
    for record in reviews:
        table.add_row(record.review.id, record.state, record.review.decision.headline, day(record.review.created_at))
    console.print(table)
    if history.pending:
        waiting = Table(
            "since",
            "signed 1 of 2",
            "review",
            "in force from",
            "signed by",
            "why",
            title="waiting for the second signature",
        )
        for one in history.pending:
            from_when = day(one.effective)
            who = one.signature.name
            waiting.add_row(day(one.signature.at), DECISION_NOUNS[one.what], one.review, from_when, who, one.why or "")
        console.print(waiting)
    decided = Table("when", "what", "review", "version", "in force from", "author, reviewer", "why", title="decisions")
    for each in history.decisions:
        version = each.version.version if each.version else "–"
        who, from_when = f"{each.author}, {each.reviewer}", day(each.effective) if each.what == "approved" else "–"
        decided.add_row(day(each.at), each.what, each.review, version, from_when, who, each.why or "")
    if history.decisions:
        console.print(decided)
