INSERT INTO suppressions (kind, digest, added_at, form)
VALUES (:kind, :digest, :added_at, :form)
ON CONFLICT (kind, digest) DO NOTHING
