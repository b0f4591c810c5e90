"""The options that filter the accounts of a command: those of `serving.schemas.account_filter.AccountFilter`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals
    from models.artifacts.champion import Champion
    from models.predictions.assessment import Assessment
    from serving.portfolio.kpi_filter import KpiFilter
    from serving.snapshots.account_attributes import AccountAttributes, AccountSelection
    from serving.snapshots.scored_snapshot import ScoredSnapshot

Chosen = Mapping[str, str]
"""The options that are given, by name."""
NO_OPTIONS: Chosen = {}
PARAMETER = "only"
"""The parameter of a command that receives them."""
_HELP = {
    "csm": ("NAME", "Only the accounts of this CSM; (none): those without one."),
    "segment": ("NAME", "Only the accounts of this segment; (none): those with unknown ARR."),
    "region": ("NAME", "Only the accounts in this region; (none): those without one."),
    "product": ("NAME", "Only the accounts that hold this product; (none): those without one."),
    "parent": (
        "ACCOUNT",
        "Only this account (id, name, or the beginning of its name) and all below it; (none): those without parent and "
        "child.",
    ),
    "health": ("BAND", "Only the accounts with this health band: green, yellow, red or insufficient_data."),
    "risk": ("BAND", "Only the accounts with this churn risk: high, medium, low, or (none): not scored."),
    "stage": (
        "STAGE",
        "Only the accounts in this stage: onboarding, adoption, value, expansion, advocacy, or (none): unknown.",
    ),
}


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the filter; its parameter `PARAMETER` receives those that are given.

    Parameters
    ----------
    command : the function of the command.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [each for name, each in signature.parameters.items() if name != PARAMETER]
    options = {
        name: Annotated[str | None, typer.Option(f"--{name}", metavar=metavar, help=words, rich_help_panel="Filter")]
        for name, (metavar, words) in _HELP.items()
    }
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> None:
        chosen = {name: value for name in options if (value := arguments.pop(name)) is not None}
        command(**arguments, **{PARAMETER: chosen})

    arguments = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    wrapper.__signature__ = signature.replace(parameters=[*arguments, *added])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {**{each.name: each.annotation for each in own}, **options}
    return wrapper


def select_from_signals(
    chosen: Chosen, signals: OpenSignals, as_of: datetime, assessment: Assessment, champion: Champion
) -> AccountSelection:
    """Return the accounts that the options select.

    Parameters
    ----------
    chosen : the options that are given.
    signals : the open signals.
    as_of : the date of the assessment.
    assessment : the assessed portfolio.
    champion : the champion that assessed it.

    Raises
    ------
    BadRequest : a value is empty or too long, no account has it, or it is no band.
    UnknownAccount : no account, or more than one, can be meant as parent.
    """
    from serving.snapshots.account_attributes import AccountSelection

    if not chosen:
        return AccountSelection.everyone(assessment)
    attributes = attributes_from_signals(signals, as_of, assessment, champion)
    return attributes.require(parse_filter(chosen, attributes))


def select_published(chosen: Chosen, scored: ScoredSnapshot) -> AccountSelection:
    """Return the accounts of a published snapshot that the options select.

    Parameters
    ----------
    chosen : the options that are given.
    scored : the snapshot.

    Raises
    ------
    BadRequest : a value is empty or too long, no account has it, or it is no band.
    UnknownAccount : no account, or more than one, can be meant as parent.
    HomeError : a sidecar of the snapshot is not valid.
    """
    from serving.snapshots.account_attributes import account_attributes, select_accounts

    return select_accounts(scored, parse_filter(chosen, account_attributes(scored)), strict=True)


def select_for_kpis(
    chosen: Chosen, signals: OpenSignals, as_of: datetime, assessment: Assessment, champion: Champion
) -> tuple[AccountSelection, KpiFilter | None]:
    """Return the accounts that the options select, and the filter of contributions to KPIs; None without options.

    Parameters
    ----------
    chosen, signals, as_of, assessment, champion : as in `select_from_signals`.

    Raises
    ------
    BadRequest, UnknownAccount : as in `select_from_signals`.
    """
    from serving.portfolio.kpi_filter import KpiFilter
    from serving.snapshots.account_attributes import AccountSelection

    if not chosen:
        return AccountSelection.everyone(assessment), None
    attributes = attributes_from_signals(signals, as_of, assessment, champion)
    account_filter = parse_filter(chosen, attributes)
    return attributes.require(account_filter), KpiFilter.of(attributes, account_filter)


def attributes_from_signals(
    signals: OpenSignals, as_of: datetime, assessment: Assessment, champion: Champion
) -> AccountAttributes:
    """Return what the accounts are filtered by."""
    from serving.scoring.score_portfolio import champion_horizon
    from serving.snapshots.account_attributes import AccountAttributes
    from serving.snapshots.sidecars import accounts_document, products_document

    days = champion_horizon(champion)
    documents = (make(signals, as_of, days) for make in (accounts_document, products_document))
    return AccountAttributes.of(assessment, *documents)


def parse_filter(chosen: Chosen, attributes: AccountAttributes) -> Any:
    """Return the options as a `serving.schemas.account_filter.AccountFilter`, with the id of the parent company.

    Parameters
    ----------
    chosen : the options that are given.
    attributes : what the accounts are filtered by.

    Raises
    ------
    BadRequest : a value is empty or too long, or it is no band.
    UnknownAccount : no account, or more than one, can be meant as parent.
    """
    from pydantic import ValidationError

    from features.errors import BadRequest
    from serving.schemas.account_filter import AccountFilter

    try:
        return attributes.with_parent_id(AccountFilter.model_validate(dict(chosen)))
    except ValidationError as error:
        # The value is left out, since it can be a customer's.
        name = str(error.errors()[0]["loc"][0])
        raise BadRequest(f"--{name} cannot be used with this value", _HELP[name][1], "correct the option") from None
