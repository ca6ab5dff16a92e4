DELETE FROM run_events
WHERE run_id NOT IN (
    SELECT run_id FROM runs
    WHERE started_at >= :since
    ORDER BY started_at DESC, run_id DESC
    LIMIT :runs
)
