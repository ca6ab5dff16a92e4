CREATE TABLE spool (
    form INTEGER NOT NULL,
    spool_id TEXT NOT NULL,
    place TEXT NOT NULL
);
CREATE TABLE batches (
    batch_id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    region TEXT NOT NULL,
    target TEXT NOT NULL,
    sync TEXT NOT NULL,
    run TEXT NOT NULL,
    batch INTEGER NOT NULL,
    operation TEXT NOT NULL,
    identifier TEXT,
    row_count INTEGER NOT NULL,
    cls TEXT NOT NULL,
    exception TEXT,
    read_at_ms INTEGER NOT NULL,
    purge_by_ms INTEGER NOT NULL,
    blob TEXT NOT NULL UNIQUE,
    sealed_sha256 TEXT,
    sealed_bytes INTEGER
);
CREATE TABLE keys (
    blob TEXT PRIMARY KEY,
    wrapped BLOB NOT NULL,
    key_version TEXT NOT NULL
);
