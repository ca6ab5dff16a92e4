CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE workspace (
    workspace_id VARCHAR(128) NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    installation_id VARCHAR(64) NOT NULL,
    created_at VARCHAR(32) NOT NULL
);
CREATE TABLE runs (
    run_id VARCHAR(64) NOT NULL PRIMARY KEY,
    sync VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    mode VARCHAR(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    started_at VARCHAR(32) NOT NULL,
    finished_at VARCHAR(32),
    counts TEXT,
    batches INTEGER NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    ages TEXT,
    error_code VARCHAR(64)
);
CREATE INDEX runs_by_sync ON runs (sync, target, started_at);
CREATE TABLE approvals (
    sync VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    document TEXT NOT NULL,
    actor VARCHAR(128) NOT NULL,
    self_approved INTEGER NOT NULL,
    approved_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (sync, target)
);
CREATE TABLE suppressions (
    kind VARCHAR(16) NOT NULL,
    digest CHAR(64) NOT NULL,
    added_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (kind, digest)
);
CREATE TABLE suppression_list (version INTEGER NOT NULL);
INSERT INTO suppression_list (version) VALUES (0);
INSERT INTO schema_version (version) VALUES (1);
