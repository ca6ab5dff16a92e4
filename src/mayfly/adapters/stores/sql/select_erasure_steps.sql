SELECT sync, destination, status, row_count, code, forgotten, changed_at
FROM erasure_steps WHERE request = :request ORDER BY sync
