SELECT digest FROM approving_people WHERE one = 1
