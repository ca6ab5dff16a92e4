UPDATE keys SET wrapped = :wrapped, key_version = :key_version
WHERE blob = :blob AND wrapped = :old
