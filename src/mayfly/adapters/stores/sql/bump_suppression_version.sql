UPDATE suppression_list SET version = version + 1
