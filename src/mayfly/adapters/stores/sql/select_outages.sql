SELECT destination, target, since, failures, code, asked_again_at FROM outages
ORDER BY destination, target
