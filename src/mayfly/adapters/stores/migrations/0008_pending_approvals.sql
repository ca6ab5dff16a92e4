CREATE TABLE pending_approvals (
    sync VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    since VARCHAR(32) NOT NULL,
    PRIMARY KEY (sync, target)
)
