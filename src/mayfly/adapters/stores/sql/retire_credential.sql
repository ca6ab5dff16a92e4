UPDATE credentials SET replaced_at = :now
WHERE target = :target AND connection = :name AND version < :version AND replaced_at IS NULL
