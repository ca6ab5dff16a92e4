CREATE TABLE pauses (
    sync VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    actor VARCHAR(128) NOT NULL,
    paused_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (sync, target)
)
