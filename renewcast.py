"""Predict churn and expansion of B2B customer accounts, explain the predictions, and check the health score.

This module is the public Python API, and the entry of the command line ``renewcast``. The names in ``__all__`` are
stable; everything else, in this module and in the packages ``features``, ``models``, ``training`` and ``serving``, may
change in any release.

Functions
---------
simulate : generate a synthetic portfolio
check : validate a signals source, and say whether there is enough data
open_signals : open a signals source
features : list the feature catalogue
feature : declare a feature that a Python function computes
measure : declare a feature that measures a table, in Python
table : declare an extra table, in Python
snapshot : compute features as of one date or several
labels : say what happened after each snapshot
train : train on the past, evaluate on later data, promote what passes every gate
backtest : backtest your own classifiers next to Renewcast's models
judge : apply the promotion gates to a backtest
register : judge, fit and register your own classifier, so that the service can use it
load_champion : load the models that answer now
score : score every account as of a date
explain : explain one account
health : compute health scores
renewals : forecast the renewals of a period
worklist : list the accounts to work this week
design_holdout : design a trial of plays with accounts that are held out at random
play_effects : estimate the effect of plays from such a trial

Classes
-------
Signals : an open signals source
CheckResult : what `check` found
TrainingResult : what `train` or `register` did
BacktestResult : what `backtest` measured
JudgeResult : what `judge` decided
Champion : the models that answer, and the health score's rubric
RenewalForecast : what `renewals` forecasts
Worklist : what `worklist` lists
HoldoutDesign : what `design_holdout` returns
PlayEffects : what `play_effects` estimates
RenewcastError : the base of all errors that a user can fix; ``found``, ``expected`` and ``cure`` say how

Dates are ISO 8601 text, `datetime.date`, `datetime.datetime` or `pandas.Timestamp`; without a time zone they are UTC.
Tables are pandas DataFrames. Where a home is needed, ``home=`` names its folder; without it, the environment variable
RENEWCAST_HOME does, as on the command line.

Examples
--------
>>> import renewcast
>>> with renewcast.open_signals("signals") as signals:
...     frame = renewcast.snapshot(signals, "2026-09-30")
>>> len(frame) > 0
True
"""

from __future__ import annotations

import csv
import errno
import gc
import getpass
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from features.errors import BadRequest, HomeError, InsufficientData, RenewcastError
from features.utils.atomic_files import DISK_ERRORS, write_error
from features.utils.cli import (
    CLOSED_PIPE,
    TABLE_FILES,
    USER_MISTAKE,
    AsJson,
    AsOf,
    DataThrough,
    Engine,
    PortfolioName,
    SignalsArgument,
    mark_uncertain,
    progress_bar,
    write_result,
)
from features.utils.interruption import exit_on_signals, stop_exit_code
from features.utils.printable import discard_output, printable_line, printable_output
from features.utils.proxies import bypass_proxies_locally
from serving.cli import (
    account_reports,
    card,
    changes,
    churned_accounts,
    demo_process,
    erase,
    holdout,
    home,
    interventions,
    keys,
    kpi,
    report,
    reviews,
    rule_tables,
    serve,
    trends,
    views,
    webhook_events,
    webhooks,
)
from serving.cli import score as score_command
from serving.cli import worklist as worklist_command
from serving.cli.filter_options import NO_OPTIONS, Chosen, filter_options
from serving.cli.renewals import forecast
from training.cli import connect, data, review, runs, snapshots

if TYPE_CHECKING:
    from features.contract.python_file import feature, measure, table
    from features.python_api import Address, Instant, Signals, features, open_signals, snapshot
    from models.artifacts.champion import Champion
    from models.targets import Target
    from serving.python_api import (
        HoldoutDesign,
        PlayEffects,
        RenewalForecast,
        Worklist,
        design_holdout,
        explain,
        health,
        load_champion,
        renewals,
        score,
        worklist,
    )
    from training.estimator_api import BacktestResult, JudgeResult, backtest, judge
    from training.python_api import CheckResult, TrainingResult, check, labels, simulate

