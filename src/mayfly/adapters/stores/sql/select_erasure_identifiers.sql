SELECT digest FROM erasure_identifiers WHERE request = :request ORDER BY digest
