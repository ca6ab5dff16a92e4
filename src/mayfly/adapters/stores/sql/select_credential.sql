SELECT target, connection, version, place, key_version, wrapped_key, sealed, created_at, replaced_at
FROM credentials
WHERE target = :target AND connection = :name AND version = :version
