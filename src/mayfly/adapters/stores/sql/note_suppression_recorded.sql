UPDATE suppression_list SET recorded = :times
