SELECT
    (SELECT COUNT(*) FROM cancellations WHERE run_id = :run_id) AS cancelled,
    (SELECT COUNT(*) FROM pauses WHERE sync = :sync AND target = :target) AS paused,
    (SELECT version FROM suppression_list) AS suppression_version,
    (SELECT fingerprint FROM approvals WHERE sync = :sync AND target = :target) AS approved,
    (SELECT fingerprint FROM rejections WHERE sync = :sync AND target = :target) AS rejected,
    (SELECT digest FROM approving_people WHERE one = 1) AS people
