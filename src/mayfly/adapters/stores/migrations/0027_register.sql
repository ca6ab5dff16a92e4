CREATE TABLE register_versions (
    digest CHAR(64) NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    recorded_at VARCHAR(32) NOT NULL
);
CREATE TABLE register_subscribers (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    kind VARCHAR(16) NOT NULL,
    told CHAR(64) NOT NULL,
    since VARCHAR(32) NOT NULL
);
CREATE TABLE register_notices (
    recipient VARCHAR(64) NOT NULL,
    content CHAR(64) NOT NULL,
    processor VARCHAR(64) NOT NULL,
    what VARCHAR(16) NOT NULL,
    widens INTEGER NOT NULL,
    sent_at VARCHAR(32) NOT NULL,
    failure VARCHAR(64) NOT NULL,
    PRIMARY KEY (recipient, content)
);
CREATE TABLE register_objections (
    processor VARCHAR(64) NOT NULL PRIMARY KEY,
    actor VARCHAR(128) NOT NULL,
    objected_at VARCHAR(32) NOT NULL
)
