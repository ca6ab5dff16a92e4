INSERT INTO erasure_identifiers (request, digest) VALUES (:request, :digest)
ON CONFLICT (request, digest) DO NOTHING
