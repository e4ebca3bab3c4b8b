"""Plays a directory's life with two client libraries, scim2-client and scim-client, against `scimctl serve`.

    python3 tests/suites/run_scim_clients.py target/debug/scimctl

scim2-client makes its models from the server's schemas and validates each answer against them, statuses and content types
too. Starts the server on a free port, prints what was done, and ends with 1 when a client is not pleased.
"""

import sys
from urllib.error import HTTPError

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import BulkOperation, BulkRequest, PatchOp, PatchOperation, SCIMException, SearchRequest
from scim_client import SCIMClient
from scim_client.resources import User as PlainUser
from served import served

# How many people the second half of the story has.
CROWD = 25


def check(what: str, found: object, wanted: object) -> None:
    """Ends the run when something is not as it should be."""
    if found != wanted:
        raise SystemExit(f"{what}: {found!r} instead of {wanted!r}")
    print(f"ok     {what}")


def refusal(call: object) -> str:
    """The status and the kind of an error that has to come."""
    try:
        answer = call()
    except SCIMException as error:
        return type(error).__name__
    return f"no error, but {answer!r}"


def typed(base_url: str, token: str) -> None:
    """scim2-client, with models that it makes itself."""
    http = Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    scim = SyncSCIMClient(http)
    scim.discover()
    user_type, group_type = scim.get_resource_model("User"), scim.get_resource_model("Group")
    ida = scim.create(user_type(user_name="ida@rehearsal.example", external_id="e1", active=True))
    check("what was created is read", scim.query(user_type, ida.id).model_dump(), ida.model_dump())
    check("a name is given once", refusal(lambda: scim.create(user_type(user_name="IDA@rehearsal.example"))), "UniquenessException")
    query = SearchRequest(filter='userName eq "Ida@rehearsal.example"', attributes=["userName"])
    found = scim.query(user_type, query_parameters=query)
    check("somebody is found", [(one.id, one.external_id) for one in found.resources], [(ida.id, None)])
    ida.display_name = "Ida"
    check("a replacement is answered", scim.replace(ida).display_name, "Ida")
    operation = PatchOperation(op="add", path='emails[type eq "work"].value', value="i@rehearsal.example")
    changed = scim.modify(user_type, ida.id, PatchOp[user_type](operations=[operation]))
    check("a PATCH is answered", [(mail.value, mail.type) for mail in changed.emails], [("i@rehearsal.example", "work")])
    check("the version moves", changed.meta.version != ida.meta.version, True)

    posts = [
        BulkOperation[user_type](
            method="POST", path="/Users", bulk_id=f"b{number}", data=user_type(user_name=f"p{number:02}@rehearsal.example")
        )
        for number in range(CROWD)
    ]
    answered = scim.bulk(BulkRequest[user_type](operations=posts))
    check("a bulk request is done", {operation.status for operation in answered.operations}, {201})
    request = SearchRequest(filter='userName sw "p"', sort_by="userName", sort_order="descending", count=5)
    page = scim.search(search_request=request)
    names = [f"p{number:02}@rehearsal.example" for number in reversed(range(CROWD))]
    check("a search is sorted", ([one.user_name for one in page.resources], page.total_results), (names[:5], CROWD))
    seen, cursor = [], ""
    while cursor is not None:
        page = scim.query(user_type, query_parameters=SearchRequest(cursor=cursor, count=10))
        seen += [one.user_name for one in page.resources]
        cursor = page.next_cursor
    check("pages by cursor have everybody once", sorted(seen), sorted([*names, ida.user_name]))

    member_type = group_type.get_field_root_type("members")
    group = scim.create(group_type(display_name="Crew", members=[member_type(value=ida.id)]))
    listed = scim.query(group_type, query_parameters=SearchRequest(filter=f'members.value eq "{ida.id}"'))
    check("a group is found by its member", [one.id for one in listed.resources], [group.id])
    in_groups = scim.query(user_type, ida.id, query_parameters=SearchRequest(attributes=["groups"]))
    check("a person names the group", [one.value for one in in_groups.groups], [group.id])
    check("everything is asked for at once", scim.query().total_results, CROWD + 2)
    scim.delete(user_type, ida.id)
    check("who is deleted is gone", scim.query(user_type, ida.id, raise_scim_errors=False).status, 404)
    check("and is no member", scim.query(group_type, group.id).members, None)


def plain(base_url: str, token: str) -> None:
    """scim-client, whose models want every attribute that they know."""
    scim = SCIMClient(base_url, token)
    names = {"given_name": "Bo", "family_name": "Ek"}
    mails = [{"value": "bo@rehearsal.example", "primary": True, "type": "work"}]
    fields = {"external_id": "e2", "user_name": "bo@rehearsal.example", "display_name": "Bo", "active": True}
    made = scim.create_user(PlainUser(id="", name=names, emails=mails, **fields))
    check("scim-client: somebody is found", [one.id for one in scim.search_users('externalId eq "e2"').resources], [made.id])
    check("scim-client: nobody is found", scim.search_users('externalId eq "nobody"').total_results, 0)
    made.display_name, made.active = "Bo E", False
    scim.update_user(made)
    read = scim.read_user(made.id)
    check("scim-client: a replacement is read", (read.display_name, read.active, read.emails[0].value), ("Bo E", False, mails[0]["value"]))
    check("scim-client: a deletion is answered", scim.delete_user(user=read).status_code, 204)
    try:
        scim.read_user(made.id)
    except HTTPError as error:
        check("scim-client: who is deleted is gone", error.code, 404)
    else:
        raise SystemExit("scim-client reads somebody who is gone")


def main(scimctl: str) -> int:
    with served(scimctl) as (base_url, token):
        typed(base_url, token)
        plain(base_url, token)
    print("scim2-client and scim-client: as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
