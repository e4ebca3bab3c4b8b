"""Starts `scimctl serve` on a free port for a suite, and ends it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served(scimctl: str, *options: str) -> Iterator[tuple[str, str]]:
    """The SCIM root of a server in memory, and a token of its only tenant."""
    server = subprocess.Popen(
        [scimctl, "serve", "--port", "0", "--tenant", "tester", "--format", "json", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        started = json.loads(server.stdout.readline())
        yield started["base_url"], started["tenants"][0]["token"]
    finally:
        server.terminate()
        server.wait(timeout=30)