__all__ = [
    "BacktestResult",
    "Champion",
    "CheckResult",
    "HoldoutDesign",
    "JudgeResult",
    "PlayEffects",
    "RenewalForecast",
    "RenewcastError",
    "Signals",
    "TrainingResult",
    "Worklist",
    "backtest",
    "check",
    "design_holdout",
    "explain",
    "feature",
    "features",
    "health",
    "judge",
    "labels",
    "load_champion",
    "measure",
    "open_signals",
    "play_effects",
    "register",
    "renewals",
    "score",
    "simulate",
    "snapshot",
    "table",
    "train",
    "worklist",
]

_MODULES = {
    "features.contract.python_file": ("feature", "measure", "table"),
    "features.python_api": ("Signals", "features", "open_signals", "snapshot"),
    "models.artifacts.champion": ("Champion",),
    "training.estimator_api": ("BacktestResult", "JudgeResult", "backtest", "judge"),
    "training.python_api": ("CheckResult", "TrainingResult", "check", "labels", "simulate"),
    "serving.python_api": (
        *("HoldoutDesign", "PlayEffects", "RenewalForecast", "Worklist", "design_holdout", "explain", "health"),
        *("load_champion", "renewals", "score", "worklist"),
    ),
}
"""Modules of the public API and the names they define. They are imported on first use, because importing is slow."""

FIT_NOTHING = frozenset(
    {
        "connect",
        "check",
        "trends",
        "snapshot",
        "features",
        "score",
        "health",
        "risks",
        "expansions",
        "onboarding",
        "worklist",
        "portfolio",
        "changes",
        "churned",
        "leadership",
    }
    | {"cohorts", "qbr", "plan", "report", "reviews", "card", "home", "erase"}
    | {"interventions", "views", "keys", "webhooks"}
)
"""Commands that fit no models. They start faster without the modules that do."""
ALLOCATIONS_UNTIL_COLLECTION = 50_000
"""After how many new objects commands that fit no models look for garbage in cycles; Python's default is 700."""
DEMO_ACCOUNTS = 400
DEMO_WEEKS = 130
DEMO_AS_OF = "2026-09-30"
DEMO_ADDITIONS = ("products", "parents", "pulse", "costs")


