"""Takes the README's first picture: the page of `scimctl demo` when its story has been told.

    python3 tests/suites/screenshot.py target/debug/scimctl docs/images/demo.png

Needs Chromium (`chromium`, or what CHROMIUM names); no part of the checks.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request


def main(scimctl: str, picture: str, *more: str) -> int:
    demo = subprocess.Popen([scimctl, "demo", "--port", "0", "--format", "json"], stdout=subprocess.PIPE, text=True)
    try:
        page = json.loads(demo.stdout.readline())["page"]
        with urllib.request.urlopen(page + "events", timeout=60) as events:
            told = (json.loads(line[6:]) for line in events if line.startswith(b"data: "))
            next(state for state in told if state["ended"])
        with tempfile.TemporaryDirectory() as profile:
            command = [
                os.environ.get("CHROMIUM", "chromium"),
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-prefers-reduced-motion"),
                *(f"--user-data-dir={profile}", "--window-size=1200,770", "--timeout=3000", *more),
                *(f"--screenshot={os.path.abspath(picture)}", page),
            ]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=120)
    finally:
        demo.terminate()
        demo.wait(timeout=30)
    print(f"{picture}: {os.path.getsize(picture)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
