"""What a GPU is asked for while it is to be had for some minutes: does it run, how fast, and how far does it learn."""