class Commands(TyperGroup):
    """The group of all commands. Error messages show control characters of arguments as escapes.

    If the reader of the output closes it, as ``head`` does, the command ends quietly.
    """

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Parse the arguments before the command's name."""
        with _command_errors():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Parse the remaining arguments and run the command."""
        with _command_errors():
            return super().invoke(ctx)


@contextmanager
def _command_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        discard_output()
        raise typer.Exit(CLOSED_PIPE) from None
    except typer.TyperException as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = printable_line(message)
        raise


app = typer.Typer(
    cls=Commands,
    help="Predict churn and expansion of customer accounts, explain the predictions, and check the health score.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="SIGNALS is a folder of Parquet, CSV or JSON files, a database address (duckdb:///FILE, sqlite:///FILE, "
    "postgresql://USER:PASSWORD@HOST/DATABASE) or a TOML mapping file. "
    "All output that you give no path for is written to RENEWCAST_HOME (default: .renewcast).",
)
fitting = typer.Typer()
champions = typer.Typer()
forecasts = typer.Typer()
trials = typer.Typer()

TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="churn or expansion.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason. It is recorded.")]
Who = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Name of the person who decides (default: your user name).")
]


@app.callback()
def before() -> None:
    """Check the settings of all commands, and prepare the home, before any command runs."""
    from features.sources.sql_cache import enable_sql_cache
    from features.utils.formatting import date_form, use_stored
    from features.utils.private_files import restrict_umask
    from models.home import current_home
    from models.portfolio_settings import use_portfolio_settings

    home = current_home()
    restrict_umask(home.root)
    try:
        enable_sql_cache(home.require_own().texts)
    except HomeError:
        # Commands that need the home report the error. The others do without the cache and the settings.
        use_stored(None, None)
    else:
        use_portfolio_settings(home)
    date_form()


def train(
    signals: Signals,
    *,
    home: Address | None = None,
    config: Address | Mapping[str, object] | None = None,
    portfolio: str | None = None,
) -> TrainingResult:
    """Train on the past, evaluate on later data next to simple baselines, and promote what passes every gate.

    It does what ``renewcast train`` does: it registers the models with MLflow, writes them to the home, and notifies
    webhooks of a promotion. It takes minutes.

    Parameters
    ----------
    signals : Signals
        The open source. It is read again from its address, up to its ``data_through``.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    config : str, path-like or mapping, optional
        Settings by name, such as ``{"horizon_days": 60, "trials": 30}``, or the path of a TOML file of them.
    portfolio : str, optional
        The name of the portfolio that the home belongs to. By default that of the source.

    Returns
    -------
    TrainingResult
        Versions, metrics, gates and test predictions, and the trained models as ``champion``.

    Raises
    ------
    RenewcastError
        If there is too little data, a setting is unknown or out of range, a feature leaks the future, or the home
        belongs to another portfolio.

    Examples
    --------
    >>> import renewcast
    >>> quick = {"every_days": 14, "trials": 1, "resamples": 50, "folds": 2}
    >>> with renewcast.open_signals("training-signals", data_through="2026-09-30") as signals:
    ...     result = renewcast.train(signals, home="trained", config=quick)
    >>> 0.5 < result.metrics.loc[("expansion", "blend", "roc_auc"), "value"] < 1
    np.True_
    >>> result.champion.versions["expansion"]
    '1'
    """
    from training.python_api import train_signals

    result = train_signals(signals, home, config, portfolio)
    webhook_events.enqueue_latest_promotions(result.report.promoted, result.home)
    return result


def register(
    estimator: Any,
    signals: Signals,
    *,
    name: str | None = None,
    target: str = "churn",
    home: Address | None = None,
    config: Address | Mapping[str, object] | None = None,
    portfolio: str | None = None,
    promote: bool = True,
) -> TrainingResult:
    """Judge your own classifier, fit it on every known label, and register it, so that the service can use it.

    It does what `train` does, with your classifier in place of Renewcast's own model: a backtest next to the same
    candidates, the same promotion gates, an MLflow run with a model card and a registered version, and a bundle in the
    home. ``renewcast score``, ``renewcast promote`` and the service treat it like any other version.

    The bundle holds plain data, and nothing is unpickled. `lightgbm.LGBMClassifier`,
    `sklearn.ensemble.HistGradientBoostingClassifier` and CatBoostClassifier become trees in LightGBM's format, with
    exact contributions. Everything else is converted to ONNX by skl2onnx (``pip install 'renewcast[estimators]'``);
    its contributions are Shapley values estimated by sampling.

    Parameters
    ----------
    estimator : classifier
        An unfitted scikit-learn compatible classifier; see `backtest` for what it gets.
    signals : Signals
        The open source. It is read again from its address, up to its ``data_through``.
    name : str, optional
        The name among the candidates. By default that of the class.
    target : {"churn", "expansion"}, default "churn"
        The target.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    config : str, path-like or mapping, optional
        Training settings by name, or the path of a TOML file of them.
    portfolio : str, optional
        The name of the portfolio that the home belongs to. By default that of the source.
    promote : bool, default True
        Whether to promote the model if it passes every gate. Otherwise ``renewcast promote`` does it later.

    Returns
    -------
    TrainingResult
        Version, metrics, gates and test predictions, and the model as ``champion``.

    Raises
    ------
    RenewcastError
        If there is too little data, a feature leaks the future, the classifier cannot be fitted or stored without
        pickling, or the home belongs to another portfolio.

    Examples
    --------
    >>> import renewcast
    >>> from lightgbm import LGBMClassifier
    >>> quick = {"every_days": 28, "trials": 1, "resamples": 50, "folds": 2}
    >>> own = LGBMClassifier(n_estimators=20, num_leaves=8, verbosity=-1)
    >>> with renewcast.open_signals("training-signals", data_through="2026-09-30") as signals:
    ...     result = renewcast.register(own, signals, target="expansion", home="registered", config=quick)
    >>> result.versions
    {'expansion': '1'}
    """
    from training.estimator_api import register_estimator

    result = register_estimator(estimator, signals, name, target, home, config, portfolio, promote)
    webhook_events.enqueue_latest_promotions(result.report.promoted, result.home)
    return result


def play_effects(
    signals: Signals,
    as_of: Instant,
    *,
    home: Address | None = None,
    champion: Champion | None = None,
    store: bool = False,
) -> PlayEffects:
    """Estimate the effect of plays from accounts that were held out at random: on average, by play and per account.

    It gives the numbers of ``renewcast holdout effect``, with the same estimator: the outcome is whether an account is
    still a customer 90 days after its assignment, adjusted for what was known then.

    Parameters
    ----------
    signals : Signals
        The open source, with the table ``interventions``.
    as_of : str, date, datetime or pandas.Timestamp
        Only what was known before this instant (UTC) counts.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    champion : Champion, optional
        The models to assess with. By default the champion of the home.
    store : bool, default False
        Whether to store the effects per account in the home, as the command does. The worklist uses stored effects if
        validation supports that accounts differ.

    Returns
    -------
    PlayEffects
        ``by_play`` is a DataFrame; ``as_dict()`` is what ``renewcast holdout effect --json`` prints.

    Raises
    ------
    RenewcastError
        For the reasons of `score`.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals") as signals:
    ...     effects = renewcast.play_effects(signals, "2026-09-30", home="home")
    >>> effects.save_rate is None
    True
    """
    from models.uplift.account_effects import write_effects
    from serving.python_api import known_interventions, play_effects_of
    from training.uplift.account_effects import fit_effects

    instant, place, interventions = known_interventions(signals, as_of, home, champion)
    fitted, notes = fit_effects(interventions, instant)
    if store:
        write_effects(place.effects_file, fitted)
    return play_effects_of(instant, interventions, fitted, notes)


if not TYPE_CHECKING:
    # Type checkers do not see it: they read the imports above, and report names that do not exist.
    def __getattr__(name: str) -> Any:
        """Import a name of the API when it is first needed (PEP 562)."""
        for module, names in _MODULES.items():
            if name in names:
                return getattr(importlib.import_module(module), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


@fitting.command("train")
def _train(
    signals: SignalsArgument,
    data_through: DataThrough = None,
    horizon: Annotated[int | None, typer.Option(help="Days ahead to predict (default: 90).")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file with training settings.")] = None,
    engine: Engine = "duckdb",
    portfolio: PortfolioName = None,
    as_json: AsJson = False,
) -> None:
    """Train models on past data, evaluate them on later data, register them, and promote those that pass every gate.

    Simple baselines are evaluated on the same data for comparison."""
    from features.utils.console import Console
    from features.utils.dates import parse_cutoff
    from models.home import current_home
    from training.cli.tables.train import print_report
    from training.config import read_config
    from training.pipeline.train import train as run

    settings = read_config(config, horizon_days=horizon)
    through = None if data_through is None else parse_cutoff(data_through)
    with progress_bar("training") as tell:
        report = run(signals, current_home(), settings, through, tell, engine, portfolio)
    webhook_events.enqueue_latest_promotions(report.promoted)
    mark_uncertain(report.open_questions)
    # Highlighting makes the many figures of the report easier to read.
    write_result(as_json, report.as_dict, lambda _: print_report(report, Console(highlight=True)))


@champions.command()
def promote(
    target: TargetName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Version number from `renewcast runs`.")],
    why: Why,
    who: Who = None,
) -> None:
    """Promote a registered version to champion.

    It must have passed every gate; a version that could not be compared with the champion of its time is also allowed.
    A running service switches to it without a restart."""
    from models.home import current_home
    from training.registry.promotion import promote_version

    bundle = promote_version(current_home(), _target(target), version, who or getpass.getuser(), why)
    webhook_events.enqueue_latest_promotions([_target(target)])
    typer.echo(f"version {bundle.manifest.version} is now the champion for {target}")


@champions.command()
def rollback(target: TargetName, why: Why, who: Who = None) -> None:
    """Roll back to the previous champion."""
    from models.home import current_home
    from training.registry.promotion import rollback as back

    earlier = back(current_home(), _target(target), who or getpass.getuser(), why)
    webhook_events.enqueue_latest_promotions([_target(target)])
    typer.echo(f"version {earlier.version} is the champion for {target} again")


@champions.command()
def monitor(
    signals: SignalsArgument,
    data_through: DataThrough = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Monitor the champion: compare predictions with outcomes, check for drift and feed problems, and report whether to
    retrain.

    It also reports what followed the early warnings of past dates. If retraining is due, webhooks are notified. No
    model is changed."""
    from features.utils.dates import parse_cutoff
    from models.home import current_home
    from serving.webhooks.events import DriftFinding
    from training.cli.tables.monitor import print_monitor
    from training.monitoring.monitor import monitor as look

    through = None if data_through is None else parse_cutoff(data_through)
    with progress_bar("monitoring the champion") as tell:
        report = look(signals, current_home(), through, tell, engine)
    if report.retrain:
        found = {target: watched for target, watched in report.targets.items() if watched.reasons}
        webhook_events.enqueue_drift_findings(
            [DriftFinding(t, w.version, report.data_through, w.reasons) for t, w in found.items()]
        )
    mark_uncertain(report.open_questions)
    write_result(as_json, report.as_dict, lambda console: print_monitor(report, console))


