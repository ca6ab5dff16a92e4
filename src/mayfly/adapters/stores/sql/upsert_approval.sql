INSERT INTO approvals (sync, target, fingerprint, document, actor, self_approved, approved_at)
VALUES (:sync, :target, :fingerprint, :document, :actor, :self_approved, :approved_at)
ON CONFLICT (sync, target) DO UPDATE
SET fingerprint = excluded.fingerprint, document = excluded.document, actor = excluded.actor,
    self_approved = excluded.self_approved, approved_at = excluded.approved_at
