UPDATE erasures SET due_at = :due_at, extension = :extension, ended_at = :ended_at,
    cancelled = :cancelled
WHERE request = :request
