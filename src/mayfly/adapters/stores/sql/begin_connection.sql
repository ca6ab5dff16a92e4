INSERT INTO connections (target, name, current, state, changed_at)
VALUES (:target, :name, 0, 'connected', :now)
ON CONFLICT (target, name) DO NOTHING
