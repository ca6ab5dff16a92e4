SELECT recorded FROM suppression_list
