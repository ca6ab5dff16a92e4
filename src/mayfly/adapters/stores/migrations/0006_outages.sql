CREATE TABLE outages (
    destination VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    since VARCHAR(32) NOT NULL,
    failures BIGINT NOT NULL,
    code VARCHAR(64) NOT NULL,
    asked_again_at VARCHAR(32),
    PRIMARY KEY (destination, target)
)
