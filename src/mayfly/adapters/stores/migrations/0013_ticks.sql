CREATE TABLE ticks (
    sync VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    version INTEGER NOT NULL,
    schedule VARCHAR(255) NOT NULL,
    next_at VARCHAR(32) NOT NULL,
    asked_at VARCHAR(32),
    again_at VARCHAR(32),
    attempts INTEGER NOT NULL,
    probes INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    PRIMARY KEY (sync, target)
)
