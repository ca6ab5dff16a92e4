SELECT run_id, sync, target, mode, status, started_at, finished_at, counts, batches, seconds,
       ages, error_code, holder
FROM runs
ORDER BY started_at DESC, run_id DESC
LIMIT :limit
