"""Runs `scimctl load` against the local server and against two servers that this project did not write, one after the other on
this machine, and prints the table of docs/BENCHMARKS.md.

    python3 tests/suites/run_load_elsewhere.py target/fast/scimctl SCIMMY_FOLDER

As for run_simulate_elsewhere.py, scim2-server is the one of this Python's environment, and SCIMMY_FOLDER is
tests/suites/scimmy, or a copy of it, after `npm ci`. Both keep their data in memory, and neither has a database; `scimctl serve`
goes through the store, the AWS SDK and DynamoDB's API.

LOAD_USERS (2000) and LOAD_AT (8; 1,8,32 for three laps) make it shorter or longer. scimmy-routers needs minutes for 2,000 people: a
look-up by name filters them all, and a PATCH of a group builds each of its members anew. What has not ended after half an hour
is told as such. Ends with 1 when the local server is not the fastest, or not faster than 3,000 requests/s with 8 at once.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

from run_simulate_elsewhere import running, scim2, scimmy

LEAST = 3_000
USERS = os.environ.get("LOAD_USERS", "2000")
LAPS = ["--concurrency", os.environ.get("LOAD_AT", "8"), "--format", "json"]
PATIENCE = 1_800


@contextlib.contextmanager
def ours(scimctl: str) -> Iterator[tuple[str, str]]:
    command = [scimctl, "serve", "--port", "0", "--tenant", "tester", "--token-cache", "30", "--format", "json"]
    with running(command) as process:
        started = json.loads(process.stdout.readline())
        yield started["base_url"], started["tenants"][0]["token"]


def load(scimctl: str, url: str, token: str) -> dict | None:
    """What was measured; nothing when it took too long."""
    members = str(min(100, int(USERS)))
    command = [scimctl, "load", "--url", url, "--users", USERS, "--members", members, *LAPS]
    environment = os.environ | {"SCIM_TOKEN": token}
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return None
    try:
        return json.loads(ended.stdout)
    except ValueError as error:
        raise SystemExit(f"no figures: {ended.stdout}{ended.stderr}") from error


def main(scimctl: str, scimmy_folder: str) -> int:
    servers = {
        "scimctl serve": lambda: ours(scimctl),
        "scim2-server": scim2,
        "scimmy-routers": lambda: scimmy(scimmy_folder, "--keep-query"),
    }
    print("| server | at once | cycle | requests/s | p50 ms | p99 ms | errors | wrong read-backs |\n|---|---|---|---|---|---|---|---|")
    at_eight: dict[str, int] = {}
    for name, start in servers.items():
        with start() as (url, token):
            print(f"{name}: {USERS} people", file=sys.stderr)
            measured = load(scimctl, url, token)
        if measured is None:
            print(f"  {name} has not ended after {PATIENCE} s", file=sys.stderr)
            continue
        for lap in measured["laps"]:
            cycles = [lap[cycle] for cycle in ("initial", "incremental")]
            for cycle, figures in zip(("initial", "incremental"), cycles, strict=True):
                print(
                    f"| {name} | {lap['concurrency']} | {cycle} | {figures['per_second']:,} | {figures['p50_us'] / 1000:.2f} "
                    f"| {figures['p99_us'] / 1000:.2f} | {figures['errors']} | {figures['wrong']} |",
                    flush=True,
                )
            if lap["concurrency"] == 8:
                requests = sum(figures["requests"] for figures in cycles)
                at_eight[name] = requests * 1_000_000 // sum(figures["took_us"] for figures in cycles)
            for what, count in lap["faults"].items():
                print(f"  {name}, {lap['concurrency']} at once: {count} × {what}", file=sys.stderr)
    ours_at_eight = at_eight.pop("scimctl serve", 0)
    print(f"\nBoth cycles, 8 at once: scimctl serve {ours_at_eight:,}/s, " + ", ".join(f"{name} {rate:,}/s" for name, rate in at_eight.items()))
    return 0 if ours_at_eight >= LEAST and all(ours_at_eight > rate for rate in at_eight.values()) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
