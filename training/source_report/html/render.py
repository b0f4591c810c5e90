"""The report as one HTML file with its style sheet and charts inside, without scripts or external resources."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from features.feed_health.feed_report import FeedHealth
from features.revenue.arr import DUE_DAYS
from features.utils import formatting
from models.targets import TARGETS
from training.source_report.account_coverage import RECENT_DAYS
from training.source_report.html.charts import feed_chart, portfolio_charts
from training.source_report.missing_signals import MissingSignal, worth_words
from training.source_report.report import SourceReport
from training.source_report.signal_values import signal_values
from training.source_report.timeline import feed_timelines

TEMPLATE_FOLDER = Path(__file__).parent
CELLS = 60


def render(source: SourceReport) -> str:
    """Render the report on a source as a page. Text from the source is escaped.

    Parameters
    ----------
    source : the report.

    Returns
    -------
    str
        The page as HTML.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    feeds = source.feeds
    timelines = feed_timelines(feeds, CELLS)
    contractual = source.portfolio is None or source.portfolio.contractual
    amount = "Sum of the known ARR" if contractual else "Sum of the orders of the last 365 days"
    findings = [*map(str, source.report.findings), *feeds.troubles()]
    return environment.get_template("report.html").render(
        r=source,
        style=Markup((TEMPLATE_FOLDER / "style.css").read_text(encoding="utf-8")),
        timelines=[(t, feeds.tables[t.table], feed_chart(t, feeds.tables[t.table])) for t in timelines],
        axis=(timelines[0].start, feeds.end) if timelines and feeds.end else (None, None),
        gaps=any(silence.last >= t.start for t in timelines for silence in feeds.tables[t.table].silences),
        ended=any(t.stale for t in timelines),
        charts=portfolio_charts(source.history, contractual),
        captions={"accounts": "Active accounts by week", "arr": f"{amount} by week"},
        lacking=source.verdict.missing_lines(),
        findings=findings,
        notes=[*source.notes, *feeds.notes()],
        unfilled={each.table: _unfilled(feeds.tables.get(each.table)) for each in source.readings},
        uncounted=source.uncounted_repeats,
        values=signal_values(),
        targets=TARGETS,
        due_days=DUE_DAYS,
        recent_days=RECENT_DAYS,
        number=formatting.number,
        day=formatting.day,
        minute=formatting.minute,
        share=_share,
        opinion=_opinion,
    )


def _unfilled(feed: FeedHealth | None) -> str:
    return ", ".join(feed.partly_filled()) if feed else ""


def _share(part: int, whole: int) -> str:
    return formatting.percent(part / whole, 0) if whole else formatting.UNKNOWN


def _opinion(missing: MissingSignal) -> str:
    return worth_words(missing.second_opinion)
