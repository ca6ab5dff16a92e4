INSERT INTO run_offers (sync, target, run_id, mark) VALUES (:sync, :target, :run_id, :mark)
ON CONFLICT (sync, target) DO UPDATE SET run_id = excluded.run_id, mark = excluded.mark
