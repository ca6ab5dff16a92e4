CREATE TABLE cancellations (
    run_id VARCHAR(64) NOT NULL PRIMARY KEY,
    actor VARCHAR(128) NOT NULL,
    asked_at VARCHAR(32) NOT NULL
);
CREATE TABLE run_events (
    run_id VARCHAR(64) NOT NULL,
    number INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (run_id, number)
)
