INSERT INTO keys (blob, wrapped, key_version) VALUES (:blob, :wrapped, :key_version)
