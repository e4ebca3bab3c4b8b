"""Runs scim2-tester with every resource type and tag against `scimctl serve`: as it is, and with schemas and a resource type
of its own.

    python3 tests/suites/run_scim2_tester.py target/debug/scimctl

Starts the server on a free port, prints each check, and ends with 1 when one of them failed.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from served import served

# Checks that this server answers differently on purpose: what fails, what the tester says of it, and why. Exactly these may
# fail, no others.
EXPECTED_OF_OWN: dict[tuple[str, str], str] = {
    # It adds the extension with a value of this list, then adds another value to the list, and expects to find that one
    # alone. RFC 7644 §3.5.2.1: "If the target location specifies a multi-valued attribute, a new value is added".
    ("check_add_attribute", "User"): "PATCH modify() returned unexpected value for "
    "'urn:example:params:scim:schemas:extension:acme:2.0:User:keys'",
}

SCHEMAS = Path(__file__).parent / "schemas"

# Types for which it makes up letters, or of which it compares the text with the bytes (its filling.py): whatever has an
# attribute of theirs fails before it is sent. tests/exchanges/rfc/own-attributes.http and own-resource-type.http have them.
NOT_FILLED = {"decimal", "dateTime", "binary"}


def tested_schemas(folder: str) -> None:
    """The schemas without what the tester cannot fill."""
    for file in SCHEMAS.glob("*.json"):
        document = json.loads(file.read_text())
        if "attributes" in document:
            document["attributes"] = [one for one in document["attributes"] if one["type"] not in NOT_FILLED]
        Path(folder, file.name).write_text(json.dumps(document))


def run(scimctl: str, of: str, expected: dict[tuple[str, str], str], *options: str) -> int:
    with served(scimctl, *options) as (base_url, token):
        http = Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        results = check_server(SyncSCIMClient(http))
    counts = Counter(result.status.name for result in results)
    bad = {Status.ERROR, Status.CRITICAL} & set(Status)
    failed = [result for result in results if result.status in bad]
    for result in results:
        if result.status is not Status.SUCCESS:
            print(f"{result.status.name:10} {result.title} [{result.resource_type or '-'}] {result.reason or ''}")
    found = [((result.title, str(result.resource_type)), result.reason or "") for result in failed]
    unexpected = [one for one, reason in found if not (one in expected and reason.startswith(expected[one]))]
    stale = set(expected) - {one for one, _ in found}
    for title in sorted(stale):
        print(f"expected to fail and did not: {title}")
    print(f"scim2-tester, {of}:", ", ".join(f"{count} {name.lower()}" for name, count in sorted(counts.items())))
    devices = [result for result in results if result.resource_type == "Device"]
    if options and len(devices) < 10:
        print(f"only {len(devices)} checks of devices ran; it has many more", file=sys.stderr)
        return 1
    if len(results) < 50:
        print(f"only {len(results)} checks ran; it has many more", file=sys.stderr)
        return 1
    return 1 if unexpected or stale else 0


def main(scimctl: str) -> int:
    usual = run(scimctl, "the standard's schemas", {})
    with tempfile.TemporaryDirectory() as folder:
        tested_schemas(folder)
        own = run(scimctl, "schemas of its own", EXPECTED_OF_OWN, "--schemas", folder)
    return usual or own


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
