SELECT count(*) AS batches FROM batches
