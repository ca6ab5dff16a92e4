SELECT channel, kind, subject, target, since, told_at, failure FROM alerts
ORDER BY target, subject, kind, channel
