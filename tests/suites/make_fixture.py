"""Makes the data file that a release leaves under tests/fixtures.

    python3 tests/suites/make_fixture.py target/release/scimctl tests/fixtures/0.1.0.sqlite

Starts the server over a new file, does what an identity provider does to two tenants, and stops it. The file's format is
that of the server; what is in it is the same each time, so that the tests can ask any release's file for it.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

NAMES = [
    "Ann Example", "Bo Lindström", "Chidi Okafor", "Дарья Иванова", "Erik#Hash", "Fatima Zahra",
    "Gus O'Neil", "Hana 花", "Ivo Novák", "Jana Black", "Kim Partner", "Leo Last",
]


class Tenant:
    """One tenant's calls; each has to be answered as expected."""

    def __init__(self, base_url, token):
        self.base_url, self.token = base_url, token

    def call(self, expected, method, path, body=None):
        request = urllib.request.Request(
            self.base_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        if status != expected:
            sys.exit(f"{method} {path} was answered {status}: {text.decode()}")
        return json.loads(text) if text else None

    def patch(self, path, *operations):
        # A user is shown again, a group is not.
        expected = 200 if path.startswith("/Users") else 204
        self.call(expected, "PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})


def person(number, name):
    user_name = f"person{number}@example.com"
    emails = [
        {"type": "work", "primary": True, "value": user_name},
        {"type": "home", "value": f"p{number}@home.test"},
    ]
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": "Kim_Partner.test#EXT#@home.test" if name == "Kim Partner" else user_name,
        "externalId": f"00000000-0000-4000-8000-{number:012d}",
        "active": True,
        "displayName": name,
        "name": {"givenName": name.split()[0], "familyName": name.split()[-1]},
        "emails": emails[: 1 + number % 2],
        "title": "Engineer",
        ENTERPRISE: {"department": "R&D", "employeeNumber": str(1000 + number)},
    }


def fill(acme, globex):
    people = [acme.call(201, "POST", "/Users", person(*row))["id"] for row in enumerate(NAMES)]
    manager = {"op": "Replace", "path": f"{ENTERPRISE}:manager", "value": people[0]}
    acme.patch(f"/Users/{people[1]}", manager)
    acme.patch(f"/Users/{people[2]}", {"op": "Replace", "path": "active", "value": "False"})
    acme.patch(f"/Users/{people[3]}", {"op": "Replace", "path": "userName", "value": "Darja@example.com"})
    groups = []
    members_of = [("Everyone", people), ("Empty", []), ("Admins", people[:2]), ("Zeta #1 %", people[4:6])]
    for name, ids in members_of:
        members = [{"value": id} for id in ids]
        group = {"schemas": [GROUP], "displayName": name, "externalId": f"g-{name}", "members": members}
        groups.append(acme.call(201, "POST", "/Groups", group)["id"])
    acme.patch(f"/Groups/{groups[2]}", {"op": "Remove", "path": "members", "value": [{"value": people[0]}]})
    acme.patch(f"/Groups/{groups[2]}", {"op": "Replace", "path": "displayName", "value": "Administrators"})
    acme.call(204, "DELETE", f"/Users/{people[11]}")
    acme.call(409, "POST", "/Users", {"schemas": [USER], "userName": "PERSON0@example.com"})
    # The same name in the other tenant is somebody else.
    other = {"schemas": [USER], "userName": "person0@example.com", "emails": [{"value": "other@globex.test"}]}
    other = globex.call(201, "POST", "/Users", other)["id"]
    group = {"schemas": [GROUP], "displayName": "Everyone", "members": [{"value": other}]}
    globex.call(201, "POST", "/Groups", group)


def main(scimctl, data):
    if Path(data).exists():
        sys.exit(f"{data} is there already; name a file that is not")
    command = [scimctl, "serve", "--port", "0", "--data", data, "--format", "json"]
    command += ["--tenant", "acme", "--tenant", "globex"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        started = json.loads(server.stdout.readline())
        fill(*[Tenant(started["base_url"], tenant["token"]) for tenant in started["tenants"]])
    finally:
        server.terminate()
        server.wait(timeout=30)
    left = [name for name in (f"{data}-wal", f"{data}-shm") if Path(name).exists()]
    if left:
        sys.exit(f"the server has not closed its file: {', '.join(left)}")
    print(f"{data}: {Path(data).stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
