DELETE FROM alerts
WHERE channel = :channel AND kind = :kind AND subject = :subject AND target = :target
    AND failure <> ''
