UPDATE connections SET current = :version, state = 'connected', changed_at = :now
WHERE target = :target AND name = :name AND current = :version - 1
