"""The one door: `renewcast …`. Thin: it reads arguments, shows progress, prints what the packages answer."""

from __future__ import annotations

import contextlib
import csv
import getpass
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from features.errors import BadRequest, HomeError, InsufficientData, RenewcastError

if TYPE_CHECKING:
    import pandas as pd

    from features.kpi.period import Period
    from features.signals import Progress as Tell
    from models.assess import Assessment
    from models.targets import Target
    from serving.packs.known import Known
    from serving.store.database import Store
    from training.monitor import MonitorReport

FIT_NOTHING = frozenset(
    {"check", "snapshot", "features", "score", "health", "risks", "expansions", "onboarding", "worklist", "portfolio"}
    | {"cohorts", "qbr", "plan", "reviews", "card", "keys", "webhooks"}
)
"""Commands that need nothing of what fits models, and begin the sooner without it."""
FAILED_CHECK = 1
USER_MISTAKE = 2
INTERRUPTED = 130
DEMO_ACCOUNTS = 400
DEMO_WEEKS = 130
DEMO_AS_OF = "2026-09-30"
DEMO_PATIENCE = 60
"""Seconds to wait for the demo's service."""

app = typer.Typer(
    help="Predict churn and expansion of customer accounts, say why, and keep the health score honest.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="SIGNALS is a folder of Parquet or CSV files, a database address (duckdb:///FILE, sqlite:///FILE, "
    "postgresql://USER:PASSWORD@HOST/DATABASE) or a TOML mapping file. "
    "Everything that is written lives under RENEWCAST_HOME (default: .renewcast).",
)

Signals = Annotated[str, typer.Argument(metavar="SIGNALS", help="Folder, database address or TOML mapping file.")]
AsOf = Annotated[str, typer.Option("--as-of", metavar="DATE", help="What was known before this instant (UTC).")]
Engine = Annotated[
    str, typer.Option(metavar="ENGINE", help="duckdb; for folders also spark, on this machine, or spark://HOST:PORT.")
]
DataThrough = Annotated[
    str | None, typer.Option(metavar="DATE", help="Nothing at or after this instant is read (default: everything).")
]
RubricName = Annotated[
    str | None,
    typer.Option("--rubric", metavar="NAME", help="A rubric by name, or a .toml file (default: the champion's)."),
]
OutFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write every row to a .csv, .parquet or .ndjson file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@app.callback()
def before() -> None:
    """What every command begins with."""
    from features.texts import keep_texts
    from models.home import current_home

    keep_texts(current_home().texts)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the tables to.")],
    accounts: Annotated[int, typer.Option(help="How many accounts.")] = 500,
    weeks: Annotated[int, typer.Option(help="How many weeks of history.")] = 156,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
) -> None:
    """Make up a B2B SaaS portfolio in the contract's tables, with the true probabilities beside it (truth.parquet)."""
    from training.simulation import simulate as make

    with _progress("simulating") as tell:
        summary = make(out, accounts=accounts, weeks=weeks, seed=seed, progress=tell)
    typer.echo(summary.words())


@app.command()
def check(signals: Signals, engine: Engine = "duckdb", as_json: AsJson = False) -> None:
    """Hold signals against the data contract, and say whether there is enough of them to train on."""
    from features.check import check as hold
    from features.health.feeds import feed_health
    from features.source import open_source
    from training.check_report import print_check
    from training.config import TrainConfig
    from training.enough import how_much
    from training.verdict import broken, verdict

    with _progress("checking") as tell:
        source = open_source(signals, engine)
        report = hold(source)
        tell(0.2, "looking at the feeds")
        feeds = feed_health(source)
        config = TrainConfig()
        enough = how_much(source, config, lambda share, what: tell(0.4 + 0.6 * share, what)) if report.ok else None
    if enough is None:
        said = broken(len(report.findings), config.horizon_days)
    else:
        feeds = feeds.with_kept(enough.kept)
        said = verdict(enough, feeds)
    if as_json:
        facts = enough.facts if enough else {}
        told = {
            **report.as_dict(),
            "sufficiency": {target: fact.as_dict() for target, fact in facts.items()},
            "feeds": feeds.as_dict(),
            "horizons": [horizon.as_dict() for horizon in enough.horizons] if enough else [],
            "verdict": said.as_dict(),
        }
        _print_json(told)
    else:
        print_check(report, feeds, enough, said, Console(highlight=False))
    if not report.ok:
        raise typer.Exit(USER_MISTAKE)


