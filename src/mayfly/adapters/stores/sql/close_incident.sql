UPDATE incidents SET closed_at = :closed_at, measures = :measures, note = :note, slot = :id
WHERE id = :id AND closed_at IS NULL
