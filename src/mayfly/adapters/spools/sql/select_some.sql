SELECT batches.*, keys.wrapped, keys.key_version
FROM batches LEFT JOIN keys ON keys.blob = batches.blob
WHERE batches.batch_id IN (SELECT value FROM json_each(:batch_ids))
ORDER BY batches.purge_by_ms, batches.batch_id
