"""The leadership presentation: KPIs, retention, bridge of ARR, risk, renewals, expansion, capacity, unit economics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import shorten
from typing import Any

from features.utils.dates import to_iso
from features.utils.formatting import (
    MINUS,
    count_of,
    day,
    in_unit,
    number,
    percent,
    plain,
    short_day,
    short_money,
    signed,
    verb_for,
)
from serving.leadership.arr_bridge import STEP_WORDS
from serving.portfolio.weekly_health import BANDS
from serving.presentations.leadership_figures import LISTED, LeadershipFigures
from serving.presentations.slides import (
    ACCENT,
    AMOUNT,
    BAD,
    BOTTOM,
    FAIR,
    FULL,
    GOOD,
    MARGIN,
    NEUTRAL,
    TOP,
    UNKNOWN,
    Box,
    Deck,
    Series,
    TableColumn,
)

HEADLINES = (
    "nrr",
    "grr",
    "logo_retention",
    "arr_churn_year",
    "expansion_rate",
    "green_share",
    "red_share",
    "nps",
    "csat",
    "adoption",
)
"""The KPIs of the summary, in this order, if they exist."""
CSMS_SHOWN = 12
"""Maximum number of CSMs in the chart of loads."""
TEXT = 84
"""The maximum length of a text in a table, in characters; the notes have all of it."""
AMOUNTS = "Amounts are in the currency of the signals, per year."


def leadership_deck(figures: LeadershipFigures) -> Deck:
    """Build the presentation.

    Parameters
    ----------
    figures : the figures (`serving.presentations.leadership_figures.leadership_figures`).

    Returns
    -------
    Deck
        Unknown figures are shown as unknown, and an empty list says so. The speaker notes name the sources.
    """
    at = day(figures.as_of.date())
    deck = Deck("Customer portfolio", f"Customer portfolio as of {at}. {AMOUNTS}")
    whole = figures.summary["whole"]
    deck.cover(
        "Customer portfolio",
        [
            f"As of {at}",
            f"{count_of(whole['accounts'], 'active account')}, ARR {_known(whole['arr'], short_money)}",
            f"Signals through {day(figures.data_through.date())}",
            *([f"Only accounts with {_filter_words(figures)}"] if figures.chosen else []),
        ],
        _source(figures, "`renewcast portfolio`", "the active accounts and their ARR at this date"),
    )
    for build in _SLIDES:
        build(deck, figures)
    return deck


def _source(figures: LeadershipFigures, command: str, what: str, *more: str) -> str:
    """Return speaker notes: the source of the figures, and what else to know."""
    models = figures.summary["models"]
    versions = ", ".join(f"{target} {each['version']}" for target, each in models.items() if each is not None)
    lines = [
        f"Source: {what}, as {command} shows it with --as-of {to_iso(figures.as_of)}.",
        f"Signals through {to_iso(figures.data_through)}. Health score: rubric {figures.summary['rubric']} "
        f"{figures.summary['rubric_version']}. Models: {versions or 'none'}.",
        *more,
    ]
    return "\n".join(lines)


def _known(value: float | None, form: Callable[[float | None], str]) -> str:
    return UNKNOWN if value is None else form(value)


def _value(part: Mapping[str, Any] | None, unit: str) -> str:
    return "" if part is None else _known(part["value"], lambda value: in_unit(value, unit))


def _target(measure: Mapping[str, Any]) -> str:
    target = measure["target"]
    if target is None:
        return "none"
    bound = {"below": "under", "above": "over"}.get(target["bound"], "at least")
    return f"{bound} {in_unit(target['value'], measure['unit'])}"


def _measures(figures: LeadershipFigures) -> dict[str, Mapping[str, Any]]:
    return {each["measure"]: each for each in figures.kpis["measures"]}


def _retention_title(measure: Mapping[str, Any]) -> str:
    now, before = measure["value"], measure["last"]["value"]
    if now is None:
        return f"{measure['title']} is unknown: {measure['unknown']}"
    if before is None:
        return f"{measure['title']} is {percent(now)} over 12 months; the year before is unknown"
    change = 100 * (now - before)
    moved = "as in" if abs(change) < 0.05 else f"{number(abs(change), 1)} points {'above' if change > 0 else 'below'}"
    return f"{measure['title']} is {percent(now)} over 12 months, {moved} the year before"


def _summary(deck: Deck, figures: LeadershipFigures) -> None:
    measures = _measures(figures)
    rows = []
    for code in HEADLINES:
        if (each := measures.get(code)) is not None:
            met = "" if each["target"] is None else UNKNOWN if each["met"] is None else "yes" if each["met"] else "no"
            values = (_value(each, each["unit"]), _value(each["quarter"], each["unit"]))
            rows.append([each["title"], *values, _value(each["last"], each["unit"]), _target(each), met])
    unknown = [f"{each['title']}: {each['unknown']}." for each in figures.kpis["measures"] if each["unknown"]]
    slide = deck.add(
        _retention_title(measures["nrr"]),
        _source(
            figures,
            "`renewcast portfolio`",
            "the KPIs of the trailing twelve months",
            "Definitions: docs/reference/generated/kpis.md. A year earlier is the period before, of the same length.",
            "Only KPIs over a period have a value for the last quarter.",
            *(["Unknown KPIs:", *unknown] if unknown else []),
        ),
    )
    columns = [
        TableColumn("KPI", 3),
        TableColumn("12 months or current", 1.3, True),
        TableColumn("Last quarter", 1.1, True),
        TableColumn("A year earlier", 1.1, True),
        TableColumn("Target", 1.2, True),
        TableColumn("Met", 0.7),
    ]
    end = slide.table(columns, rows, Box(height=4), size=13)
    whole = figures.summary["whole"]
    days = figures.summary["horizon_days"]
    lines = []
    if days is not None:
        risk, churned = whole["expected_churned_arr"], whole["expected_churned_accounts"]
        lines.append(
            f"ARR at risk within {days} days: {_known(risk, short_money)}; expected churned accounts: "
            f"{_known(churned, lambda value: number(value, 1))} of {whole['accounts']:,}"
        )
    lines.append(
        f"Mean health score: {_known(whole['mean_health'], lambda value: number(value, 1))} of 100; "
        f"{count_of(figures.summary['expansion_ready'], 'account')} ready for expansion"
    )
    slide.text(lines, Box(top=max(end + 0.2, 5.6), height=0.9), bullets=True)


def _retention(deck: Deck, figures: LeadershipFigures) -> None:
    measures = _measures(figures)
    codes = ("nrr", "grr", "logo_retention")
    chosen = [measures[code] for code in codes]
    slide = deck.add(
        "Revenue and logo retention over 12 months",
        _source(
            figures,
            "`renewcast portfolio`",
            "net and gross revenue retention and logo retention",
            *(f"{each['title']}: {_quotient(each)}." for each in chosen),
            "An unknown value has no column in the chart.",
        ),
    )
    slide.chart(
        "columns",
        [each["title"] for each in chosen],
        [
            Series("A year earlier", [each["last"]["value"] for each in chosen], NEUTRAL),
            Series("12 months to " + day(figures.as_of.date()), [each["value"] for each in chosen], ACCENT),
        ],
        Box(width=6.2, height=5.2),
        title="Retention over 12 months, now and a year earlier",
        form="0.0%",
        labels=True,
        limits=(0.0, _top([v for each in chosen for v in (each["value"], each["last"]["value"])])),
    )
    rows = [
        [
            each["title"],
            _value(each, "share"),
            _value(each["last"], "share"),
            _value(each["quarter"], "share"),
            _target(each),
        ]
        for each in chosen
    ]
    columns = [
        TableColumn("", 2.3),
        *(TableColumn(t, 1, True) for t in ("12 months", "Before", "Quarter")),
        TableColumn("Target", 1.4, True),
    ]
    end = slide.table(columns, rows, Box(left=WIDE_LEFT, width=WIDE_RIGHT, height=2))
    lines = [f"{each['title']}: unknown, {each['unknown']}" for each in chosen if each["unknown"]]
    left_out = {each["title"]: each["left_out"] for each in chosen if each["left_out"]}
    if len(set(left_out.values())) == 1 and len(left_out) == len(chosen):
        lines.append(f"All three leave out {count_of(next(iter(left_out.values())), 'account')} with unknown data")
    else:
        lines += [f"{title} leaves out {count_of(n, 'account')} with unknown data" for title, n in left_out.items()]
    if lines:
        slide.text(lines, Box(left=WIDE_LEFT, top=end + 0.2, width=WIDE_RIGHT, height=2), size=12)


WIDE_LEFT = 7.1
WIDE_RIGHT = MARGIN + FULL - WIDE_LEFT


def _top(values: Sequence[float | None]) -> float:
    """Return the upper end of an axis of shares: a multiple of 20% that leaves room for a label."""
    largest = max((value for value in values if value is not None), default=1.0)
    return max(1.2, 0.2 * (int(largest / 0.2) + 1.5))


def _quotient(measure: Mapping[str, Any]) -> str:
    if measure["value"] is None:
        return f"unknown ({measure['unknown']})"
    parts = f"{number(measure['numerator'], 0)} of {number(measure['denominator'], 0)}"
    return f"{percent(measure['value'])} = {parts}"


def _year_changes(deck: Deck, figures: LeadershipFigures) -> None:
    _bridge(deck, figures, figures.report["bridge"], "12 months", figures.losses["year"])


def _quarter_changes(deck: Deck, figures: LeadershipFigures) -> None:
    _bridge(deck, figures, figures.report["quarter_bridge"], "the last quarter", figures.losses["quarter"])


def _bridge(
    deck: Deck,
    figures: LeadershipFigures,
    bridge: Mapping[str, Any],
    words: str,
    losses: Sequence[tuple[str, float]],
) -> None:
    """Add a slide with the bridge of ARR (`serving.leadership.schemas.ArrBridge`) over a period."""
    span = f"{day(bridge['period']['start'])} to {day(bridge['period']['end'])}"
    about = _source(
        figures,
        "`renewcast leadership`",
        f"the changes of ARR from {span}, as known at the end",
        "Start + new + returned + expansion - contraction - churn - pending + renewed late = end.",
        "Pending accounts have no contract at the end, but may still renew within the grace period.",
        *([f"Left out: {count_of(bridge['left_out'], 'account')} with unknown ARR."] if bridge["left_out"] else []),
    )
    if bridge["steps"] is None:
        slide = deck.add(f"What changed in {words}: unknown", about)
        slide.text([f"The change of ARR is unknown: {bridge['unknown']}."], Box(height=1))
        return
    first, *between, last = bridge["steps"]
    growth = bridge["change"]
    share = f" ({signed(100 * growth / first['arr'])}%)" if first["arr"] > 0 else ""
    verb = "grew" if growth > 0 else "fell" if growth < 0 else "stayed"
    amount = f" by {short_money(abs(growth))}{share}" if growth else " unchanged"
    slide = deck.add(f"ARR {verb}{amount} in {words}", about)
    moves = [each for each in between if each["arr"]]
    if moves:
        slide.chart(
            "stacked",
            [STEP_WORDS[each["step"]] for each in moves],
            [
                Series("Increase", [each["arr"] if each["sign"] > 0 else None for each in moves], GOOD),
                Series("Decrease", [-each["arr"] if each["sign"] < 0 else None for each in moves], BAD),
            ],
            Box(width=7.2, height=5.2),
            title=f"Changes of ARR from {span}",
            form=_signed_amounts(max(each["arr"] for each in moves)),
        )
    rows = [
        [
            STEP_WORDS[each["step"]],
            f"{MINUS if each['sign'] < 0 and each['arr'] else ''}{short_money(each['arr'])}",
            f"{each['accounts']:,}",
        ]
        for each in (first, *moves, last)
    ]
    columns = [TableColumn("", 2), TableColumn("ARR", 1, True), TableColumn("Accounts", 1, True)]
    end = slide.table(columns, rows, Box(left=8.1, width=MARGIN + FULL - 8.1, height=2))
    columns = [TableColumn("Largest losses", 3), TableColumn("ARR", 1, True)]
    lost = [[shorten(figures.name(account), 40, placeholder="…"), short_money(value)] for account, value in losses]
    room = int((BOTTOM - end - 0.5) / 0.3) - 1
    if lost and room > 0:
        slide.table(columns, lost[:room], Box(left=8.1, top=end + 0.2, width=MARGIN + FULL - 8.1, height=1))


def _signed_amounts(largest: float) -> str:
    """Return the number format of an axis of amounts on both sides of 0, by the largest of them."""
    if largest >= 1e6:
        return '0.0,,"M";-0.0,,"M";0'
    return '0,"k";-0,"k";0' if largest >= 1e4 else "#,##0"


def _health(deck: Deck, figures: LeadershipFigures) -> None:
    weeks = figures.weeks
    about = _source(
        figures,
        "`renewcast health`",
        "the health score of the accounts that are active now, in each week",
        "Bands by the thresholds of the rubric. Moves compare the first and the last week.",
    )
    if len(weeks) < 2:
        slide = deck.add("Health by week: unknown", about)
        slide.text(["No earlier weeks are known."], Box(height=1))
        return
    worse = sum(n for (a, b), n in figures.bands.items() if BANDS.index(b) > BANDS.index(a))
    better = sum(n for (a, b), n in figures.bands.items() if BANDS.index(b) < BANDS.index(a))
    title = (
        f"{count_of(worse, 'account')} moved to a worse health band since {day(weeks[0]['date'])}, "
        f"{better:,} to a better one"
    )
    slide = deck.add(title, about)
    slide.chart(
        "stacked",
        [short_day(week["date"]) for week in weeks],
        [Series(band, [week[band] for week in weeks], color) for band, color in _BAND_COLORS.items()],
        Box(width=6.6, height=5.2),
        title="Accounts by health band and week",
    )
    left, width = 7.5, MARGIN + FULL - 7.5
    rows = [[band, *(f"{figures.bands[band, now]:,}" for now in BANDS)] for band in BANDS]
    columns = [TableColumn("From, to", 1.4), *(TableColumn(band, 1, True) for band in BANDS)]
    end = slide.table(columns, rows, Box(left=left, width=width, height=1))
    for heading, moved in (("Largest falls", figures.scores), ("Largest rises", figures.scores[::-1])):
        chosen = [(account, a, b) for account, a, b in moved if (b < a) == (heading == "Largest falls")][:4]
        columns = [TableColumn(heading, 3), *(TableColumn(t, 1, True) for t in ("Before", "Now"))]
        cells = [
            [shorten(figures.name(account), 40, placeholder="…"), number(a), number(b)] for account, a, b in chosen
        ]
        end = slide.table(columns, cells or [["none", "", ""]], Box(left=left, top=end + 0.2, width=width, height=1))


_BAND_COLORS = {"green": GOOD, "yellow": FAIR, "red": BAD}


def _risks(deck: Deck, figures: LeadershipFigures) -> None:
    days = figures.summary["horizon_days"]
    whole = figures.summary["whole"]
    reasons = [
        f"{figures.name(each['account_id'])} ({each['account_id']}): "
        + ("; ".join(reason["text"] for reason in each["reasons"]) or "no reasons")
        for each in figures.risks
    ]
    about = _source(
        figures,
        "`renewcast risks` and `renewcast worklist`",
        "the accounts with the largest ARR at risk: churn probability times ARR",
        f"{count_of(whole['expected_churned_arr_unknown'], 'account')} without probability or ARR are not ranked.",
        *(["All reasons:", *reasons] if reasons else []),
    )
    if not figures.risks:
        slide = deck.add("Top risks: unknown", about)
        slide.text(["There is no churn probability, so accounts cannot be ranked by ARR at risk."], Box(height=1))
        return
    listed, total = sum(each["arr_at_risk"] for each in figures.risks), whole["expected_churned_arr"]
    verb = "holds" if len(figures.risks) == 1 else "hold"
    amount = f"{short_money(listed)} of the {short_money(total)} ARR at risk within {days} days"
    title = f"{count_of(len(figures.risks), 'account')} {verb} {amount}"
    slide = deck.add(title, about)
    columns = [
        TableColumn("Account", 1.7),
        TableColumn("CSM", 0.9),
        TableColumn("ARR", 0.7, True),
        TableColumn("Renewal", 1.2),
        TableColumn("Health", 1),
        TableColumn("Churn risk", 0.7, True),
        TableColumn("At risk", 0.7, True),
        TableColumn("Main reason (median of comparable accounts)", 2.6),
        TableColumn("Next step", 2.6),
        TableColumn("Who, by", 1.3),
    ]
    slide.table(columns, [_risk_row(figures, each) for each in figures.risks], Box(height=5), size=10)


def _risk_row(figures: LeadershipFigures, each: Mapping[str, Any]) -> list[str]:
    account = each["account_id"]
    renewal = figures.people.get(account, {}).get("renewal_at")
    health, play = each["health"], each["plays"][0] if each["plays"] else None
    raising = [
        reason["text"].removesuffix("; raises churn risk").replace("(median of comparable accounts: ", "(")
        for reason in each["reasons"]
        if reason["direction"] == "raises_risk"
    ]
    step, owner = "none", ""
    if account in figures.work:
        step = plain(figures.work[account])
    elif play is not None:
        step, owner = f"{play['act'][:1].upper()}{play['act'][1:]}", f"{_who(play['who'])}, {short_day(play['due'])}"
    return [
        shorten(figures.name(account), 44, placeholder="…"),
        shorten(figures.csm(account) or UNKNOWN, 24, placeholder="…"),
        short_money(each["arr"]),
        UNKNOWN if renewal is None else day(str(renewal)[:10]),
        UNKNOWN if health["score"] is None else f"{number(health['score'])} {health['band']}",
        percent(each["churn"]["probability"]),
        short_money(each["arr_at_risk"]),
        shorten(raising[0], TEXT, placeholder="…") if raising else "none",
        shorten(step, TEXT, placeholder="…"),
        owner,
    ]


def _who(who: str) -> str:
    return "CSM" if who == "csm" else plain(who)


def _renewals(deck: Deck, figures: LeadershipFigures) -> None:
    forecast = figures.forecast
    notes = [] if forecast is None else [f"{note[:1].upper()}{note[1:]}." for note in forecast["notes"]]
    about = _source(figures, "`renewcast renewals`", "the renewal forecast", "Intervals cover 80%.", *notes)
    if forecast is None:
        slide = deck.add("Renewal forecast: unknown", about)
        slide.text([f"There is no forecast: {figures.no_forecast}."], Box(height=1))
        return
    whole = forecast["whole"]
    if not whole["accounts"]:
        slide = deck.add(f"No renewals are due in the {forecast['period']}", about)
        slide.text(_overdue(whole), Box(height=1))
        return
    nrr = "unknown" if whole["nrr"] is None else percent(whole["nrr"]["expected"])
    title = f"{short_money(whole['arr'])} ARR is due in the {forecast['period']}; expected NRR of it: {nrr}"
    slide = deck.add(title, about)
    names = {
        "renewed_arr": ("Renewed", GOOD),
        "lost_arr": ("Lost", BAD),
        "contracted_arr": ("Contracted", FAIR),
        "expanded_arr": ("Expanded", ACCENT),
    }
    slide.chart(
        "columns",
        [name for name, _ in names.values()],
        [Series("Expected ARR", [None if whole[key] is None else whole[key]["expected"] for key in names], ACCENT)],
        Box(width=5.6, height=5.2),
        title=f"Expected outcome of the ARR due, {forecast['period']}",
        form=AMOUNT,
        labels=True,
    )
    left, width = 6.5, MARGIN + FULL - 6.5
    rows = [[name, *_expected(whole[key], short_money)] for key, (name, _) in names.items()]
    rows += [[key.upper(), *_expected(whole[key], percent)] for key in ("grr", "nrr")]
    columns = [TableColumn("", 1.3), TableColumn("Expected", 1, True), TableColumn("80% interval", 1.6, True)]
    end = slide.table(columns, rows, Box(left=left, width=width, height=2))
    segments = [each for each in forecast["by_segment"] or [] if each["accounts"]]
    cells = [
        [
            each["segment"] or UNKNOWN,
            f"{each['accounts']:,}",
            short_money(each["arr"]),
            UNKNOWN if each["lost_arr"] is None else short_money(each["lost_arr"]["expected"]),
            UNKNOWN if each["grr"] is None else percent(each["grr"]["expected"]),
        ]
        for each in segments
    ]
    columns = [TableColumn("Segment", 1.4), *(TableColumn(t, 1, True) for t in ("Accounts", "Due", "Lost", "GRR"))]
    end = slide.table(columns, cells, Box(left=left, top=end + 0.25, width=width, height=1))
    slide.text(_overdue(whole), Box(left=left, top=end + 0.15, width=width, height=0.8), size=12)


def _overdue(whole: Mapping[str, Any]) -> list[str]:
    overdue = count_of(whole["overdue_accounts"], "account")
    lines = [f"Overdue, and not in these figures: {overdue} with {short_money(whole['overdue_arr'])} ARR"]
    if whole["not_forecast_accounts"]:
        left_out = count_of(whole["not_forecast_accounts"], "account")
        lines.append(f"Due, but not forecast: {left_out} with {short_money(whole['not_forecast_arr'])} ARR")
    return lines


def _expected(figure: Mapping[str, Any] | None, form: Callable[[float | None], str]) -> list[str]:
    if figure is None:
        return [UNKNOWN, ""]
    low, high = figure["interval"]
    return [form(figure["expected"]), f"{form(low)} to {form(high)}"]


def _expansion(deck: Deck, figures: LeadershipFigures) -> None:
    ready = figures.summary["expansion_ready"]
    about = _source(
        figures,
        "`renewcast expansions`",
        "the accounts with expansion potential, recommended ones first",
        "An expansion is recommended only if every criterion is met and the model agrees.",
        *(f"{figures.name(each['account_id'])}: {each['why'] or 'no signs'}." for each in figures.expansions),
    )
    if not figures.expansions:
        slide = deck.add("No account shows expansion potential", about)
        slide.text(["No account has points in the expansion rules, and none has a sign of interest."], Box(height=1))
        return
    verb = verb_for(ready or 1)
    title = f"{count_of(ready, 'account') if ready else 'No account'} {verb} ready for expansion"
    if ready > len(figures.expansions):
        title += f"; {len(figures.expansions)} with the most points"
    slide = deck.add(title, about)
    columns = [
        TableColumn("Account", 1.9),
        TableColumn("CSM", 1),
        TableColumn("ARR", 0.7, True),
        TableColumn("Health", 0.8),
        TableColumn("Ready", 1.4),
        TableColumn("Probability", 1.05, True),
        TableColumn("Signs", 3.8),
        TableColumn("Find out first", 1.5),
    ]
    rows = []
    for each in figures.expansions:
        advice = (each["type"] and plain(each["type"])) or "yes"
        rows.append(
            [
                shorten(figures.name(each["account_id"]), 44, placeholder="…"),
                shorten(figures.csm(each["account_id"]) or UNKNOWN, 24, placeholder="…"),
                _known(each["arr"], short_money),
                plain(each["health_band"]),
                advice if each["proposed"] else f"no: {shorten(each['withdrawn'] or 'criteria', 40, placeholder='…')}",
                _known(each["expansion_probability"], percent),
                shorten(each["why"] or "none", TEXT, placeholder="…"),
                shorten((each["find_out"] or "nothing").replace("_", " "), 80, placeholder="…"),
            ]
        )
    slide.table(columns, rows, Box(height=5), size=10)


def _segments(deck: Deck, figures: LeadershipFigures) -> None:
    kpis = {
        group["group"]: {each["measure"]: each for each in group["measures"]} for group in figures.kpis["by"]["segment"]
    }
    groups = [each for each in figures.summary["by_segment"] if each["accounts"]]
    unknown = {
        f"{each['segment'] or 'unknown segment'}, {code.upper()}: {kpis[each['segment']][code]['unknown']}."
        for each in groups
        for code in ("nrr", "grr")
        if each["segment"] in kpis and kpis[each["segment"]][code]["unknown"]
    }
    about = _source(
        figures,
        "`renewcast portfolio`",
        "accounts, ARR, health and risk now, and retention over 12 months, by segment",
        *sorted(unknown),
    )
    largest = max(groups, key=lambda each: each["expected_churned_arr"] or 0.0, default=None)
    title = "Segments"
    if largest is not None and largest["expected_churned_arr"]:
        name = largest["segment"] or "the unknown segment"
        title = f"{name[:1].upper()}{name[1:]} has the largest ARR at risk"
    slide = deck.add(title, about)
    columns = [
        TableColumn("Segment", 1.6),
        *(
            TableColumn(text, 1, True)
            for text in ("Accounts", "ARR", "Health", "Churn risk", "ARR at risk", "NRR", "GRR")
        ),
    ]
    rows = []
    for each in [*groups, {**figures.summary["whole"], "segment": "All"}]:
        own = _measures(figures) if each["segment"] == "All" else kpis.get(each["segment"], {})
        rows.append(
            [
                each["segment"] or UNKNOWN,
                f"{each['accounts']:,}",
                _known(each["arr"], short_money),
                _known(each["mean_health"], lambda value: number(value, 1)),
                _known(each["mean_churn_probability"], percent),
                _known(each["expected_churned_arr"], short_money),
                *(_known(own[code]["value"], percent) if code in own else UNKNOWN for code in ("nrr", "grr")),
            ]
        )
    end = slide.table(columns, rows, Box(height=2), size=13)
    drawn = [each for each in groups if each["expected_churned_arr"] is not None]
    if drawn:
        slide.chart(
            "columns",
            [each["segment"] or UNKNOWN for each in drawn],
            [Series("ARR at risk", [each["expected_churned_arr"] for each in drawn], BAD)],
            Box(top=end + 0.25, height=max(1.5, BOTTOM - end - 0.25)),
            title=f"ARR at risk within {figures.summary['horizon_days']} days, by segment",
            form=AMOUNT,
            labels=True,
        )


def _capacity(deck: Deck, figures: LeadershipFigures) -> None:
    capacity = figures.report["capacity"]
    about = _source(
        figures,
        "`renewcast leadership`",
        "accounts per CSM against the ratios of the segments",
        "The load of a CSM is the sum over accounts of 1 divided by the accounts per CSM of the segment; 100% is full.",
        f"All accounts need {number(capacity['csms_needed'], 1)} CSMs by these ratios.",
    )
    if capacity["unknown"] is not None:
        slide = deck.add("Capacity of CSMs: unknown", about)
        slide.text([f"The capacity is unknown: {capacity['unknown']}."], Box(height=1))
        return
    over = capacity["over"]
    verb = verb_for(over, "has", "have")
    number_over = f"{over:,}" if over else "None"
    title = f"{number_over} of {count_of(capacity['csms'], 'CSM')} {verb} more accounts than the ratios allow"
    slide = deck.add(title, about)
    columns = [
        TableColumn("Segment", 1.6),
        *(
            TableColumn(text, 1, True)
            for text in ("Accounts", "Without a CSM", "CSMs", "Accounts per CSM", "Allowed", "CSMs needed")
        ),
    ]
    rows = [
        [
            each["segment"] or UNKNOWN,
            f"{each['accounts']:,}",
            f"{each['without_csm']:,}",
            f"{each['csms']:,}",
            _known(each["accounts_per_csm"], lambda value: number(value, 1)),
            _known(each["ratio"], number),
            _known(each["csms_needed"], lambda value: number(value, 1)),
        ]
        for each in capacity["by_segment"]
    ]
    end = slide.table(columns, rows, Box(height=2), size=13)
    shown = capacity["by_csm"][:CSMS_SHOWN]
    slide.chart(
        "columns",
        [shorten(each["csm"], 24, placeholder="…") for each in shown],
        [Series("Load", [each["load"] for each in shown], ACCENT)],
        Box(top=end + 0.25, height=max(1.5, BOTTOM - end - 0.25)),
        title="Load of CSMs, largest first; 100% is full",
        form="0%",
        labels=True,
    )


def _economics(deck: Deck, figures: LeadershipFigures) -> None:
    economics = figures.report["economics"]
    whole, years = economics["whole"], f"{economics['limit_years']:g}"
    why = economics["cost_unknown"] or whole["payback_unknown"]
    about = _source(
        figures,
        "`renewcast leadership`",
        f"lifetime value within {years} years at a margin of {percent(economics['margin'], 0)}, and acquisition cost",
        f"Assumption: {economics['assumption']}.",
        "LTV:CAC is of the accounts with a known cost. Payback is 12 times the cost of the accounts that began in the "
        "12 months, those that left included, divided by their ARR now times the margin.",
        *([f"Payback is unknown: {why}."] if why else []),
    )
    if whole["lifetime_value"] is None:
        slide = deck.add("Lifetime value: unknown", about)
        slide.text(["There is no churn probability or no ARR, so the lifetime value is unknown."], Box(height=1))
        return
    ratio = "" if whole["ltv_to_cac"] is None else f", {number(whole['ltv_to_cac'], 1)} times the cost of acquisition"
    slide = deck.add(f"Lifetime value is {short_money(whole['lifetime_value'])} within {years} years{ratio}", about)
    columns = [
        TableColumn("Segment", 1.6),
        *(
            TableColumn(text, 1, True)
            for text in ("Accounts", "ARR", "Mean years", "LTV", "Acquisition cost", "LTV:CAC", "Payback, months")
        ),
    ]
    rows = [
        [
            each["segment"] or "All",
            f"{each['accounts']:,}",
            _known(each["arr"], short_money),
            _known(each["lifetime_years"], lambda value: number(value, 1)),
            _known(each["lifetime_value"], short_money),
            _known(each["acquisition_cost"], short_money),
            _known(each["ltv_to_cac"], lambda value: number(value, 1)),
            _known(each["payback_months"], lambda value: number(value, 1)),
        ]
        for each in (*economics["by_segment"], whole)
    ]
    end = slide.table(columns, rows, Box(height=2), size=13)
    drawn = [each for each in economics["by_segment"] if each["lifetime_value"] is not None]
    if drawn:
        slide.chart(
            "columns",
            [each["segment"] for each in drawn],
            [Series("Lifetime value", [each["lifetime_value"] for each in drawn], ACCENT)],
            Box(top=end + 0.25, height=max(1.5, BOTTOM - end - 0.75)),
            title=f"Lifetime value within {years} years, by segment",
            form=AMOUNT,
            labels=True,
        )
    if why:
        slide.text([f"Payback is unknown: {why}"], Box(top=BOTTOM - 0.4, height=0.4), size=12)


def _filter_words(figures: LeadershipFigures) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.chosen.items())


def _limits(deck: Deck, figures: LeadershipFigures) -> None:
    whole, coverage = figures.summary["whole"], figures.summary["coverage"]
    about = _source(figures, "`renewcast portfolio` and `renewcast card`", "what these figures rest on")
    slide = deck.add("What these figures rest on", about)
    lines = [
        f"All figures use only what was known on {day(figures.as_of.date())}; signals end on "
        f"{day(figures.data_through.date())}",
        f"Health scores have data for {percent(coverage['health'], 0)} of their weight on average",
        *_left_out(whole),
        "Churn risk is a calibrated probability, and ARR at risk is that probability times ARR: an expected amount",
    ]
    unknown = [f"{each['title']}: {each['unknown']}" for each in figures.kpis["measures"] if each["unknown"]]
    if unknown:
        shown = unknown[:LISTED]
        more = (
            [f"and {len(unknown) - len(shown)} more, in the notes of the summary"] if len(unknown) > len(shown) else []
        )
        lines += [f"Unknown: {text}" for text in shown] + more
    slide.text(lines, Box(height=BOTTOM - TOP), bullets=True)


def _left_out(whole: Mapping[str, Any]) -> list[str]:
    names = {"arr_unknown": "ARR", "health_unknown": "health score", "churn_unknown": "churn probability"}
    return [
        f"The {words} of {count_of(whole[key], 'account')} is unknown; sums and means leave them out"
        for key, words in names.items()
        if whole[key]
    ]


_SLIDES = (
    _summary,
    _retention,
    _year_changes,
    _quarter_changes,
    _health,
    _risks,
    _renewals,
    _expansion,
    _segments,
    _capacity,
    _economics,
    _limits,
)
"""What adds each slide after the cover, in order."""
