SELECT batches.*, keys.wrapped, keys.key_version
FROM batches LEFT JOIN keys ON keys.blob = batches.blob
ORDER BY batches.purge_by_ms, batches.batch_id
