CREATE TABLE rejections (
    sync VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    actor VARCHAR(128) NOT NULL,
    rejected_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (sync, target)
);
CREATE TABLE approving_people (
    one INTEGER NOT NULL PRIMARY KEY,
    digest VARCHAR(64) NOT NULL
)
