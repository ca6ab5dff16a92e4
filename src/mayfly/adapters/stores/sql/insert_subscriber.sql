INSERT INTO register_subscribers (name, kind, told, since)
VALUES (:name, :kind, :told, :since)
ON CONFLICT (name) DO NOTHING
