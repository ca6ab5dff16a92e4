SELECT target, model, column_name, class, counts, basis, found_at FROM verdicts
WHERE target = :target AND model = :model ORDER BY column_name
