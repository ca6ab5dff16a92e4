INSERT INTO pending_approvals (sync, target, fingerprint, since)
VALUES (:sync, :target, :fingerprint, :since)
ON CONFLICT (sync, target) DO UPDATE SET
    fingerprint = excluded.fingerprint, since = excluded.since
WHERE pending_approvals.fingerprint <> excluded.fingerprint
