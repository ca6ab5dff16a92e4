UPDATE suppression_list SET recorded = :times, recorded_version = :version
