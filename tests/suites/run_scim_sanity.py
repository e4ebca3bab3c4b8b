"""Runs scim-sanity, strict, against `scimctl serve`.

    python3 tests/suites/run_scim_sanity.py target/debug/scimctl

Starts the server on a free port, prints what did not pass, and ends with 1 when that is not exactly what is expected.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from served import served

# It insists where the RFC allows both, or asks what the RFC does not. Exactly these may fail, no others;
# docs/CONFORMANCE.md has the clauses.
EXPECTED = {
    "PATCH /Groups/{id}": "204 is an answer of RFC 7644 §3.5.2, and the one for groups, whose members may be many",
    "PATCH /Groups/{id} remove members": "the same",
    "PATCH /Groups/{id} add member": "the member that it adds is nobody: 'value' is the id of a SCIM resource (RFC 7643 §4.2)",
}
# It knows types that no RFC has.
SKIPPED = 3
CHECKS_MIN = 31


def main(scimctl: str) -> int:
    with served(scimctl) as (base_url, token):
        probe = [str(Path(sys.executable).with_name("scim-sanity")), "probe", base_url, "--token", token]
        # Strict is how it runs unless it is told otherwise; it is said all the same.
        probe += ["--strict", "--json-output", "--i-accept-side-effects"]
        ran = subprocess.run(probe, stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    results = json.loads(ran.stdout)["results"]
    counts = Counter(result["status"] for result in results)
    failed = {}
    for result in results:
        if result["status"] != "pass":
            print(f"{result['status']:6} {result['name']} {result.get('message') or ''}")
        if result["status"] not in ("pass", "skip"):
            failed[result["name"]] = result
    for name in sorted(set(failed) - set(EXPECTED)):
        print(f"not expected to fail: {name}")
    for name in sorted(set(EXPECTED) - set(failed)):
        print(f"expected to fail and did not: {name}")
    print("scim-sanity:", ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    if len(results) < CHECKS_MIN or counts["skip"] > SKIPPED:
        print(f"only {len(results)} checks, {counts['skip']} of them skipped; it has more", file=sys.stderr)
        return 1
    return 0 if set(failed) == set(EXPECTED) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
