SELECT run_id, sync, target, mode, status, started_at, finished_at, counts, batches, seconds,
       ages, error_code, holder
FROM runs
WHERE run_id = :run_id
