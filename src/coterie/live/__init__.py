"""A run's page, served to the person at this machine and to nobody else."""
