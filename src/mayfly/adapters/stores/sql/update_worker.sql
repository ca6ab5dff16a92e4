UPDATE workers SET beat_ms = :now_ms
WHERE executor = :executor AND ended = 0 AND beat_ms >= :overdue_ms
