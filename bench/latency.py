"""Latency of the service compared with common ways to serve a model: `mlflow models serve`, and FastAPI with SHAP.

Our answers have both targets, intervals, reasons and the health score of an account. The peers answer for one target,
with the trees of the same champion's churn model. All runs are sequential, on loopback, with the load in a separate
process. Times are measured by the caller.

An account's first answer is computed; later ones are the same text again. Both are measured apart: the first ones at
once after the start, and when the reasons of all accounts have been prepared in the background. Processor time of the
server is comparable if other work is running; latency is not.

    python bench/latency.py [--home DIR] [--seconds 10] [--port 8300] [--workers 1 2] [--starts 7] [--only first swap]

Without a home that was trained and scored, one is created (`renewcast simulate`, `train`, `score`; a few minutes).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
from peers.http_load import Load, Request, Served, load, started

AS_OF = "2026-09-30"
CONNECTIONS = (1, 16)
SWAP_CONNECTIONS = 4
STARTS = 7
PARTS = ("first", "repeated", "invocations", "swap", "shap", "mlflow")
HERE = Path(__file__).resolve().parent
SETTINGS = {"RENEWCAST_OPEN_LOCALLY": "true", "RENEWCAST_REQUESTS_A_MINUTE": "1000000"}
#: MLflow calls uvicorn by its name.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="folder of a trained and scored home (a new one is created)")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of the load (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8300, help="first port to use (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2], help="number of worker processes (default: %(default)s)"
    )
    parser.add_argument("--starts", type=int, default=STARTS, help="starts of each server (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (default: all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        home = (options.home or train_demo(Path(work))).absolute()
        compare(home, Path(work), options)


def train_demo(work: Path) -> Path:
    home, signals = work / "home", work / "signals"
    for command in (
        ["simulate", str(signals), "--accounts", "400", "--weeks", "130", "--seed", "1"],
        ["train", str(signals)],
        ["score", str(signals), "--as-of", AS_OF, "--out", str(work / "scores.csv")],
    ):
        subprocess.run([sys.executable, "-m", "renewcast", *command], check=True, env=_environment(home))
    return home


def compare(given: Path, work: Path, options: argparse.Namespace) -> None:
    port, seconds, starts, only = options.port, options.seconds, options.starts, options.only
    # A copy, since the champion and the snapshot are replaced under load.
    home = work / "copy"
    shutil.copytree(given, home, ignore=shutil.ignore_patterns("mlartifacts", "rollups", "demo"))
    champion = json.loads((home / "champion.json").read_text())
    model = str(home / champion["churn"]["folder"] / "model.txt")
    text = Path(model).read_text()
    leaves = [int(each) for each in re.findall(r"^num_leaves=(\d+)", text, re.MULTILINE)]
    names = re.search(r"^feature_names=(.*)$", text, re.MULTILINE)[1].split()  # type: ignore[index]
    print(f"the champion's churn model: {len(leaves)} trees of up to {max(leaves)} leaves, {len(names)} columns")

    snapshot = max((home / "snapshots").glob("*.parquet"))
    table = pq.read_table(snapshot)
    accounts = table.column("account_id").to_pylist()
    by_id = [Request(f"/v1/accounts/{account}/prediction") for account in accounts]
    columns = [name for name in table.column_names if name not in ("account_id", "as_of")]
    values = [table.column(name)[0].as_py() for name in columns]
    split = json.dumps({"dataframe_split": {"columns": columns, "data": [values]}}).encode()
    for many in options.workers:
        # One worker needs no supervisor, and the others have none either.
        command = [sys.executable, "-m", "renewcast", "serve", "--port", str(port)]
        command += ["--workers", str(many)] if many > 1 else []
        settings = {"RENEWCAST_HOME": str(home), **SETTINGS}
        name = f"ours, {many} worker(s)"
        with started(name, starts, command, port, "/readyz", work / "ours.log", **settings) as server:
            if "first" in only:
                print_once("  first answers, at once after the start", server, port, by_id)
            if "repeated" in only:
                print_load("  repeated answers, both targets, health", server, port, by_id, seconds)
            if "invocations" in only:
                row = [Request("/invocations", split)]
                print_load("  MLflow's /invocations, one row, probability", server, port, row, seconds)
            if "swap" in only:
                print_swap("champion replaced", home / "champion.json", server, port, by_id, seconds)
                print_swap("snapshot replaced", snapshot, server, port, by_id, seconds)
            print(f"  then {server.megabytes():.0f} MB")
        if "first" in only:
            with started(name, 1, command, port, "/readyz", work / "ours.log", **settings) as server:
                wait_until_prepared(work / "ours.log")
                print_once("  first answers, when prepared", server, port, by_id)
                print_load("  repeated answers, in the same run", server, port, by_id, seconds)
                print(f"  then {server.megabytes():.0f} MB")
    if "shap" in only:
        compare_shap(model, names, work, options)
    if "mlflow" in only:
        compare_mlflow(model, names, work, options)


def compare_shap(model: str, names: list[str], work: Path, options: argparse.Namespace) -> None:
    """Measure FastAPI with SHAP, with the trees of the champion's churn model."""
    port, seconds, starts = options.port, options.seconds, options.starts
    row = json.dumps(dict.fromkeys(names, 0.5)).encode()
    app = [sys.executable, "-m", "uvicorn", "explained_app:app", "--app-dir", str(HERE / "peers")]
    app += ["--port", str(port), "--no-access-log"]
    with started("FastAPI + shap", starts, app, port, "/ping", work / "app.log", MODEL=model) as server:
        print_load("  explained, one target", server, port, [Request("/predict", row)], seconds)


