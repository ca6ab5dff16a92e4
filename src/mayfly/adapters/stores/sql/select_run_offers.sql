SELECT run_id, sync, target, mark FROM run_offers WHERE target = :target ORDER BY sync
