SELECT sync, target, fingerprint, document, actor, self_approved, approved_at
FROM approvals
WHERE sync = :sync AND target = :target
