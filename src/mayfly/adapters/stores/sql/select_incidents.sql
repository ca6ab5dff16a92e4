SELECT id, kind, subject, target, code, run, known_at, last_at, occurrences, row_count, closed_at,
    measures, note
FROM incidents ORDER BY known_at, id
