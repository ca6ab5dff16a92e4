CREATE TABLE run_offers (
    sync VARCHAR(64) NOT NULL,
    target VARCHAR(64) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    mark VARCHAR(64) NOT NULL,
    PRIMARY KEY (sync, target)
)
