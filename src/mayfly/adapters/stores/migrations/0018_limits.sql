CREATE TABLE limits (
    account VARCHAR(64) NOT NULL,
    name VARCHAR(32) NOT NULL,
    tokens DOUBLE PRECISION NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (account, name)
);
CREATE TABLE limit_places (
    account VARCHAR(64) NOT NULL,
    holder VARCHAR(64) NOT NULL,
    until DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (account, holder)
)
