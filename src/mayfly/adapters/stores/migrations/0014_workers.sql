CREATE TABLE workers (
    executor VARCHAR(128) NOT NULL PRIMARY KEY,
    region VARCHAR(64) NOT NULL,
    beat_ms BIGINT NOT NULL,
    ended INTEGER NOT NULL
)
