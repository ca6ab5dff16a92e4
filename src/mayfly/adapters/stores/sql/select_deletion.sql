SELECT step, done_at FROM deletion ORDER BY done_at, step
