DELETE FROM outages WHERE destination = :destination AND target = :target
