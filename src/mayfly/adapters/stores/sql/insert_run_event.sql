INSERT INTO run_events (run_id, number, line) VALUES (:run_id, :number, :line)
ON CONFLICT (run_id, number) DO NOTHING
