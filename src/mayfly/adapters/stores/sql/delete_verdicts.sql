DELETE FROM verdicts WHERE target = :target AND model = :model
