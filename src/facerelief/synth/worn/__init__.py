"""What heads wear, and what hides them: glasses, hats, cut-outs."""
