SELECT number, line FROM run_events WHERE run_id = :run_id ORDER BY number
