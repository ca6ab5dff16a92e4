INSERT INTO verdicts (target, model, column_name, class, counts, basis, found_at)
VALUES (:target, :model, :column_name, :class, :counts, :basis, :found_at)
ON CONFLICT (target, model, column_name) DO UPDATE SET
    class = excluded.class, counts = excluded.counts, basis = excluded.basis,
    found_at = excluded.found_at
