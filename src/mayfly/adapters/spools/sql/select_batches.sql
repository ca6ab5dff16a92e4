SELECT batches.*, keys.wrapped, keys.key_version
FROM batches LEFT JOIN keys ON keys.blob = batches.blob
WHERE :batch_id IS NULL OR batches.batch_id = :batch_id
ORDER BY batches.purge_by_ms, batches.batch_id
