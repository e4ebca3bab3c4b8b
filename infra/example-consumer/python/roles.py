"""Which roles does a person have? Who is in a group comes from the journal; what a group means, the customer has chosen."""

GROUP = """INSERT INTO groups (id, name, version) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, version = excluded.version WHERE excluded.version > groups.version"""
JOIN = "INSERT INTO members (grp, account) VALUES (?, ?) ON CONFLICT DO NOTHING"
LEAVE = "DELETE FROM members WHERE grp = ? AND account = ?"
ROLES = "SELECT DISTINCT role FROM roles JOIN members USING (grp) WHERE account = ? ORDER BY role"


def act(app, change):
    """For each item of the journal, in its order."""
    gone = "prov:delete" in change["events"]
    with app:  # one transaction
        if change.get("kind") == "User" and gone:  # no group tells that a deleted person has left it
            app.execute("DELETE FROM members WHERE account = ?", (change["id"],))
        elif change.get("kind") == "Group" and "displayName" in change:
            applied = app.execute(GROUP, (change["id"], change["displayName"], int(change["version"])))
            if applied.rowcount == 0:
                return  # older than what was applied, or again
            app.executemany(LEAVE, [(change["id"], member) for member in change.get("removed", [])])
            app.executemany(JOIN, [(change["id"], member) for member in change.get("added", [])])
            if gone:
                app.execute("DELETE FROM members WHERE grp = ?", (change["id"],))


def roles_of(app, account):
    return [role for (role,) in app.execute(ROLES, (account,))]
