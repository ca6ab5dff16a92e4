UPDATE register_notices SET sent_at = :sent_at, failure = :failure
WHERE recipient = :recipient AND content = :content
