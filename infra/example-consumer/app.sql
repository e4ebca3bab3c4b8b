-- The part of the app's own database that the consumers need: SQLite here, and the same in PostgreSQL.
-- An account's id is our id of the person. `version` is the one that was applied last, so that an older change that
-- arrives again changes nothing. `positions` says how far each customer's journal has been read.
CREATE TABLE IF NOT EXISTS accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, open BOOLEAN NOT NULL, version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (id));
CREATE TABLE IF NOT EXISTS positions (tenant TEXT PRIMARY KEY, at TEXT NOT NULL);

-- For groups that mean something in the app: `roles` is what a customer's administrator has chosen, by the group's id.
CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, name TEXT NOT NULL, version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS members (grp TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (grp, account));
CREATE TABLE IF NOT EXISTS roles (grp TEXT PRIMARY KEY, role TEXT NOT NULL);
