INSERT INTO suppressions (kind, digest, added_at)
VALUES (:kind, :digest, :added_at)
ON CONFLICT (kind, digest) DO NOTHING
