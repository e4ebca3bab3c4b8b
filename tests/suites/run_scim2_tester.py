"""Runs scim2-tester with every resource type and tag against `scimctl serve`.

    python3 tests/suites/run_scim2_tester.py target/debug/scimctl

Starts the server on a free port, prints each check, and ends with 1 when one of them failed.
"""

import sys
from collections import Counter

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from served import served

# Checks that this server answers differently on purpose, each with its reason. Exactly these may fail, no others.
EXPECTED: dict[str, str] = {}


def main(scimctl: str) -> int:
    with served(scimctl) as (base_url, token):
        http = Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        results = check_server(SyncSCIMClient(http))
    counts = Counter(result.status.name for result in results)
    bad = {Status.ERROR, Status.CRITICAL} & set(Status)
    failed = [result for result in results if result.status in bad]
    for result in results:
        if result.status is not Status.SUCCESS:
            print(f"{result.status.name:10} {result.title} [{result.resource_type or '-'}] {result.reason or ''}")
    unexpected = [result for result in failed if result.title not in EXPECTED]
    stale = set(EXPECTED) - {result.title for result in failed}
    for title in sorted(stale):
        print(f"expected to fail and did not: {title}")
    print("scim2-tester:", ", ".join(f"{count} {name.lower()}" for name, count in sorted(counts.items())))
    if len(results) < 50:
        print(f"only {len(results)} checks ran; it has many more", file=sys.stderr)
        return 1
    return 1 if unexpected or stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
