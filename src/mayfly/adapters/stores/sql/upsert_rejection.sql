INSERT INTO rejections (sync, target, fingerprint, actor, rejected_at)
VALUES (:sync, :target, :fingerprint, :actor, :rejected_at)
ON CONFLICT (sync, target) DO UPDATE SET
    fingerprint = excluded.fingerprint, actor = excluded.actor, rejected_at = excluded.rejected_at
