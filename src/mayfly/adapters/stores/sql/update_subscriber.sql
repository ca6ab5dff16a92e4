UPDATE register_subscribers SET told = :told WHERE name = :name
