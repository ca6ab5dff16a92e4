INSERT INTO credentials (target, connection, version, place, key_version, wrapped_key, sealed,
                         created_at)
VALUES (:target, :name, :version, :place, :key_version, :wrapped_key, :sealed, :now)
