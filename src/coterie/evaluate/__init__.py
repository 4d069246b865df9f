"""How good a clustering is, where labels are known."""
