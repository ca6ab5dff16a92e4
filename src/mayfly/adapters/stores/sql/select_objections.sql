SELECT processor, actor, objected_at FROM register_objections ORDER BY processor
