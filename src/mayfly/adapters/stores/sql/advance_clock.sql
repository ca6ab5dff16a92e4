UPDATE clock SET latest = :now WHERE latest < :now
