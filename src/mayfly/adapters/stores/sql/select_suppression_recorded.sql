SELECT recorded, recorded_version FROM suppression_list
