SELECT id, action, object, target, actor, before_mark, after_mark, outcome, row_count, holder
FROM open_acts ORDER BY id
