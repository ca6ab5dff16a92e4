INSERT INTO cancellations (run_id, actor, asked_at)
VALUES (:run_id, :actor, :asked_at)
ON CONFLICT (run_id) DO NOTHING
