INSERT INTO register_objections (processor, actor, objected_at)
VALUES (:processor, :actor, :objected_at)
ON CONFLICT (processor) DO NOTHING
