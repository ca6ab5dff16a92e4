DELETE FROM register_objections WHERE processor = :processor
