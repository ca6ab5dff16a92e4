SELECT digest, document, recorded_at FROM register_versions ORDER BY recorded_at, digest
