INSERT INTO actors (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING
