CREATE TABLE connections (
    target VARCHAR(64) NOT NULL,
    name VARCHAR(64) NOT NULL,
    current INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    changed_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (target, name)
);
CREATE TABLE credentials (
    target VARCHAR(64) NOT NULL,
    connection VARCHAR(64) NOT NULL,
    version INTEGER NOT NULL,
    place VARCHAR(255) NOT NULL,
    key_version TEXT NOT NULL,
    wrapped_key TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at VARCHAR(32) NOT NULL,
    replaced_at VARCHAR(32),
    PRIMARY KEY (target, connection, version)
)
