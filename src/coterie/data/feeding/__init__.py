"""What a method is fed with: a `Store` or a matrix of features goes in, batches of views, edges or pairs come out."""
