INSERT INTO workers (executor, region, beat_ms, ended) VALUES (:executor, :region, :now_ms, 0)
