SELECT executor, region, beat_ms, ended FROM workers ORDER BY executor