@app.command()
def leakcheck(
    signals: Signals,
    data_through: DataThrough = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Look for leaks: snapshots that change with what comes later, features that know the outcome. Exit code 1 if any
    is found. Every training does the same."""
    from features.clock import parse_instant
    from features.own.current import current_catalogue
    from training.leakcheck import leakcheck as look
    from training.leakcheck_print import print_leaks

    through = parse_instant(data_through) if data_through else None
    with _progress("looking for leaks") as tell:
        report = look(signals, current_catalogue(), data_through=through, progress=tell, engine=engine)
    if as_json:
        _print_json(report.as_dict())
    else:
        print_leaks(report, Console(highlight=False))
    if not report.ok:
        raise typer.Exit(FAILED_CHECK)


@app.command()
def snapshot(
    signals: Signals,
    as_of: AsOf,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .parquet, .csv or .ndjson file.")],
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First date of a grid that ends at --as-of.")
    ] = None,
    every: Annotated[int, typer.Option("--every", metavar="DAYS", help="The grid's step.")] = 7,
    horizon: Annotated[int, typer.Option(help="Without contracts: active means an order within so many days.")] = 90,
    engine: Engine = "duckdb",
) -> None:
    """Write the features of every active account as of a date (or a grid of dates)."""
    from features.clock import Grid, parse_instant
    from features.own.current import current_catalogue
    from features.signals import open_signals
    from features.snapshot import snapshot as build
    from models.frames import suffix_of, write_frame
    from models.home import current_home

    suffix_of(out)
    catalogue = current_catalogue()
    last = parse_instant(as_of)
    grid = Grid.ending(last, parse_instant(first), every) if first else Grid.single(last)
    kept = current_home().rollups
    with _progress("reading") as tell:
        opened = open_signals(signals, last, lambda share, what: tell(0.5 * share, what), engine, kept)
        frame = build(
            opened,
            grid,
            horizon_days=horizon,
            catalogue=catalogue,
            kept=kept,
            progress=lambda share, what: tell(0.5 + 0.5 * share, what),
        )
    write_frame(frame, out)
    typer.echo(f"{len(frame):,} rows of {frame['account_id'].nunique():,} accounts at {grid.n} dates in {out}")


@app.command("features")
def list_features(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the data dictionary as Markdown.")] = False,
) -> None:
    """List every feature: what it says, its unit, and how it goes with churn and expansion."""
    from features.dictionary import markdown, tables
    from features.own.current import current_catalogue

    catalogue = current_catalogue()
    if as_json:
        _print_json({"version": catalogue.version, "windows": catalogue.windows, "features": catalogue.dictionary()})
    elif as_markdown:
        typer.echo(markdown(catalogue), nl=False)
    else:
        console = Console(highlight=False)
        for table in tables(catalogue):
            console.print(table)
        console.print(f"{len(catalogue)} features, version {catalogue.version}")


@app.command()
def train(
    signals: Signals,
    data_through: DataThrough = None,
    horizon: Annotated[int | None, typer.Option(help="Days ahead to predict (default: 90).")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the experiment, as TOML.")] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Train on the past, judge on later data beside simple rivals, register, and promote what passes every gate."""
    from features.clock import parse_instant
    from models.home import current_home
    from training.config import read_config
    from training.report import print_report
    from training.train import train as run

    settings = read_config(config, horizon_days=horizon)
    through = parse_instant(data_through) if data_through else None
    with _progress("training") as tell:
        report = run(signals, current_home(), settings, through, tell, engine)
    _tell_promotions(report.promoted)
    if as_json:
        _print_json(report.as_dict())
    else:
        print_report(report, Console())


TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="churn or expansion.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it is kept.")]
Who = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides (default: the user's name).")]


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 20, as_json: AsJson = False
) -> None:
    """List the completed trainings, what each gave, and every change of champion with who and why."""
    from models.home import current_home
    from training.runs import changes
    from training.runs import runs as find
    from training.runs_print import print_runs

    home = current_home()
    found, changed = find(home, limit), changes(home)
    if as_json:
        told = [change.model_dump(mode="json") for change in changed]
        _print_json({"runs": [run.as_dict() for run in found], "changes": told})
    else:
        print_runs(found, changed, Console(highlight=False))


@app.command()
def promote(
    target: TargetName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As `renewcast runs` lists it.")],
    why: Why,
    who: Who = None,
) -> None:
    """Make an earlier version the champion, if it passed every gate. Serving takes it up by itself."""
    from models.home import current_home
    from training.promotion import promote_version

    bundle = promote_version(current_home(), _target(target), version, who or getpass.getuser(), why)
    _tell_promotions([_target(target)])
    typer.echo(f"version {bundle.manifest.version} answers for {target}")


@app.command()
def rollback(target: TargetName, why: Why, who: Who = None) -> None:
    """Give the title back to the champion before."""
    from models.home import current_home
    from training.promotion import rollback as back

    earlier = back(current_home(), _target(target), who or getpass.getuser(), why)
    _tell_promotions([_target(target)])
    typer.echo(f"version {earlier.version} answers for {target} again")


