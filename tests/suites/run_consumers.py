"""Runs the example consumers, in each language, against `scimctl serve`: a leaver's account and sessions are closed, whenever
the consumer is killed.

    python3 tests/suites/run_consumers.py target/debug/scimctl TYPESCRIPT_FOLDER

TYPESCRIPT_FOLDER is infra/example-consumer/typescript, or a copy of it, after `npm ci && npm run build`. The programs in Rust
stand beside scimctl. Each consumer reaches the database through a proxy that can kill it at a call. Ends with 1 at the
first thing that is not so.
"""

import concurrent.futures
import http.client
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import boto3
from boto3.dynamodb.conditions import Key
from boto3.dynamodb.types import TypeSerializer

EXAMPLES = Path(__file__).resolve().parents[2] / "infra" / "example-consumer"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
# For a deployed endpoint it is 15. Here no write is under way when a consumer starts.
SETTLE_SECONDS = 0.2


class Proxy(http.server.ThreadingHTTPServer):
    """Hands calls on to the engine, and kills the consumer at a call when it is told so."""

    daemon_threads = True

    def __init__(self, engine: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine = urllib.parse.urlsplit(engine).netloc
        self.kill_before = self.kill_after = None
        self.child: subprocess.Popen | None = None
        self.written = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def kill(self) -> None:
        self.kill_before = self.kill_after = None
        self.child.kill()
        self.child.wait()


class Handler(http.server.BaseHTTPRequestHandler):
    """One call."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        proxy = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].split(".")[-1]
        if operation == proxy.kill_before:
            proxy.kill()
            self.close_connection = True
            return
        engine = http.client.HTTPConnection(proxy.engine, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        engine.request("POST", "/", body, headers)
        answer = engine.getresponse()
        text = answer.read()
        engine.close()
        if operation == "UpdateItem" and answer.status == 200:
            proxy.written += 1
        if operation == proxy.kill_after:
            proxy.kill()
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in ("content-type", "x-amz-crc32", "x-amzn-requestid"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_) -> None:
        pass


class Customer:
    """A tenant of the endpoint, and the app's database for it."""

    def __init__(self, started: dict, tenant: str, commands: dict[str, list[str]], proxy: Proxy, folder: str) -> None:
        self.base_url = started["base_url"]
        self.token = next(row["token"] for row in started["tenants"] if row["tenant"] == tenant)
        self.tenant, self.commands, self.proxy = tenant, commands, proxy
        self.database = os.path.join(folder, f"{tenant}.sqlite")
        with self.app() as app:
            app.executescript((EXAMPLES / "app.sql").read_text())
        self.environment = os.environ | started["environment"] | {
            "TENANT": tenant,
            "APP_DATABASE": self.database,
            "SETTLE_SECONDS": str(SETTLE_SECONDS),
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{proxy.server_port}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        env = started["environment"]
        resource = boto3.resource(
            "dynamodb",
            endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"],
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )
        self.journal = resource.Table(env["JOURNAL_TABLE"])

    def scim(self, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            self.base_url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def create(self, name: str) -> str:
        return self.scim("POST", "/Users", {"schemas": [USER], "userName": name, "active": True})["id"]

    def patch(self, person: str, **values: object) -> None:
        operations = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
        self.scim("PATCH", f"/Users/{person}", {"schemas": [PATCH], "Operations": operations})

    def app(self) -> sqlite3.Connection:
        return sqlite3.connect(self.database, timeout=30)

    def ask(self, question: str, *values: object) -> list[tuple]:
        with self.app() as app:
            return app.execute(question, values).fetchall()

    def sign_in(self, person: str) -> None:
        self.ask("INSERT INTO sessions SELECT ?, id FROM accounts WHERE id = ? AND open", str(uuid.uuid4()), person)

    def account(self, person: str) -> tuple[str, bool, int]:
        """The account's name, whether it is open, and how many sessions it has."""
        sessions = "(SELECT count(*) FROM sessions WHERE account = id)"
        ((name, is_open, count),) = self.ask(f"SELECT name, open, {sessions} FROM accounts WHERE id = ?", person)
        return name, bool(is_open), count

    def consume(self, expect: int = 0) -> None:
        """Runs the consumer to its end once everything that was written has settled."""
        time.sleep(SETTLE_SECONDS + 0.01)
        self.proxy.child = subprocess.Popen(
            self.commands["consumer"], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        output, _ = self.proxy.child.communicate(timeout=120)
        code = self.proxy.child.returncode
        same(self.proxy.kill_before or self.proxy.kill_after, None, "the call at which to kill never came")
        same(code, expect, f"how the consumer ended, which wrote {output}")

    def items(self) -> list[dict]:
        return self.journal.query(KeyConditionExpression=Key("tenant").eq(self.tenant), ConsistentRead=True)["Items"]

    def acknowledged(self) -> dict[str, str | None]:
        """Of each change that asks for an acknowledgement: when the app gave it."""
        asking = [item for item in self.items() if "user.deactivated" in item["events"]]
        return {item["id"]: item.get("acknowledged") for item in asking}

    def position(self) -> str | None:
        rows = self.ask("SELECT at FROM positions WHERE tenant = ?", self.tenant)
        return rows[0][0] if rows else None


def same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, not {expected!r}")


KILLED = -9


def leaver(customer: Customer) -> None:
    """The whole life of accounts, with a kill at each step of closing one."""
    ida, tom, eva = (customer.create(f"{name}@example.test") for name in ("ida", "tom", "eva"))
    customer.consume()
    for person in (ida, tom, eva):
        customer.sign_in(person)
        customer.sign_in(person)
    same(customer.account(ida), ("ida@example.test", True, 2), "a person who was provisioned")

    customer.patch(ida, userName="ida.berg@example.test")
    customer.consume()
    same(customer.account(ida), ("ida.berg@example.test", True, 2), "a renamed person keeps account and sessions")
    before = customer.position()
    same(before, max(item["at"] for item in customer.items()), "the position after reading everything")

    # A person who is disabled, and one who is deleted while active.
    customer.patch(ida, active=False)
    customer.scim("DELETE", f"/Users/{tom}")

    customer.proxy.kill_before = "UpdateItem"
    customer.consume(KILLED)
    same(customer.account(ida), ("ida.berg@example.test", False, 0), "killed before the acknowledgement: the account")
    same(customer.acknowledged(), {ida: None, tom: None}, "killed before the acknowledgement: what is acknowledged")
    same(customer.position(), before, "killed before the acknowledgement: the position")

    customer.proxy.kill_after = "UpdateItem"
    customer.consume(KILLED)
    first = customer.acknowledged()[ida]
    same((first is None, customer.acknowledged()[tom]), (False, None), "killed after the first acknowledgement")
    same(customer.position(), before, "killed before the position is stored: the position")

    customer.proxy.kill_after = "Query"
    customer.consume(KILLED)
    same(customer.position(), before, "killed while it reads: the position")

    customer.consume()
    same(customer.account(ida), ("ida.berg@example.test", False, 0), "a person who was disabled")
    same(customer.account(tom), ("tom@example.test", False, 0), "a person who was deleted")
    same(customer.account(eva), ("eva@example.test", True, 2), "a person whom nothing concerns")
    same(customer.acknowledged()[ida], first, "the first acknowledgement stays")
    same(customer.acknowledged()[tom] is None, False, "everything is acknowledged in the end")
    same(customer.proxy.written, 2, "acknowledgements written for two leavers, in four runs")

    old_changes(customer, ida, tom)
    erased(customer)


def old_changes(customer: Customer, ida: str, tom: str) -> None:
    """What is older than what was applied changes nothing, whether it comes late or again."""
    for person in (ida, tom):
        old = next(item for item in customer.items() if item["id"] == person and item["version"] == 1)
        ms = int(time.time() * 1000)
        late = str(uuid.UUID(int=ms << 80 | 7 << 76 | 2 << 62 | uuid.uuid4().int >> 66))
        customer.journal.put_item(Item=old | {"at": late}, ConditionExpression="attribute_not_exists(#a)",
                                  ExpressionAttributeNames={"#a": "at"})
        customer.consume()
        same(customer.position(), late, "a change that comes late is read")
        same(customer.account(person)[1:], (False, 0), "an old change does not open a closed account")

    customer.patch(ida, active=True)
    customer.consume()
    customer.sign_in(ida)
    same(customer.account(ida), ("ida.berg@example.test", True, 1), "a person who may come in again")
    done, written = customer.acknowledged(), customer.proxy.written
    with customer.app() as app:
        app.execute("DELETE FROM positions")
    customer.consume()
    same(customer.account(ida), ("ida.berg@example.test", True, 1), "an old deactivation that comes again ends nothing")
    same(customer.account(tom), ("tom@example.test", False, 0), "a deleted person stays gone")
    same((customer.acknowledged(), customer.proxy.written), (done, written), "the acknowledgements, when all comes again")


def erased(customer: Customer) -> None:
    """A leaver whose name was taken out of the journal before the app came to read it loses the account all the same."""
    uma = customer.create("uma")
    customer.consume()
    customer.sign_in(uma)
    customer.patch(uma, active=False)
    told = [item for item in customer.items() if item.get("id") == uma][-1]
    customer.journal.update_item(Key={"tenant": told["tenant"], "at": told["at"]}, UpdateExpression="REMOVE userName, displayName",
                                 ConditionExpression="attribute_exists(#a)", ExpressionAttributeNames={"#a": "at"})
    customer.consume()
    same(customer.account(uma)[1], False, "the account of an erased leaver is closed")
    same(customer.ask("SELECT count(*) FROM sessions WHERE account = ?", uma), [(0,)], "and the session has ended")


def function(customer: Customer) -> None:
    """The consumer as a Lambda function: behind the stream and behind a queue, in any order, and again."""
    person = customer.create("noa@example.test")
    customer.patch(person, active=False)
    made, left = (item for item in customer.items() if item["id"] == person)
    handle = "import json, sys, on_change; on_change.handler(json.load(sys.stdin), None)"

    def deliver(*records: dict) -> None:
        command = [sys.executable, "-c", handle]
        output = subprocess.run(command, input=json.dumps({"Records": records}), cwd=EXAMPLES / "python",
                                env=customer.environment, capture_output=True, text=True, timeout=120)
        same(output.returncode, 0, f"how the function ended, which wrote {output.stderr}")

    def of_stream(name: str, item: dict) -> dict:
        return {"eventName": name, "dynamodb": {"NewImage": typed(item)}}

    def of_queue(item: dict) -> dict:
        return {"body": json.dumps({"at": item["at"], "item": typed(item)})}

    deliver(of_stream("INSERT", made))
    customer.sign_in(person)
    same(customer.account(person)[1:], (True, 1), "a person of the stream")
    deliver(of_stream("MODIFY", left), {"eventName": "REMOVE", "dynamodb": {}})
    same(customer.account(person)[1:], (True, 1), "what the stream tells of acknowledgements and expiry")
    deliver(of_queue(left), of_queue(made), of_stream("INSERT", made))
    same(customer.account(person)[1:], (False, 0), "a leaver of the queue, before and after older changes")
    same(customer.acknowledged()[person] is None, False, "the acknowledgement of the function")


def typed(item: dict) -> dict:
    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


def mapping(customer: Customer) -> None:
    """Memberships become roles, and end with them."""
    sys.path.insert(0, str(EXAMPLES / "python"))
    import roles

    people = [customer.create(f"{name}@example.test") for name in ("ria", "bo", "kim")]
    group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Admins"}
    admins = customer.scim("POST", "/Groups", group | {"members": [{"value": person} for person in people]})["id"]
    app = customer.app()
    app.execute("INSERT INTO roles (grp, role) VALUES (?, 'admin')", (admins,))

    def told() -> list[list[str]]:
        for item in customer.items():
            roles.act(app, item)
        return [roles.roles_of(app, person) for person in people]

    same(told(), [["admin"]] * 3, "the members' roles")
    remove = {"op": "remove", "path": f'members[value eq "{people[0]}"]'}
    customer.scim("PATCH", f"/Groups/{admins}", {"schemas": [PATCH], "Operations": [remove]})
    customer.scim("DELETE", f"/Users/{people[1]}")
    same(told(), [[], [], ["admin"]], "who has left the group, who was deleted, and who is still in it")
    same(told(), [[], [], ["admin"]], "the same, when all of it is told again")
    customer.scim("DELETE", f"/Groups/{admins}")
    same(told(), [[], [], []], "a deleted group gives no role")
    app.close()


def names() -> list[str]:
    """User names that are hard to fold, and every letter of Unicode 3.2 that folding may change, in names of some length.

    Newer letters fold as the Unicode version of each language's library has it.
    """
    hard = ["Kim_Partner.test#EXT#@home.test", "100%25#", "Straße", "İstanbul", "ıI", "ΌΣΟΣ", "e\u0301lan", "ﬃ", "Å", "ǰ", "ᾼ", "Ꭰꭰ"]
    old, letters = unicodedata.ucd_3_2_0, []
    for number in range(0x80, 0x110000):
        letter = chr(number)
        forms = {letter, letter.lower(), letter.upper(), letter.casefold(), unicodedata.normalize("NFC", letter)}
        if old.category(letter)[0] in "LMN" and len(forms) > 1:
            letters.append(letter)
    return hard + [".".join(letters[start : start + 150]) for start in range(0, len(letters), 150)]


def sign_in(customer: Customer) -> None:
    """The look-up at sign-in finds whom the endpoint has stored, in any letter case, and only who is active."""
    hard = names()
    ids = [customer.create(name) for name in hard]
    spellings = [hard, [name.swapcase() for name in hard], [unicodedata.normalize("NFD", name) for name in hard]]
    for spelling in spellings:
        kept = [index for index, name in enumerate(spelling) if folded(name) == folded(hard[index])]
        found = look_up(customer, [spelling[index] for index in kept])
        for index, got in zip(kept, found, strict=True):
            same(got, ids[index], f"sign-in as {spelling[index]!r}")
        same(len(kept) > len(hard) // 2, True, "enough names were compared")
    customer.patch(ids[0], active=False)
    same(look_up(customer, [hard[0], "nobody@example.test"]), ["", ""], "sign-in of who is disabled, and of nobody")


def folded(name: str) -> str:
    """The name as Python folds it: says which spellings are one name, so that the endpoint has to find it by each."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def look_up(customer: Customer, spelled: list[str]) -> list[str]:
    command = [*customer.commands["sign_in"], *spelled]
    output = subprocess.run(command, env=customer.environment, capture_output=True, text=True, timeout=120)
    same(output.returncode, 0, f"how the look-up ended, which wrote {output.stderr}")
    return output.stdout.removesuffix("\n").split("\n")


def main(scimctl: str, typescript: str) -> int:
    built = Path(scimctl).resolve().parent
    languages = {
        "python": lambda name: [sys.executable, str(EXAMPLES / "python" / f"{name}.py")],
        "rust": lambda name: [str(built / name)],
        "typescript": lambda name: ["node", str(Path(typescript) / "dist" / f"{name}.js")],
    }
    tenants = [argument for language in languages for argument in ("--tenant", language)]
    command = [scimctl, "serve", "--port", "0", "--format", "json", *tenants]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        started = json.loads(server.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            def run(language: str) -> None:
                began = time.monotonic()
                proxy = Proxy(started["environment"]["AWS_ENDPOINT_URL_DYNAMODB"])
                commands = {name: languages[language](name) for name in ("consumer", "sign_in")}
                customer = Customer(started, language, commands, proxy, folder)
                leaver(customer)
                sign_in(customer)
                if language == "python":
                    function(customer)
                    mapping(customer)
                proxy.shutdown()
                print(f"{language}: leaver, kills, old changes, sign-in: ok ({time.monotonic() - began:.0f} s)", flush=True)

            with concurrent.futures.ThreadPoolExecutor() as threads:
                list(threads.map(run, languages))
    finally:
        server.terminate()
        server.wait(timeout=30)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
