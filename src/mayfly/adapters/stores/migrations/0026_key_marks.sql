CREATE TABLE key_marks (
    purpose VARCHAR(32) NOT NULL,
    scope VARCHAR(64) NOT NULL,
    mark VARCHAR(64) NOT NULL,
    PRIMARY KEY (purpose, scope)
)