def _target(name: str) -> Target:
    from models.targets import TARGETS

    if name not in TARGETS:
        raise BadRequest(f"there is no target {name}", f"one of {', '.join(TARGETS)}")
    return name


@forecasts.command("renewals")
@filter_options
def _renewals(
    signals: SignalsArgument,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="Use only data known before this instant (UTC).")
    ] = None,
    period: Annotated[
        str | None,
        typer.Option("--period", metavar="PERIOD", help="A quarter such as 2026Q4, or a month such as 2026-10."),
    ] = None,
    days: Annotated[int | None, typer.Option("--days", help="The next 30, 60, 90 or 120 days (default: 90).")] = None,
    backtest: Annotated[
        bool,
        typer.Option(
            "--backtest", help="Forecast past quarters, compare the forecasts with outcomes, and save the result."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help=f"Write all due accounts to a {TABLE_FILES}."),
    ] = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
    only: Chosen = NO_OPTIONS,
) -> None:
    """Forecast renewals: which accounts are due, and how much ARR will renew, contract, expand and be lost, with 80%
    intervals.

    With --backtest, compare forecasts of past quarters with outcomes. Later forecasts then report the measured coverage
    of their intervals. A quarter that began before the champion was trained is forecast by Renewcast's own recipe,
    refitted on what was known then, also if the champion is a registered estimator."""
    from features.utils.dates import parse_cutoff
    from models.home import current_home

    if not backtest:
        forecast(signals, as_of, period, days, out, engine, as_json, only)
        return
    if only:
        raise BadRequest(
            "the backtest is of all accounts", "--backtest without a filter", f"leave out --{next(iter(only))}"
        )
    from serving.cli.tables.renewals import print_backtest
    from training.renewals.forecast_backtest import backtest as look_back

    through = None if as_of is None else parse_cutoff(as_of)
    with progress_bar("backtesting") as tell:
        past = look_back(signals, current_home(), through, tell, engine)
    write_result(as_json, lambda: past.model_dump(mode="json"), lambda console: print_backtest(past, console))


