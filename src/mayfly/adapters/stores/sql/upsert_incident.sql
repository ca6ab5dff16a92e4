INSERT INTO incidents
    (id, kind, subject, target, code, run, known_at, last_at, occurrences, row_count, measures, note, slot)
VALUES
    (:id, :kind, :subject, :target, :code, :run, :known_at, :known_at, 1, :row_count, '', '', :slot)
ON CONFLICT (slot) DO UPDATE SET
    last_at = excluded.last_at,
    occurrences = incidents.occurrences + 1,
    row_count = CASE
        WHEN excluded.row_count > incidents.row_count THEN excluded.row_count
        ELSE incidents.row_count
    END
