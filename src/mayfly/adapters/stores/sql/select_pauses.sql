SELECT sync, target, actor, paused_at FROM pauses WHERE target = :target ORDER BY sync
