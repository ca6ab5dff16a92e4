DELETE FROM credentials WHERE target = :target AND connection = :name
