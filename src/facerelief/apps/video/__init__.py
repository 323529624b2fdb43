"""Films: faces followed, what is seen of them held steady, and written as films or as motion."""
