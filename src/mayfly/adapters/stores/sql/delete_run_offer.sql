DELETE FROM run_offers WHERE run_id = :run_id