@app.command()
def monitor(
    signals: Signals,
    data_through: DataThrough = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Look at the champion after its training: predictions against what happened, drift, feeds, and whether to train
    again, of which webhooks are told. It changes no model."""
    from features.clock import parse_instant
    from models.home import current_home
    from training.monitor import monitor as look
    from training.monitor_print import print_monitor

    through = parse_instant(data_through) if data_through else None
    with _progress("looking at the champion") as tell:
        report = look(signals, current_home(), through, tell, engine)
    if report.retrain:
        _tell_drift(report)
    if as_json:
        _print_json(report.as_dict())
    else:
        print_monitor(report, Console(highlight=False))


def _tell_promotions(targets: Collection[Target]) -> None:
    """Tell webhooks of the newest change of champion of each target."""
    from models.champion import read_pointer
    from models.home import current_home
    from serving.webhooks.senders import tell_promotions

    pointer = read_pointer(current_home())
    history = pointer.history if pointer else ()
    newest = [next(change for change in reversed(history) if change.target == target) for target in targets]
    if newest:
        _tell(lambda store: tell_promotions(store, newest), "webhooks are told of it with the next published batch")


def _tell_drift(report: MonitorReport) -> None:
    from serving.webhooks.senders import Drift, tell_drift

    found = [
        Drift(target, watched.version, report.data_through, watched.reasons)
        for target, watched in report.targets.items()
        if watched.reasons
    ]
    _tell(lambda store: tell_drift(store, found), "webhooks are not told of it; `renewcast monitor` tries again")


def _tell(send: Callable[[Store], int], otherwise: str) -> None:
    """Put something into the outbox; where the store is away, say so, since what was done stays done."""
    from models.home import current_home
    from serving.errors import StoreDown
    from serving.settings import current_settings

    if current_settings().store_address is None and not (current_home().root / "store.sqlite").exists():
        # Nobody has asked to be told of anything.
        return
    try:
        send(_store())
    except StoreDown as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"{error.found}: {otherwise}", markup=False)


@app.command()
def review(
    signals: Signals,
    quarter: Annotated[str, typer.Option("--quarter", metavar="QUARTER", help="Such as 2026Q3.")],
    rubric: RubricName = None,
    capacity: Annotated[
        int | None, typer.Option(min=1, help="Red accounts that the team can look after at a date (default: 20).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write (default: reviews/ in the home).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold the health score of a quarter against what happened: a page and a document to decide on. It changes
    nothing until it is approved."""
    from models.home import current_home
    from training.review.hold import CAPACITY, hold
    from training.review.quarter import Quarter

    asked = Quarter.parse(quarter)
    with _progress(f"reviewing {asked.name}") as tell:
        held = hold(signals, asked, current_home(), rubric, capacity or CAPACITY, out, tell)
    if as_json:
        _print_json({**held.review.plain(), "folder": str(held.folder), "run_id": held.run_id})
    else:
        typer.echo(held.words())


@app.command()
def reviews(as_json: AsJson = False) -> None:
    """List the reviews, what each came to and whether it was signed, and every sign-off and rollback."""
    from models.home import current_home
    from models.reviews import list_reviews
    from models.rubric_history import read_history
    from serving.calibration_print import print_reviews

    home = current_home()
    print_reviews(list_reviews(home), read_history(home), Console(highlight=False), as_json)


@app.command()
def approve(
    author: Annotated[str, typer.Option("--author", metavar="NAME", help="Who proposes it.")],
    reviewer: Annotated[str, typer.Option("--reviewer", metavar="NAME", help="Who has looked at it: another person.")],
    review: Annotated[str | None, typer.Argument(metavar="REVIEW", help="As `renewcast reviews` lists it.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="The CS owner, who sees to it.")] = None,
    effective: Annotated[
        str | None, typer.Option("--effective", metavar="DATE", help="From this date on scores use it.")
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Record that it was turned down; nothing changes.")] = False,
    back: Annotated[
        bool, typer.Option("--rollback", help="Take the newest approved version back; REVIEW is not needed.")
    ] = False,
    rubric: Annotated[str | None, typer.Option("--rubric", metavar="NAME", help="With --rollback: of which.")] = None,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason; it is kept.")] = None,
    signals: Annotated[
        str | None,
        typer.Option("--signals", metavar="SIGNALS", help="Where the reviewed signals are now, if they were moved."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign a review off: what it proposes becomes a new version of the rubric, in force from a date on. Data, rubric
    and model have to be those that were reviewed."""
    from models.home import current_home
    from serving.calibration import approve_here, roll_back_here

    home, store = current_home(), _store()
    with _progress("signing") as tell:
        if back:
            decided = roll_back_here(home, store, rubric, author, reviewer, why)
        else:
            if review is None or owner is None or effective is None:
                raise BadRequest(
                    "a sign-off without review, owner or effective date",
                    "renewcast approve REVIEW --author A --reviewer B --owner C --effective DATE",
                    "give all of them, or --rollback",
                )
            decided = approve_here(home, store, review, author, reviewer, owner, effective, reject, why, signals, tell)
    if as_json:
        _print_json(decided.model_dump(mode="json", exclude={"meaning"}))
    else:
        typer.echo(decided.words())


def _target(name: str) -> Target:
    from models.targets import TARGETS

    if name not in TARGETS:
        raise BadRequest(f"there is no target {name}", f"one of {', '.join(TARGETS)}")
    return name


@app.command()
def score(
    signals: Signals,
    as_of: AsOf,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .csv, .parquet or .ndjson file.")],
    publish: Annotated[
        bool, typer.Option("--publish", help="Keep predictions and alerts in the store, and tell webhooks.")
    ] = False,
    engine: Engine = "duckdb",
) -> None:
    """Score every active account as of a date: probabilities, bands, health and reasons, one flat row each."""
    from features.clock import parse_instant
    from features.health.feeds import feed_health
    from features.signals import read_signals
    from features.source import open_source
    from models.frames import suffix_of
    from models.home import current_home
    from serving.batch import score as run

    suffix_of(out)
    instant, home = parse_instant(as_of), current_home()
    with _progress("scoring") as tell:
        source = open_source(signals, engine)
        jumped = feed_health(source, instant).jumped
        opened = read_signals(
            source, instant, progress=lambda share, what: tell(0.1 + 0.3 * share, what), kept=home.rollups
        )
        store = _store() if publish else None
        summary = run(opened, instant, out, home, lambda share, what: tell(0.4 + 0.6 * share, what), jumped, store)
    typer.echo(summary.words())


@app.command()
def health(
    signals: Signals,
    as_of: AsOf,
    rubric: RubricName = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="One account, its score as a sum.")] = None,
    disagreements: Annotated[
        bool, typer.Option("--disagreements", help="Only where model and score differ, the widest gap first.")
    ] = False,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Health scores of the portfolio by a rubric, the lowest first; or one account's, to be checked by hand."""
    from models.answer import answer, row_of
    from models.frames import plain_rows
    from serving.boards import disagreements_board, health_board
    from serving.boards_print import DISAGREEMENTS, HEALTH, print_account

    found = _looked(signals, as_of, engine, rubric, out)
    if account is None and disagreements:
        _show(found, disagreements_board(found), DISAGREEMENTS, "model and health score disagree", out, as_json)
        return
    if account is None:
        _show(found, health_board(found), HEALTH, "health", out, as_json)
        return
    row = row_of(found, account)
    if out is not None:
        _write(found.health.breakdown(row), out)
    elif as_json:
        told = answer(found, account, scored_at=datetime.now(UTC))
        _print_json({**told, "breakdown": plain_rows(found.health.breakdown(row))})
    else:
        print_account(found, row, Console(highlight=False))


PeriodName = Annotated[
    str, typer.Option(metavar="PERIOD", help="month, quarter, year or a number of days such as 90d, up to --as-of.")
]


@app.command()
def portfolio(
    signals: Signals,
    as_of: AsOf,
    period: PeriodName = "quarter",
    rubric: RubricName = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the JSON to a file.")] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """The portfolio's measures: retention, churn, health, satisfaction, adoption, renewals, advocates; each with its
    numerator and denominator, last value and target, also by segment, CSM and region. serving/MEASURES.md defines
    them."""
    from features.atomic import write_file
    from features.clock import parse_instant
    from features.kpi.period import period_ending
    from features.signals import open_signals
    from models.champion import load_champion
    from models.home import current_home
    from serving.batch import horizon_of
    from serving.measures.show import print_measures
    from serving.measures.told import measures_told

    instant, home = parse_instant(as_of), current_home()
    span = period_ending(instant, period)
    champion = load_champion(home)
    if rubric is not None:
        champion = champion.judged_by(rubric)
    with _progress("reading") as tell:
        opened = open_signals(signals, instant, lambda share, what: tell(0.4 * share, what), engine, home.rollups)
        told = measures_told(
            opened,
            span,
            champion.rubric,
            horizon_of(champion),
            lambda share, what: tell(0.4 + 0.6 * share, what),
            kept=home.rollups,
        )
    if out is not None:
        write_file(out, json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        typer.echo(f"{len(told['measures'])} measures as of {told['as_of']} in {out}")
    elif as_json:
        _print_json(told)
    else:
        print_measures(told, Console(highlight=False))


@app.command()
def cohorts(
    signals: Signals,
    as_of: AsOf,
    margin: Annotated[float, typer.Option(help="Gross margin, a share of ARR, for the lifetime value.")] = 1.0,
    years: Annotated[float, typer.Option(help="Nothing after so many years counts for the lifetime value.")] = 5.0,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the JSON to a file.")] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """How long accounts stay: retention in accounts and ARR by the quarter of their start (Kaplan-Meier), and lifetime
    and its value from the model's churn probabilities."""
    from features.atomic import write_file
    from features.clock import parse_instant
    from features.kpi.cohorts import cohorts as retained
    from features.signals import open_signals
    from models.champion import load_champion
    from models.home import current_home
    from serving.batch import horizon_of, look
    from serving.measures.lifetime import check_asked, lifetimes
    from serving.measures.show import print_cohorts

    check_asked(margin, years)
    instant, home = parse_instant(as_of), current_home()
    champion = load_champion(home)
    with _progress("reading") as tell:
        opened = open_signals(signals, instant, lambda share, what: tell(0.4 * share, what), engine, home.rollups)
        found, _, _ = look(opened, instant, home, champion, lambda share, what: tell(0.4 + 0.5 * share, what))
        tell(0.9, "following the cohorts")
        told = {
            "retention": retained(opened, instant, horizon_of(champion)),
            "lifetime": lifetimes(found, margin, years),
        }
    if out is not None:
        write_file(out, json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        typer.echo(f"{len(told['retention']['cohorts'])} cohorts as of {told['retention']['as_of']} in {out}")
    elif as_json:
        _print_json(told)
    else:
        print_cohorts(told, Console(highlight=False))


@app.command()
def qbr(
    signals: Signals,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its account_id.")],
    quarter: Annotated[str, typer.Option(metavar="QUARTER", help="Of the calendar (UTC), such as 2026Q3.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the page and the JSON into this folder.")
    ] = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """One account's business review: partnership, goals, use, value, support, health and risk, expansion, open
    questions; what is not known is named."""
    from features.kpi.period import calendar_quarter
    from serving.packs.review import review_told

    period = calendar_quarter(quarter)
    with _progress("reading") as tell:
        known = _known(signals, account, period, None, rubric, engine, tell)
    _pack(review_told(known, period, quarter), f"qbr-{quarter}", out, as_json)


@app.command()
def plan(
    signals: Signals,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its account_id.")],
    as_of: AsOf,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the page and the JSON into this folder.")
    ] = None,
    rubric: RubricName = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """One account's plan: a save plan where it is at risk, else a success plan, with goals, stakeholders, risks and
    plays, milestones; what is not known is named."""
    from features.clock import parse_instant
    from features.kpi.period import period_ending
    from serving.packs.plan import plan_told

    instant = parse_instant(as_of)
    with _progress("reading") as tell:
        known = _known(signals, account, period_ending(instant, "year"), instant, rubric, engine, tell)
    told = plan_told(known)
    _pack(told, f"{told['kind']}-plan-{told['as_of'][:10]}", out, as_json)


def _known(
    signals: str, account: str, period: Period, as_of: datetime | None, rubric: str | None, engine: str, tell: Tell
) -> Known:
    """What the signals say of one account; without ``as_of`` at the period's end, or as far as they go."""
    from features.signals import open_signals
    from models.champion import load_champion
    from models.home import current_home
    from serving.packs.known import known_from_signals, looked_at

    home = current_home()
    champion = load_champion(home)
    if rubric is not None:
        champion = champion.judged_by(rubric)
    until = as_of or period.end
    opened = open_signals(signals, until, lambda share, what: tell(0.4 * share, what), engine, home.rollups)
    at = as_of or looked_at(opened, period)
    return known_from_signals(
        opened, account, period, at, home, champion, lambda share, what: tell(0.4 + 0.6 * share, what)
    )


def _pack(told: dict[str, Any], name: str, out: Path | None, as_json: bool) -> None:
    from serving.packs.page import page, write_pack
    from serving.packs.show import print_pack

    if out is not None:
        for path in write_pack(told, page(told), out, name):
            typer.echo(str(path))
    elif as_json:
        _print_json(told)
    else:
        print_pack(told, Console(highlight=False))


def _view(name: str, words: str) -> None:
    """A command that shows one of the rules' views of the portfolio."""

    def command(
        signals: Signals,
        as_of: AsOf,
        rubric: RubricName = None,
        out: OutFile = None,
        engine: Engine = "duckdb",
        as_json: AsJson = False,
    ) -> None:
        from serving.boards_print import VIEWS

        board, columns = VIEWS[name]
        found = _looked(signals, as_of, engine, rubric, out)
        _show(found, board(found), columns, name, out, as_json)

    app.command(name, help=words)(command)


_view("risks", "Whom to look after: red and yellow first, why, which play, who acts, by when.")
_view(
    "expansions",
    "Who is ready for more: signs, points, and the gate item by item. Nobody whose health is not green is proposed.",
)
_view("onboarding", "Accounts being onboarded: what should have happened by now and has not, and what to do.")


@app.command()
def renewals(
    signals: Signals,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="What was known before this instant (UTC).")
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", metavar="QUARTER", help="A quarter, such as 2026Q4.")
    ] = None,
    days: Annotated[int | None, typer.Option("--days", help="The next 30, 60, 90 or 120 days (default: 90).")] = None,
    backtest: Annotated[
        bool,
        typer.Option("--backtest", help="Forecast past quarters, hold them against what happened, and keep that."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write every account due to a .csv, .parquet or .ndjson."),
    ] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """The renewal forecast: who is due, what will be renewed, contracted, expanded and lost, with 80% intervals. With
    --backtest, past quarters beside what happened; their coverage is then told with every forecast."""
    from features.clock import parse_instant
    from features.signals import open_signals
    from models.champion import load_champion
    from models.frames import suffix_of
    from models.home import current_home
    from models.renewals.period import period_of
    from serving.batch import look
    from serving.renewals.known import known_from
    from serving.renewals.made import accounts_frame, renewals_of
    from serving.renewals.printed import print_backtest, print_renewals
    from training.renewals import backtest as look_back

    home = current_home()
    if backtest:
        through = parse_instant(as_of) if as_of else None
        with _progress("looking back") as tell:
            past = look_back(signals, home, through, tell, engine)
        if as_json:
            _print_json(past.model_dump(mode="json"))
        else:
            print_backtest(past, Console(highlight=False))
        return
    if as_of is None:
        raise BadRequest("a forecast without a date", "--as-of DATE, or --backtest")
    if out is not None:
        suffix_of(out)
    instant = parse_instant(as_of)
    asked = period_of(instant, period, days)
    with _progress("looking ahead") as tell:
        opened = open_signals(signals, instant, lambda share, what: tell(0.4 * share, what), engine, home.rollups)
        known = known_from(opened, instant, home)
        champion = load_champion(home)
        found, _, _ = look(opened, instant, home, champion, lambda share, what: tell(0.4 + 0.5 * share, what))
        told = renewals_of(found, asked, known)
    if out is not None:
        _write(accounts_frame(told), out)
    elif as_json:
        _print_json(told)
    else:
        print_renewals(told, Console(highlight=False))


@app.command()
def worklist(
    signals: Signals,
    as_of: AsOf,
    capacity: Annotated[int, typer.Option(min=0, help="Accounts that the team can work.")] = 20,
    csm: Annotated[str | None, typer.Option("--csm", metavar="NAME", help="This CSM's accounts only.")] = None,
    save_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Assume that plays keep this share of who would leave, until it is measured."),
    ] = None,
    out: OutFile = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Whom to work this week: the most ARR at risk first, what to do, by when, who is too late, and what it gains
    against working by health score."""
    from features.clock import parse_instant
    from features.signals import open_signals
    from models.champion import load_champion
    from models.frames import suffix_of
    from models.home import current_home
    from serving.batch import look
    from serving.companion import accounts_document
    from serving.worklist.known import interventions_of, recorded
    from serving.worklist.made import Team, worklist_of
    from serving.worklist.printed import print_worklist, worklist_frame

    if out is not None:
        suffix_of(out)
    instant, home = parse_instant(as_of), current_home()
    with _progress("looking") as tell:
        opened = open_signals(signals, instant, lambda share, what: tell(0.4 * share, what), engine, home.rollups)
        champion = load_champion(home)
        found, _, _ = look(opened, instant, home, champion, lambda share, what: tell(0.4 + 0.5 * share, what))
        people = accounts_document(opened, instant, 90)["accounts"]
        with _store().look() as connection:
            told = recorded(connection, frozenset(found.account_ids), instant)
        team = Team(people, [*interventions_of(opened, instant), *told])
        answer = worklist_of(found, capacity, team, csm, save_rate)
    if out is not None:
        _write(worklist_frame(answer), out)
    elif as_json:
        _print_json(answer)
    else:
        print_worklist(answer, Console(highlight=False))


def _looked(signals: str, as_of: str, engine: str, rubric: str | None, out: Path | None) -> Assessment:
    """The portfolio as the rules (and the champion, if there is one) see it."""
    from features.clock import parse_instant
    from features.signals import open_signals
    from models.champion import load_champion
    from models.frames import suffix_of
    from models.home import current_home
    from serving.batch import look

    if out is not None:
        suffix_of(out)
    instant, home = parse_instant(as_of), current_home()
    champion = load_champion(home)
    if rubric is not None:
        champion = champion.judged_by(rubric)
    with _progress("looking") as tell:
        opened = open_signals(signals, instant, lambda share, what: tell(0.4 * share, what), engine, home.rollups)
        found, _, _ = look(opened, instant, home, champion, lambda share, what: tell(0.4 + 0.6 * share, what))
    return found


def _show(
    found: Assessment, board: pd.DataFrame, columns: Mapping[str, str], what: str, out: Path | None, as_json: bool
) -> None:
    from models.answer import instant_words
    from models.frames import plain_rows
    from serving.boards_print import print_board

    title = f"{what} as of {instant_words(found.as_of)}, by {found.health.rubric.name}: {len(board):,} accounts"
    if out is not None:
        _write(board, out)
    elif as_json:
        about = {
            "as_of": instant_words(found.as_of),
            "rubric": found.health.rubric.name,
            "rules": dict(found.judged.versions),
        }
        _print_json({**about, "accounts": plain_rows(board)})
    else:
        print_board(board, columns, title, Console(highlight=False))


def _write(board: pd.DataFrame, out: Path) -> None:
    from models.frames import write_frame

    write_frame(board, out)
    typer.echo(f"{len(board):,} rows in {out}")


@app.command()
def card(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it to a .md, .html or .json file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The champions' model cards: what they are for, data, figures with intervals, limits, and who promoted them."""
    from features.atomic import write_file
    from models.champion import load_champion
    from models.home import current_home
    from serving.cards import cards_of
    from serving.cards_text import markdown

    kinds = (".md", ".html", ".json")
    if out is not None and out.suffix not in kinds:
        raise BadRequest(f"a card cannot be written as {out.suffix or 'a file without an ending'}", ", ".join(kinds))
    home = current_home()
    cards = cards_of(home, load_champion(home))
    if not cards:
        raise BadRequest("there is no champion to write a card of", "a promoted model", "train one: `renewcast train`")
    if out is None:
        if as_json:
            _print_json(cards)
        else:
            typer.echo(markdown(cards), nl=False)
        return
    if out.suffix == ".html":
        from serving.pages.model import as_html

        text = as_html(cards)
    else:
        text = json.dumps(cards, indent=1) + "\n" if out.suffix == ".json" else markdown(cards)
    write_file(out, text)
    typer.echo(f"{len(cards)} model cards in {out}")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer on the one port.")] = 1,
) -> None:
    """Serve the latest scored snapshot and the champion over HTTP. A worker that ends is started again; limits of
    requests a minute hold for each worker."""
    from models.home import current_home
    from serving import lean  # noqa: F401 it is to come before all that it leaves out
    from serving.server import run

    run(host, port, current_home(), workers)


keys_app = typer.Typer(help="API keys: who may call the service, and for what.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="predict, write or admin; several times for several (default: predict).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once: only a digest of it is kept."""
    from serving.keys import create_key as make

    with _store().begin() as connection:
        key, secret = make(connection, name, scope or ["predict"])
    if as_json:
        _print_json({"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "key": secret})
        return
    typer.echo(f"{key.id} may {', '.join(sorted(key.scopes))}. The key, shown this once:\n\n    {secret}\n")


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys, revoked ones too; never the keys themselves."""
    from serving.admin_print import print_keys
    from serving.keys import list_keys as every

    with _store().look() as connection:
        found = every(connection)
    print_keys(found, as_json)


@keys_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `renewcast keys list` tells it.")]) -> None:
    """Take a key back. It is refused from the next request on."""
    from serving.keys import revoke_key as take_back

    with _store().begin() as connection:
        key = take_back(connection, key_id)
    typer.echo(f"{key.id} ({key.name}) is revoked")


webhooks_app = typer.Typer(help="Webhooks: who is told of what happens.", no_args_is_help=True)
app.add_typer(webhooks_app, name="webhooks")
EndpointId = Annotated[str, typer.Argument(metavar="ID", help="As `renewcast webhooks list` tells it.")]


@webhooks_app.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(help="https://HOST/PATH")],
    event: Annotated[
        list[str] | None, typer.Option(help="Several times for several (default: all); `list` tells which there are.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell an address of what happens. The secret that signs its deliveries is shown this once."""
    from serving.settings import current_settings
    from serving.webhooks.endpoints import add_endpoint

    with _store().begin() as connection:
        endpoint, secret = add_endpoint(connection, url, event or [], current_settings().webhooks_anywhere)
    if as_json:
        _print_json({"id": endpoint.id, "url": url, "events": list(endpoint.events), "secret": secret})
        return
    typer.echo(f"{endpoint.id} is told of {', '.join(endpoint.events)}. Its secret, shown this once:\n\n    {secret}\n")


@webhooks_app.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """All endpoints, how many deliveries wait for each, and which are disabled and why."""
    from serving.admin_print import print_endpoints
    from serving.webhooks.endpoints import list_endpoints

    with _store().look() as connection:
        found = list_endpoints(connection)
    print_endpoints(found, as_json)


@webhooks_app.command("enable")
def enable_webhook(endpoint_id: EndpointId) -> None:
    """Tell a disabled endpoint of what happens from now on."""
    from serving.webhooks.endpoints import enable_endpoint

    with _store().begin() as connection:
        enable_endpoint(connection, endpoint_id)
    typer.echo(f"{endpoint_id} is told again")


@webhooks_app.command("remove")
def remove_webhook(endpoint_id: EndpointId) -> None:
    """Forget an endpoint and what waits for it."""
    from serving.webhooks.endpoints import remove_endpoint

    with _store().begin() as connection:
        remove_endpoint(connection, endpoint_id)
    typer.echo(f"{endpoint_id} is removed")


def _store() -> Store:
    from models.home import current_home
    from serving.settings import current_settings
    from serving.store.database import Store

    return Store.of(current_home().ensure(), current_settings().store_address)


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8000,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the service that a demo left running.")] = False,
) -> None:
    """Simulate a portfolio, train, score it, leave the service running, and say what to open."""
    from models.home import current_home

    place = current_home().ensure().root / "demo"
    _stop_demo(place)
    if stop:
        return
    signals, scores = place / "signals", place / "scores.csv"
    simulate(signals, accounts=DEMO_ACCOUNTS, weeks=DEMO_WEEKS, seed=1)
    train(str(signals))
    score(str(signals), as_of=DEMO_AS_OF, out=scores, publish=True)
    url = _serve_in_background(place, port)
    with scores.open(encoding="utf-8", newline="") as file:
        worst = max(csv.DictReader(file), key=lambda row: float(row["churn_probability"] or 0))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]{worst['account_id']}[/] is most at risk of leaving within 90 days, because:")
    for k in range(1, 4):
        console.print(f"  - {worst[f'reason_{k}']}", markup=False)
    console.print(
        f"\nAsk     curl {url}/v1/accounts/{worst['account_id']}/prediction\n"
        f"Open    {url}  (the portfolio; {url}/docs for the API)\n"
        f"Scores  {scores}\n"
        f"Stop    make demo-stop"
    )


def _serve_in_background(place: Path, port: int) -> str:
    """Start the service as a process of its own and wait until it is ready."""
    url = f"http://127.0.0.1:{port}"
    log = place / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "renewcast", "serve", "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # A demo is looked at from this machine; elsewhere a key is asked for.
            env=os.environ | {"RENEWCAST_OPEN_LOCALLY": "true"},
        )
    (place / "serve.pid").write_text(str(process.pid), encoding="utf-8")
    for _ in range(DEMO_PATIENCE * 5):
        if process.poll() is not None:
            raise HomeError(f"the service stopped at once; {log} says why", "a free port", "choose another with --port")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            if answer.status == 200:
                return url
        time.sleep(0.2)
    process.terminate()
    raise HomeError(f"the service was not ready within {DEMO_PATIENCE} seconds; {log} says more")


def _stop_demo(place: Path) -> None:
    """Stop the service of an earlier demo, if it still runs."""
    file = place / "serve.pid"
    if file.is_file():
        with contextlib.suppress(ValueError, ProcessLookupError, PermissionError):
            os.kill(int(file.read_text(encoding="utf-8")), signal.SIGTERM)
        file.unlink()


def _print_json(content: object) -> None:
    json.dump(content, sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


@contextlib.contextmanager
def _progress(start: str) -> Iterator[Tell]:
    """A bar on standard error, which leaves standard output to the answer."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(start, total=1.0)

        def tell(share: float, what: str) -> None:
            progress.update(task, completed=share, description=what)

        yield tell


def main() -> None:
    """Run the command line: exit code 2 and one clear message for a user's mistake, 130 for an interrupt."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    if sys.argv[1:2] and sys.argv[1] in FIT_NOTHING:
        from serving import lean  # noqa: F401 it is to come before all that it leaves out
    try:
        app()
    except RenewcastError as error:
        _fail(str(error), insufficient=isinstance(error, InsufficientData))


def _fail(message: str, *, insufficient: bool = False) -> NoReturn:
    head, *rest = message.splitlines()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("Not enough data:" if insufficient else "Error:", style="bold red", end=" ")
    console.print(head, markup=False)
    for line in rest:
        console.print(line, markup=False)
    sys.exit(USER_MISTAKE)


if __name__ == "__main__":
    main()
