CREATE TABLE verdicts (
    target VARCHAR(64) NOT NULL,
    model VARCHAR(64) NOT NULL,
    column_name TEXT NOT NULL,
    class VARCHAR(32) NOT NULL,
    counts TEXT NOT NULL,
    basis VARCHAR(64) NOT NULL,
    found_at VARCHAR(32) NOT NULL,
    PRIMARY KEY (target, model, column_name)
)
