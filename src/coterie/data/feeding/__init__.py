"""What a method is fed with: a `Store` or a matrix of features goes in, batches of views or of edges come out."""
