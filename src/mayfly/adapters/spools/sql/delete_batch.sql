DELETE FROM batches WHERE blob = :blob
