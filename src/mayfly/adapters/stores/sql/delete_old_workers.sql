DELETE FROM workers WHERE ended = 1 AND beat_ms < :before_ms
