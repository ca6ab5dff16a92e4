UPDATE runs
SET status = :status, finished_at = :finished_at, counts = :counts, batches = :batches,
    seconds = :seconds, ages = :ages, error_code = :error_code
WHERE run_id = :run_id
