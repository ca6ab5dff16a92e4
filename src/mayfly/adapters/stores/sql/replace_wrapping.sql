UPDATE credentials SET wrapped_key = :wrapped, key_version = :key_version
WHERE target = :target AND connection = :name AND version = :version AND wrapped_key = :before
