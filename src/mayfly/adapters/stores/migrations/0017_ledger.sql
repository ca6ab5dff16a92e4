CREATE TABLE ledger_entries (
    seq BIGINT NOT NULL PRIMARY KEY,
    line TEXT NOT NULL
);
CREATE TABLE ledger_head (
    one INTEGER NOT NULL PRIMARY KEY,
    note TEXT NOT NULL,
    verifier_key TEXT NOT NULL
)
