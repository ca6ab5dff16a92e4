CREATE TABLE erasures (
    request VARCHAR(64) NOT NULL PRIMARY KEY,
    target VARCHAR(64) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    regulation VARCHAR(16) NOT NULL,
    received_at VARCHAR(32) NOT NULL,
    due_at VARCHAR(32) NOT NULL,
    extension VARCHAR(32) NOT NULL,
    ended_at VARCHAR(32)
);
CREATE TABLE erasure_identifiers (
    request VARCHAR(64) NOT NULL,
    digest CHAR(64) NOT NULL,
    PRIMARY KEY (request, digest)
);
CREATE TABLE erasure_steps (
    request VARCHAR(64) NOT NULL,
    sync VARCHAR(64) NOT NULL,
    destination VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    row_count INTEGER NOT NULL,
    code VARCHAR(64) NOT NULL,
    forgotten INTEGER NOT NULL,
    changed_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (request, sync)
)
