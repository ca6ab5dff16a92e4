UPDATE workers SET ended = 1 WHERE executor = :executor AND ended = 0 AND beat_ms <= :beat_ms
