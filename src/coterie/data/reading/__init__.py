"""How images are read and kept: a `Source` goes in, a `Store` of squares of one size comes out, decoded once."""
