CREATE TABLE anchors (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    entries BIGINT NOT NULL,
    published_at VARCHAR(32),
    code VARCHAR(64) NOT NULL
)
