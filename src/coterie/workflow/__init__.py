"""What each verb does: from a request to results."""
