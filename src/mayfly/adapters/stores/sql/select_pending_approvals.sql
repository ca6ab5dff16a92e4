SELECT sync, target, fingerprint, since FROM pending_approvals ORDER BY target, sync
