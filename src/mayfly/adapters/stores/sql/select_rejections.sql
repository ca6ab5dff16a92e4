SELECT sync, target, fingerprint, actor, rejected_at FROM rejections ORDER BY target, sync
