INSERT INTO deletion (step, done_at) VALUES (:step, :done_at)
ON CONFLICT (step) DO NOTHING
