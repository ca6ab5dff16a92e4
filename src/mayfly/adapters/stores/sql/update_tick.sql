UPDATE ticks
SET version = version + 1, schedule = :schedule, next_at = :next_at, asked_at = :asked_at,
    again_at = :again_at, attempts = :attempts, probes = :probes, dropped = :dropped
WHERE sync = :sync AND target = :target AND version = :version
