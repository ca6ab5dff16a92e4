UPDATE batches SET sealed_sha256 = :sealed_sha256, sealed_bytes = :sealed_bytes
WHERE batch_id = :batch_id AND blob = :blob AND EXISTS (SELECT 1 FROM keys WHERE blob = :blob)
