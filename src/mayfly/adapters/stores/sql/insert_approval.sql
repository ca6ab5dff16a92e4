INSERT INTO approvals (sync, target, fingerprint, document, actor, self_approved, approved_at)
VALUES (:sync, :target, :fingerprint, :document, :actor, :self_approved, :approved_at)