def compare_mlflow(model: str, names: list[str], work: Path, options: argparse.Namespace) -> None:
    """Measure `mlflow models serve`, with the trees of the champion's churn model."""
    port, seconds, starts = options.port, options.seconds, options.starts
    rows = json.dumps({"dataframe_split": {"columns": names, "data": [[0.5] * len(names)]}}).encode()
    subprocess.run([sys.executable, str(HERE / "peers" / "mlflow_models.py"), model, str(work)], check=True)
    for name, what in (("plain", "probability, one target"), ("explained", "explained, one target")):
        serve = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(work / name), "-p", str(port)]
        serve += ["--env-manager", "local"]
        with started("mlflow models serve", starts, serve, port, "/ping", work / "mlflow.log", PATH=PATH) as server:
            print_load(f"  {what}", server, port, [Request("/invocations", rows)], seconds)


def print_load(what: str, server: Served, port: int, requests: list[Request], seconds: float) -> None:
    for connections in CONNECTIONS:
        before = server.cpu_seconds()
        with ProcessPoolExecutor(1) as elsewhere:
            latencies: Load = elsewhere.submit(load, port, requests, connections, seconds).result()
        print(
            f"{what}, {connections} connection(s): {latencies.words()}, {cpu_words(server, before, latencies)}",
            flush=True,
        )


def print_once(what: str, server: Served, port: int, requests: list[Request]) -> None:
    """Request each address once over one connection."""
    before = server.cpu_seconds()
    with ProcessPoolExecutor(1) as elsewhere:
        latencies: Load = elsewhere.submit(load, port, requests, 1, 600.0, True).result()
    print(f"{what}, 1 connection: {latencies.words()}, {cpu_words(server, before, latencies)}", flush=True)


def print_swap(what: str, file: Path, server: Served, port: int, requests: list[Request], seconds: float) -> None:
    """Print the latency while a file of the home is replaced after a quarter of the time.

    The request that finds the change loads it; the others are answered from the previous state meanwhile.
    """
    with ProcessPoolExecutor(1) as elsewhere:
        running = elsewhere.submit(load, port, requests, SWAP_CONNECTIONS, 4 * seconds)
        time.sleep(seconds)
        replacement = file.with_name(".replacement")
        shutil.copy(file, replacement)
        replacement.replace(file)
        latencies: Load = running.result()
    print(f"  {what} under load, {SWAP_CONNECTIONS} connections: {latencies.words()}; {latencies.slow()}", flush=True)


def wait_until_prepared(log: Path) -> None:
    """Wait until the service has logged that it has prepared the snapshot."""
    until = time.monotonic() + 600
    while '"event":"warm"' not in log.read_text().replace(" ", "") and time.monotonic() < until:
        time.sleep(0.5)


def cpu_words(server: Served, before: float, latencies: Load) -> str:
    """Return the processor time of the server per answer, including its work in the background."""
    return f"{1000 * (server.cpu_seconds() - before) / len(latencies.milliseconds):.2f} CPU ms each"


def _environment(home: Path) -> dict[str, str]:
    return os.environ | {"RENEWCAST_HOME": str(home)}


if __name__ == "__main__":
    main()
