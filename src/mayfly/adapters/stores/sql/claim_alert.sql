INSERT INTO alerts (channel, kind, subject, target, since, told_at, failure)
VALUES (:channel, :kind, :subject, :target, :now, :now, 'sending')
ON CONFLICT (channel, kind, subject, target) DO UPDATE SET
    told_at = excluded.told_at, failure = excluded.failure
WHERE (alerts.failure = '' AND alerts.told_at <= :told_before)
    OR (alerts.failure = 'sending' AND alerts.told_at <= :sending_before)
    OR alerts.failure NOT IN ('', 'sending')
