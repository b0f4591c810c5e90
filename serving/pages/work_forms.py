"""Forms that start, change and snooze work on accounts, and the message about what a form has done.

A form is answered with a redirect (303), so that reloading a page repeats nothing. The message is found by the id of
what was recorded, which a short-lived cookie holds. It is shown once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from features.errors import BadRequest, RenewcastError
from features.utils.formatting import day
from models.peer_groups.rule_files import read_rules
from models.rules.plays import PlaysFile
from serving.common.errors import StoreDown
from serving.html.links import local_path
from serving.html.templates import render_page
from serving.http.problem_details import validation_faults
from serving.schemas.account_filter import WITHOUT
from serving.schemas.form_fields import digits_to_int
from serving.schemas.interventions import Result
from serving.snapshots.account_attributes import account_attributes
from serving.snapshots.live_state import LiveState
from serving.store.database import Store
from serving.store.records import read_records
from serving.worklist.intervention_history import ends_snooze, find_intervention, history_text

#: The numbers of days for which the pages offer to snooze.
SNOOZES = (7, 14, 30)
#: The results with which an intervention is closed, with the words of their buttons.
RESULTS: Mapping[Result, str] = {"saved": "Saved", "lost": "Lost", "no_effect": "No effect"}
AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
COOKIE, COOKIE_SECONDS = "renewcast_message", 60


def may_write(request: Request) -> bool:
    """Return whether the caller may record actions."""
    caller = getattr(request.state, "caller", None)
    return caller is not None and bool(caller.may("write"))


def snooze_choices(request: Request, as_of: datetime | None) -> tuple[int, ...]:
    """Return the numbers of days to snooze for; none if the caller may not record, or looks at an earlier date."""
    return SNOOZES if as_of is None and may_write(request) else ()


def suggested_assignee(request: Request) -> str:
    """Return the name to assign to for accounts without a CSM: that of a person who has signed in."""
    caller = getattr(request.state, "caller", None)
    if caller is None or not caller.in_session:
        return ""
    return str(caller.owner or caller.name)


def playbook() -> tuple[str, ...]:
    """Return the names of all plays that a form can start."""
    return read_rules("plays", PlaysFile).names


def assignee_names(state: LiveState) -> list[str]:
    """Return the people to assign to: the CSMs of the latest snapshot."""
    if state.latest is None:
        return []
    return [csm for csm, _ in account_attributes(state.latest).choices["csm"] if csm != WITHOUT]


def snooze_choice(form: Mapping[str, str]) -> str:
    """Return the day (ISO) until which a form snoozes.

    Raises
    ------
    BadRequest : it is not a choice of the form.
    """
    days = digits_to_int(form.get("days"))
    if days not in SNOOZES:
        raise BadRequest("invalid number of days", ", ".join(map(str, SNOOZES)), "submit the form on the page")
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def text_field(form: Mapping[str, str], name: str) -> str | None:
    """Return a text of a form, None if it is empty. Browsers send line breaks as two characters."""
    return form.get(name, "").replace("\r\n", "\n").strip() or None


def amount_field(form: Mapping[str, str], name: str) -> tuple[float | None, str | None]:
    """Return an amount of a form, None if it is empty, and what is wrong with it, None if nothing is."""
    text = form.get(name, "").strip()
    if not text:
        return None, None
    if not AMOUNT.fullmatch(text):
        return None, "Enter an amount of 0 or more in digits, such as 24000 or 24000.50, or leave it empty."
    return float(text), None


def refuse_invalid(error: ValidationError) -> BadRequest:
    """Return the error to raise for a form that does not fit its model, without what was sent."""
    faults = validation_faults([{**each, "loc": ("body", *each["loc"])} for each in error.errors()])
    places = "; ".join(f"{fault.pointer.removeprefix('/')}: {fault.detail}" for fault in faults)
    return BadRequest(f"the form cannot be used ({places})", "the fields of the form", "go back and correct it")


def redirect_with_message(form: Mapping[str, str], otherwise: str, record_id: str, request: Request) -> Response:
    """Return the redirect after a form: to its field ``next`` if that is a path of this service.

    Parameters
    ----------
    form : the fields of the form.
    otherwise : where to go without ``next``.
    record_id : what was recorded.
    request : the request.
    """
    answer = RedirectResponse(local_path(form.get("next") or otherwise), 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, record_id, COOKIE_SECONDS, path="/", secure=secure, httponly=True, samesite="strict")
    return answer


def render_with_message(
    request: Request, store: Store, people: Mapping[str, Mapping[str, Any]], template: str, /, **shown: Any
) -> Response:
    """Render a page with the message about the form before it, if there was one. It is shown once.

    Parameters
    ----------
    store : the store, with what was recorded.
    people : details of accounts by their id, with ``name``.
    shown : the further arguments of `serving.html.templates.render_page`.
    """
    record_id = request.cookies.get(COOKIE)
    message = None if record_id is None else _message(store, people, record_id)
    answer = render_page(request, template, message=message, **shown)
    if record_id is not None:
        secure = request.url.scheme == "https"
        answer.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="strict")
    return answer


def _message(store: Store, people: Mapping[str, Mapping[str, Any]], record_id: str) -> dict[str, Any] | None:
    """Return the account, what was done to it, and the page of the intervention; None if it is unknown."""
    try:
        with store.read() as connection:
            return _recorded(connection, people, record_id)
    except (StoreDown, RenewcastError):
        return None


def _recorded(connection: Connection, people: Mapping[str, Mapping[str, Any]], record_id: str) -> dict[str, Any] | None:
    records = read_records(connection, record_id=record_id)
    if not records:
        return None
    account = records[0].account_id
    shown = {"account_id": account, "name": people.get(account, {}).get("name") or account}
    if records[0].what != "intervention":
        until = records[0].document.get("until")
        ended = records[0].what == "snooze" and ends_snooze(records[0])
        return {**shown, "id": None, "words": "snooze ended" if ended else f"plays snoozed until {day(until)}"}
    found = find_intervention(connection, record_id)
    return {**shown, "id": found.id, "words": history_text(found.history[-1].as_dict())}
