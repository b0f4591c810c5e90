"""A home with hostile names, a service that listens, and a browser to look at it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from models.artifacts.champion import load_champion
from models.health.rubric import load_rubric
from models.health.rubric_versions import sha256
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.snapshots.sidecars import ACCOUNTS, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from training.review.html.render import TEMPLATE_FOLDER

WEEK = datetime(2026, 7, 8, tzinfo=UTC)
#: The style sheet that each review contains.
REVIEW_STYLE = TEMPLATE_FOLDER / "style.css"
REVIEW_CHART = '<svg viewBox="0 0 400 160" role="img" aria-label="A chart"><rect width="200" height="80" fill="#3b78d8"/><path d="M0 0L400 160" stroke="currentColor"/></svg>'
#: As browsers ask for a page.
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
#: Ids and names that would do harm if they were not escaped.
HOSTILE = {
    "a00": ("a/b c?d#e", "<script>document.title='taken'</script>"),
    "a01": ('"><img src=x onerror=alert(1)>', "O'Brien & Söhne \u202e\U0001f600"),
    "a02": ("..", "{{ 7 * 7 }} ${7*7}"),
    "a03": ("100% \\ ü", 'x" autofocus onfocus="alert(1)'),
    # Test clients without a network decode such an id twice; servers do not.
    "a04": ("50%25 off", "Half"),
}
CSMS = ("csm-one", "<b>csm</b> two")


def hostile_frame(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(account_id=[HOSTILE.get(account, (account, ""))[0] for account in frame["account_id"]])


@pytest.fixture(scope="session")
def paged_home(
    scored_home: Any,
    frame: pd.DataFrame,
    publish: Callable[..., Path],
    copy_home: Callable[[Home, Path], Home],
    tmp_path_factory: pytest.TempPathFactory,
) -> Home:
    """The shared home, one week later, with hostile ids and names."""
    root = tmp_path_factory.mktemp("paged") / "home"
    home = copy_home(scored_home.home, root)
    renamed = hostile_frame(frame)
    publish(home, renamed, WEEK)
    names = dict(HOSTILE.values())
    facts = dict.fromkeys(("industry", "region", "employees", "created_at", "since", "seats", "plan", "renewal_at", "subscriptions"))
    people = {
        account: {**facts, "name": names.get(account, f"Company {account}"), "csm": CSMS[place % 2], "arr": 1.0}
        for place, account in enumerate(renamed["account_id"])
    }
    write_sidecar(SnapshotFiles(home), WEEK, ACCOUNTS, {"contractual": True, "accounts": people})
    return home


@pytest.fixture(scope="session")
def paged(paged_home: Home) -> Iterator[TestClient]:
    app = create_app(paged_home, ServiceSettings(open_locally=True, retry_seconds=0.05))
    with TestClient(app, client=("127.0.0.1", 1), headers=BROWSER) as client:
        yield client


def _add_review(home: Home) -> str:
    """Write an open review, as `renewcast review` does; its id."""
    bundle, rubric = load_champion(home).bundles["churn"], load_rubric()
    name, answer = "2026Q2-five-dimensions-0000abcd", {"answer": "keep", "words": "keep", "reasons": ["so the evidence says"]}
    review = {
        "schema_version": 1, "id": name, "quarter": "2026Q2", "created_at": "2026-07-01T08:00:00Z",
        "decision": {"headline": "Keep the weights.", "weights": answer, "bands": answer, "effective": "2026-07-01"},
        "sign_off": {
            "rubric": rubric.name, "version": rubric.version, "model": "1", "signals": "signals",
            "data_through": "2026-07-01T00:00:00+00:00",
            "hashes": {"data": "duckdb-1:abc", "rubric": sha256(rubric.text), "model": bundle.fingerprint},
            "proposed_weights": None, "proposed_bands": None, "meaning": None, "earliest_effective": "2026-07-01",
        },
    }  # fmt: skip
    rows = [{"dimension": d, "weight": 20.0, "missing_now": 0.25, "missing_judged": 0.5, "empty_accounts": n} for n, d in enumerate(("usage", "=1+1"))]
    review["data_quality"] = {"feeds": [], "dimensions": rows}
    folder = home.reviews / name
    folder.mkdir(parents=True)
    (folder / "charts.json").write_text(json.dumps({"quality": REVIEW_CHART}))
    (folder / "review.json").write_text(json.dumps(review))
    cells = "".join(f'<td data-label="{label}">{number}</td>' for number, label in enumerate(("One", "Two", "Three")))
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width, initial-scale=1"><title>a review</title>'
        f'<link rel="icon" href="data:,"><style>{REVIEW_STYLE.read_text()}</style></head><body><div class="wrap"><header><h1>Review</h1></header>'
        '<main><div class="scroll" tabindex="0" role="group" aria-label="Table"><table class="cards"><thead><tr><th>Band</th><th>One</th><th>Two</th><th>Three</th></tr>'
        f'</thead><tbody><tr><th scope="row">red</th>{cells}</tr></tbody></table></div><!--files:table:quality--><!--files:chart:quality--><!--files:table:of-another-version--><section id="sign-off" class="sign" aria-label="Sign-off"><h2>Sign-off</h2><!--sign-off--></section>'
        "</main></div></body></html>"
    )
    return name


@pytest.fixture(scope="session")
def add_review() -> Callable[[Home], str]:
    return _add_review


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The application on a port of this machine; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="session", name="listening")
def listening_fixture() -> Callable[[FastAPI], Any]:
    return listening


@pytest.fixture(scope="session")
def live(paged_home: Home) -> Iterator[str]:
    """A service that needs no key on this machine."""
    with listening(create_app(paged_home, ServiceSettings(open_locally=True))) as address:
        yield address


# Not for the whole session: while it is open an event loop counts as running, and no other test could run its own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser; skipped where there is none."""
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=quiet)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One person's browser at one address. ``troubles``: errors on the console (a broken content security policy is
    one), scripts that failed, and requests to other hosts."""

    page: Any
    address: str
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: message.type in ("error", "warning") and self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda requested: requested.url.startswith(self.address) or self.troubles.append(requested.url))

    def open(self, path: str) -> Any:
        return self.page.goto(self.address + path)

    @property
    def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a browser window at a service's address, with options of Playwright's."""
    contexts = []

    def begin(address: str, **options: Any) -> Visit:
        contexts.append(chromium.new_context(**options))
        return Visit(contexts[-1].new_page(), address)

    yield begin
    for context in contexts:
        context.close()
