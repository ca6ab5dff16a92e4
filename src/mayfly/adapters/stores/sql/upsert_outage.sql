INSERT INTO outages (destination, target, since, failures, code, asked_again_at)
VALUES (:destination, :target, :since, :failures, :code, :asked_again_at)
ON CONFLICT (destination, target) DO UPDATE SET
    since = excluded.since, failures = excluded.failures, code = excluded.code,
    asked_again_at = excluded.asked_again_at
