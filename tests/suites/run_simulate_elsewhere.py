"""Runs `scimctl simulate` against SCIM servers that this project did not write: it has to find what they do otherwise than
Entra needs it, all of that, and nothing else.

    python3 tests/suites/run_simulate_elsewhere.py target/debug/scimctl SCIMMY_FOLDER

scim2-server is the one of this Python's environment. SCIMMY_FOLDER is tests/suites/scimmy, or a copy of it, after `npm ci`.
`scimctl serve` is rehearsed in the same way, and there is nothing to find. Ends with 1 when a verdict is not the expected one.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REHEARSAL = ["--users", "40", "--groups", "5", "--cycles", "3", "--seed", "7", "--format", "json"]
INCOMPATIBLE = "SystemForCrossDomainIdentityManagementServiceIncompatible"


@dataclass
class Verdict:
    """What is wrong at a server, without the names of those whom it hits."""

    exit_code: int
    health: str
    # What failed, with the code of the provisioning log, and a part of what the server says of it.
    failures: dict[tuple[str, str, str], str] = field(default_factory=dict)
    # In what the endpoint differs from the source at the end.
    differences: set[str] = field(default_factory=set)
    remarks: set[str] = field(default_factory=set)


FINE = Verdict(0, "healthy")

# RFC 7643, section 4.3: manager is complex. Entra sends the id alone.
MANAGER_OF_SCIM2 = {("manager", "assign", INCOMPATIBLE): "Input should be a valid dictionary or instance of Manager"}
MANAGER_OF_SCIMMY = {("manager", "assign", INCOMPATIBLE): "'manager' expected complex value but found type 'string'"}
# RFC 7643, section 2.3.2: a boolean is no string. Entra without the flag in the URL sends "False".
ACTIVE_OF_SCIMMY = {("user", "disable", INCOMPATIBLE): "'active' expected value type 'boolean' but found type 'string'"}
# RFC 7643, section 3: schemas are those of the resource type. Entra adds one that nobody has; so no group comes into being.
GROUP_OF_SCIM2 = {("group", "create", INCOMPATIBLE): "ADSCIM/2.0/Group"}
# RFC 7644, section 3.4.2.4: startIndex and count say which page is wanted. Each answer is the first one.
FIRST_PAGE_ALWAYS = {"user is listed twice in /Users", "user is in the source, and not at the endpoint"}

SCIM2 = Verdict(
    1,
    "escrow",
    MANAGER_OF_SCIM2 | GROUP_OF_SCIM2,
    {"user: manager is not there", "group is in the source, and not at the endpoint"},
    # Entra asks by `manager eq "…"` whether a reference is there already. RFC 7644, section 3.10: an attribute of an
    # extension should be written with the extension's URN.
    {"reference checks that are not understood"},
)
SCIMMY = Verdict(1, "escrow", MANAGER_OF_SCIMMY, {"user: manager is not there"})
SCIMMY_LEGACY = Verdict(
    1, "escrow", MANAGER_OF_SCIMMY | ACTIVE_OF_SCIMMY, SCIMMY.differences | {"user: active is true"}
)


def on_express_5(verdict: Verdict) -> Verdict:
    return Verdict(1, verdict.health, verdict.failures, verdict.differences | FIRST_PAGE_ALWAYS, verdict.remarks)


EXPECTED = {
    ("scimctl serve", "legacy"): FINE,
    ("scimctl serve", "compliant"): FINE,
    ("scim2-server", "legacy"): SCIM2,
    ("scim2-server", "compliant"): SCIM2,
    ("scimmy-routers", "legacy"): SCIMMY_LEGACY,
    ("scimmy-routers", "compliant"): SCIMMY,
    ("scimmy-routers on Express 5", "legacy"): on_express_5(SCIMMY_LEGACY),
    ("scimmy-routers on Express 5", "compliant"): on_express_5(SCIMMY),
}


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


@contextlib.contextmanager
def ours(scimctl: str) -> Iterator[tuple[str, str]]:
    with running([scimctl, "serve", "--port", "0", "--tenant", "tester", "--format", "json"]) as process:
        started = json.loads(process.stdout.readline())
        yield started["base_url"], started["tenants"][0]["token"]


@contextlib.contextmanager
def scim2() -> Iterator[tuple[str, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    program = str(Path(sys.executable).parent / "scim2-server")
    with running([program, "--port", str(port), "--bearer-token", token]) as process:
        until = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("scim2-server does not start")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", token


@contextlib.contextmanager
def scimmy(folder: str, *options: str) -> Iterator[tuple[str, str]]:
    token = secrets.token_hex(16)
    with running(["node", str(Path(folder) / "server.mjs"), token, *options]) as process:
        port = process.stdout.readline().strip()
        if not port:
            raise SystemExit("the server of scimmy-routers does not start; is `npm ci` done?")
        yield f"http://127.0.0.1:{port}/scim", token


def rehearse(scimctl: str, url: str, token: str, dialect: str) -> tuple[int, dict]:
    command = [scimctl, "simulate", "--url", url, "--dialect", dialect, *REHEARSAL]
    environment = os.environ | {"SCIM_TOKEN": token}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    try:
        return ended.returncode, json.loads(ended.stdout)
    except ValueError as error:
        raise SystemExit(f"no verdict: {ended.stdout}{ended.stderr}") from error


def difference(finding: dict) -> str:
    """What is wrong, without whom it hits and without ids."""
    what = re.sub(r", and should be .*", "", finding["what"])
    of = "group" if finding["about"].startswith("Rehearsal ") else "user"
    return f"{of} {what}" if what.startswith("is ") else f"{of}: {what}"


def compare(exit_code: int, report: dict, expected: Verdict) -> list[str]:
    """What was not expected, and what was and is not there."""
    failed = [entry for entry in report["log"] if entry["result"] == "failure"]
    said: dict[tuple[str, str, str], set[str]] = {}
    for entry in failed:
        said.setdefault((entry["object"], entry["action"], entry["code"]), set()).add(entry["reason"])
    wrong = [
        f"{what} is {found!r}, not {wanted!r}"
        for what, found, wanted in [
            ("the exit code", exit_code, expected.exit_code),
            ("the job", report["job"]["health"], expected.health),
            ("what is left behind", report["cleaned_up"]["left"], 0),
        ]
        if found != wanted
    ]
    for what, found, wanted in [
        ("failure", set(said), set(expected.failures)),
        ("difference", {difference(one) for one in report["differences"]}, expected.differences),
        ("remark", set(report["remarks"]), expected.remarks),
    ]:
        wrong += [f"a {what} that is not expected: {one}" for one in sorted(found - wanted)]
        wrong += [f"an expected {what} that is not there: {one}" for one in sorted(wanted - found)]
    for key, part in expected.failures.items():
        wrong += [f"another reason of {key}: {reason}" for reason in sorted(said.get(key, ())) if part not in reason]
    return wrong


def main(scimctl: str, scimmy_folder: str) -> int:
    servers = {
        "scimctl serve": lambda: ours(scimctl),
        "scim2-server": scim2,
        "scimmy-routers": lambda: scimmy(scimmy_folder, "--keep-query"),
        "scimmy-routers on Express 5": lambda: scimmy(scimmy_folder),
    }
    is_wrong = False
    for (name, dialect), expected in EXPECTED.items():
        with servers[name]() as (url, token):
            exit_code, report = rehearse(scimctl, url, token, dialect)
        print(f"{name}, {dialect}: exit {exit_code}, {report['job']['health']}")
        for what, count in sorted(Counter(map(difference, report["differences"])).items()):
            print(f"  {count:3} × {what}")
        for line in compare(exit_code, report, expected):
            is_wrong = True
            print(f"  WRONG: {line}")
    return 1 if is_wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
