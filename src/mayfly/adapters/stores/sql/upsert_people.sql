INSERT INTO approving_people (one, digest) VALUES (1, :digest)
ON CONFLICT (one) DO UPDATE SET digest = excluded.digest