@holdout.app.command("effect")
def _effect(
    signals: SignalsArgument,
    as_of: AsOf = None,
    engine: Engine = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Estimate the effect of plays from held-out accounts: on average, by play and, with enough accounts, per account.

    The effects per account are stored in the home. The worklist uses them if validation supports that accounts
    differ."""
    from features.signals.cutoff import cutoff_of
    from models.home import current_home
    from models.uplift.account_effects import write_effects
    from serving.cli.tables.holdout import print_effects
    from serving.worklist.effects import effects_document
    from training.uplift.account_effects import fit_effects

    instant = cutoff_of(signals, as_of, engine)
    with progress_bar("assessing the portfolio") as tell:
        _, context = holdout.assessed_context(signals, instant, engine, tell)
        effects, notes = fit_effects(context.interventions or (), instant)
        write_effects(current_home().effects_file, effects)
    payload = effects_document(instant, context.interventions or (), effects, notes)
    write_result(as_json, lambda: payload, lambda console: print_effects(payload, console))


@trials.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8000,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the demo service that is running in the background.")
    ] = False,
) -> None:
    """Simulate a portfolio, train on it, score it, and start the service in the background.

    The command prints the addresses to open."""
    from rich.text import Text

    from features.utils.console import Console
    from models.home import current_home

    place = current_home().ensure().root / "demo"
    demo_process.stop(place)
    if stop:
        return
    signals, scores = place / "signals", place / "scores.csv"
    data.simulate(signals, accounts=DEMO_ACCOUNTS, weeks=DEMO_WEEKS, seed=1, additions=list(DEMO_ADDITIONS))
    _train(str(signals))
    score_command.score(str(signals), as_of=DEMO_AS_OF, out=scores, publish=True)
    url = demo_process.start(place, port)
    with scores.open(encoding="utf-8", newline="") as file:
        worst = max(csv.DictReader(file), key=lambda row: float(row["churn_probability"] or 0))
    console = Console(soft_wrap=True)
    console.print(
        Text.assemble(
            "\n", (worst["account_id"], "bold"), " has the highest risk of churning within 90 days. Main reasons:"
        )
    )
    for reason in filter(None, (worst[f"reason_{k}"] for k in range(1, 4))):
        console.print(f"  - {reason}")
    console.print(
        f"\nQuery   curl {url}/v1/accounts/{worst['account_id']}/prediction\n"
        f"Open    {url}  (the portfolio; {url}/docs for the API)\n"
        f"Scores  {scores}\n"
        f"Stop    make demo-stop"
    )


# In the order of the help.
for commands in (
    connect.app, data.app, snapshots.app, fitting, runs.app, champions, review.app, reviews.app, score_command.app,
    rule_tables.app, kpi.app, trends.app, changes.app, churned_accounts.app, account_reports.app, report.app, forecasts,
    worklist_command.app, card.app, home.app, erase.app, serve.app, trials,
):  # fmt: skip
    app.add_typer(commands)
app.add_typer(holdout.app, name="holdout")
app.add_typer(interventions.app, name="interventions")
app.add_typer(views.app, name="views")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """Run the command line.

    The exit code is 2 for a user's mistake, 141 if the reader of the output closed it, 143 after SIGTERM and 130 after
    SIGINT.
    """
    exit_on_signals()
    bypass_proxies_locally()
    if sys.argv[1:2] and sys.argv[1] in FIT_NOTHING:
        # Importing creates a million objects that stay. Looking for garbage among them takes a tenth of the time.
        gc.set_threshold(ALLOCATIONS_UNTIL_COLLECTION)
        from serving.server import slim_imports  # noqa: F401 must be imported before the modules that it replaces
    with printable_output():
        try:
            try:
                app()
            finally:
                # Otherwise the interpreter reports a failure when it ends, with an exit code of its own.
                sys.stdout.flush()
        except Exception as error:
            if stop_exit_code() is None:
                if isinstance(error, RenewcastError):
                    _fail(str(error), insufficient=isinstance(error, InsufficientData))
                if isinstance(error, BrokenPipeError):
                    discard_output()
                    sys.exit(CLOSED_PIPE)
                if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
                    _fail("a file name is too long for this system\nExpected: the name of a file or folder")
                if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                    _fail(str(write_error(error.filename or "the output", error)))
                raise
        finally:
            # A library may ignore the exception that a signal raises, or turn it into an error of its own. The message
            # has been printed already.
            if (code := stop_exit_code()) is not None:
                sys.exit(code)


def _fail(message: str, *, insufficient: bool = False) -> NoReturn:
    from features.utils.console import Console

    head, *rest = message.split("\n")
    # Standard error may be on the full disk too.
    with suppress(OSError):
        console = Console(stderr=True, soft_wrap=True)
        console.print("Not enough data:" if insufficient else "Error:", style="bold red", end=" ")
        console.print(head)
        for line in rest:
            console.print(line)
    discard_output()
    sys.exit(USER_MISTAKE)


if __name__ == "__main__":
    main()
