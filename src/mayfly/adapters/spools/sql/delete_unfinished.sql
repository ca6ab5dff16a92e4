DELETE FROM batches WHERE blob = :blob AND sealed_sha256 IS NULL
