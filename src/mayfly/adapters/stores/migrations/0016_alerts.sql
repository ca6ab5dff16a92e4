CREATE TABLE alerts (
    channel VARCHAR(64) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    subject VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    since VARCHAR(32) NOT NULL,
    told_at VARCHAR(32) NOT NULL,
    failure VARCHAR(64) NOT NULL,
    PRIMARY KEY (channel, kind, subject, target)
)
