DELETE FROM approvals WHERE sync = :sync AND target = :target
