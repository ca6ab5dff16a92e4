CREATE TABLE incidents (
    id VARCHAR(32) NOT NULL PRIMARY KEY,
    kind VARCHAR(32) NOT NULL,
    subject VARCHAR(128) NOT NULL,
    target VARCHAR(64) NOT NULL,
    code VARCHAR(64) NOT NULL,
    run VARCHAR(64) NOT NULL,
    known_at VARCHAR(32) NOT NULL,
    last_at VARCHAR(32) NOT NULL,
    occurrences INTEGER NOT NULL,
    row_count BIGINT NOT NULL,
    closed_at VARCHAR(32),
    measures VARCHAR(512) NOT NULL,
    note VARCHAR(4000) NOT NULL,
    slot VARCHAR(256) NOT NULL UNIQUE
)
