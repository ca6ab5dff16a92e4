INSERT INTO erasure_steps (request, sync, destination, status, row_count, code, forgotten, changed_at)
VALUES (:request, :sync, :destination, :status, :row_count, :code, :forgotten, :changed_at)
ON CONFLICT (request, sync) DO UPDATE SET
    destination = excluded.destination,
    status = excluded.status,
    row_count = excluded.row_count,
    code = excluded.code,
    forgotten = excluded.forgotten,
    changed_at = excluded.changed_at
