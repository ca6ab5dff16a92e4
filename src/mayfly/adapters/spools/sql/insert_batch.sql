INSERT INTO batches (
    batch_id, workspace, region, target, sync, run, batch, operation, identifier, row_count,
    cls, exception, read_at_ms, purge_by_ms, blob
) VALUES (
    :batch_id, :workspace, :region, :target, :sync, :run, :batch, :operation, :identifier,
    :row_count, :cls, :exception, :read_at_ms, :purge_by_ms, :blob
)
ON CONFLICT (batch_id) DO NOTHING
