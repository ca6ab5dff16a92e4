DELETE FROM cancellations WHERE run_id = :run_id
