UPDATE alerts SET failure = :failure
WHERE channel = :channel AND kind = :kind AND subject = :subject AND target = :target
