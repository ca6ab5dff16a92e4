INSERT INTO runs (run_id, sync, target, mode, status, started_at, batches, seconds, holder)
VALUES (:run_id, :sync, :target, :mode, 'running', :started_at, 0, 0, :holder)
