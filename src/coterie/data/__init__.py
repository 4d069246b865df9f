"""From files to batches of views."""
