INSERT INTO open_acts
    (id, action, object, target, actor, before_mark, after_mark, outcome, row_count, holder)
VALUES
    (:id, :action, :object, :target, :actor, :before_mark, :after_mark, :outcome, :row_count, :holder)
ON CONFLICT (id) DO UPDATE SET
    after_mark = excluded.after_mark,
    outcome = excluded.outcome
