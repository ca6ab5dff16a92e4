SELECT latest FROM clock
