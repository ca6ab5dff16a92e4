SELECT target, connection, version, place, key_version, wrapped_key, sealed, created_at, replaced_at
FROM credentials
ORDER BY target, connection, version
