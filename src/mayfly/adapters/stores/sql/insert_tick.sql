INSERT INTO ticks (sync, target, version, schedule, next_at, asked_at, again_at, attempts, probes,
                   dropped)
VALUES (:sync, :target, 1, :schedule, :next_at, :asked_at, :again_at, :attempts, :probes, :dropped)
ON CONFLICT (sync, target) DO NOTHING
