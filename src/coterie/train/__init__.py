"""Training: the EM loop and what it stands on."""
