DELETE FROM erasure_identifiers WHERE request = :request
