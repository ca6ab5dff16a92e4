DELETE FROM pauses WHERE sync = :sync AND target = :target
