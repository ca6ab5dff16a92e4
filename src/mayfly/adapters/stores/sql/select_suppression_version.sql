SELECT version FROM suppression_list
