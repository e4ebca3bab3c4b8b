"""Plays a person's and a group's life with the commands of scim2-cli against `scimctl serve`.

    python3 tests/suites/run_scim2_cli.py target/debug/scimctl

scim2-cli reads the schemas, makes its options from them, and validates what it sends and what it gets. Starts the server on
a free port, prints each command, and ends with 1 when one of them goes otherwise than it should.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from served import served

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


class Cli:
    """The command, where the server is, and what went wrong."""

    def __init__(self, base_url: str, token: str) -> None:
        self.command = [str(Path(sys.executable).with_name("scim2")), "-u", base_url]
        self.environment = {**os.environ, "SCIM_CLI_HEADERS": f"Authorization: Bearer {token}"}
        self.done = 0
        self.wrong: list[str] = []

    def run(self, *arguments: str, body: object = None, ends: int = 0) -> dict:
        """What a command prints, as JSON, or nothing."""
        self.done += 1
        given = {"input": json.dumps(body)} if body is not None else {"stdin": subprocess.DEVNULL}
        ran = subprocess.run(
            [*self.command, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **given,
        )
        shown = " ".join(arguments)
        print(f"{'ok' if ran.returncode == ends else 'WRONG':6} scim2 {shown}")
        if ran.returncode != ends:
            self.wrong.append(f"scim2 {shown}: ended with {ran.returncode}\n{ran.stdout}{ran.stderr}")
        try:
            return json.loads(ran.stdout)
        except ValueError:
            return {}

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Notes what is not as it should be."""
        if found != wanted:
            self.wrong.append(f"{what}: {found!r} instead of {wanted!r}")


def people(cli: Cli) -> None:
    """A person: made, found, changed, replaced, gone."""
    made = cli.run("create", "user", "--user-name", "ida@rehearsal.example", "--external-id", "e1", "--display-name", "Ida")
    at = made.get("id", "")
    cli.expect("the display name", made.get("displayName"), "Ida")
    cli.run("create", "user", "--user-name", "IDA@rehearsal.example", ends=1)
    found = cli.run("query", "user", "--filter", 'userName eq "Ida@rehearsal.example"')
    cli.expect("who is found", [one["id"] for one in found.get("Resources", [])], [at])
    cli.run("modify", "user", at, "replace", "displayName", "Ida B", "add", "emails", '[{"value": "i@x.example", "type": "work"}]')
    cli.run("modify", "user", at, "remove", 'emails[type eq "work"]', "replace", "active", "false")
    read = cli.run("query", "user", at)
    shown = (read.get("displayName"), read.get("active"), read.get("emails"))
    cli.expect("after the changes", shown, ("Ida B", False, None))
    replaced = {"schemas": [USER], "id": at, "userName": "ida.b@rehearsal.example", "active": True}
    cli.run("replace", "user", body=replaced)
    read = cli.run("query", "user", at, "--attribute", "userName", "--attribute", "active", "--attribute", "displayName")
    shown = (read.get("userName"), read.get("active"), read.get("displayName"))
    cli.expect("after the replacement", shown, ("ida.b@rehearsal.example", True, None))
    cli.run("delete", "user", at)
    cli.run("query", "user", at, ends=1)


def pages(cli: Cli) -> None:
    """Bulk, search and sorting, both sorts of pages, and the query of everything."""
    post = lambda number: {  # noqa: E731
        "method": "POST",
        "path": "/Users",
        "bulkId": f"b{number}",
        "data": {"schemas": [USER], "userName": f"p{number}@rehearsal.example"},
    }
    answered = cli.run("bulk", body={"schemas": [BULK], "Operations": [post(number) for number in (3, 1, 2)]})
    statuses = [operation.get("status") for operation in answered.get("Operations", [])]
    cli.expect("the statuses of the operations", statuses, ["201", "201", "201"])
    names = lambda page: [one["userName"].split("@")[0] for one in page.get("Resources", [])]  # noqa: E731
    found = cli.run("search", "user", "--sort-by", "userName", "--sort-order", "descending")
    cli.expect("the order", names(found), ["p3", "p2", "p1"])
    page = cli.run("query", "user", "--cursor", "", "--count", "2")
    cli.expect("a page's size", len(names(page)), 2)
    rest = cli.run("query", "user", "--cursor", page.get("nextCursor", "?"), "--count", "2")
    cli.expect("both pages", sorted(names(page) + names(rest)), ["p1", "p2", "p3"])
    second = cli.run("query", "user", "--start-index", "2", "--count", "1")
    cli.expect("its place", (second.get("startIndex"), len(names(second))), (2, 1))
    group = cli.run("create", "group", "--display-name", "Rehearsal")
    member = page["Resources"][0]["id"] if names(page) else ""
    at = group.get("id", "")
    cli.run("modify", "group", at, "add", "members", json.dumps([{"value": member}]))
    read = cli.run("query", "group", at)
    cli.expect("the members", [one["value"] for one in read.get("members", [])], [member])
    everything = cli.run("search")
    cli.expect("everything", everything.get("totalResults"), 4)
    cli.run("query", "--me", ends=1)


def main(scimctl: str) -> int:
    with served(scimctl) as (base_url, token):
        cli = Cli(base_url, token)
        people(cli)
        pages(cli)
    for one in cli.wrong:
        print(one)
    print(f"scim2-cli: {cli.done} commands, {len(cli.wrong)} wrong")
    return 1 if cli.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
