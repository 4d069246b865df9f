"""What a run leaves behind: configuration, folder, table of assignments and model."""
