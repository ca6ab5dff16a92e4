DELETE FROM credentials WHERE replaced_at < :before
