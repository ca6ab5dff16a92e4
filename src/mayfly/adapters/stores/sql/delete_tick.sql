DELETE FROM ticks WHERE sync = :sync AND target = :target
