INSERT INTO pauses (sync, target, actor, paused_at)
VALUES (:sync, :target, :actor, :paused_at)
ON CONFLICT (sync, target) DO NOTHING
