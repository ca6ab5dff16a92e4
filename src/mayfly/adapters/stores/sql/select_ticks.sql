SELECT sync, target, version, schedule, next_at, asked_at, again_at, attempts, probes, dropped
FROM ticks
WHERE target = :target
ORDER BY sync
