UPDATE connections SET state = :state, changed_at = :now WHERE target = :target AND name = :name
