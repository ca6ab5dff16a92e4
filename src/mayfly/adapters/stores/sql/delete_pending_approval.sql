DELETE FROM pending_approvals WHERE sync = :sync AND target = :target
