INSERT INTO register_notices (recipient, content, processor, what, widens, sent_at, failure)
VALUES (:recipient, :content, :processor, :what, :widens, :sent_at, 'sending')
ON CONFLICT (recipient, content) DO UPDATE SET
    sent_at = excluded.sent_at, failure = 'sending'
WHERE register_notices.failure NOT IN ('', 'sending')
    OR (register_notices.failure = 'sending' AND :again > 0)
