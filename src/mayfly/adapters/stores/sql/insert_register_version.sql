INSERT INTO register_versions (digest, document, recorded_at)
VALUES (:digest, :document, :recorded_at)
ON CONFLICT (digest) DO NOTHING
