SELECT recipient, content, processor, what, widens, sent_at, failure
FROM register_notices
ORDER BY sent_at, recipient, content
