"""How things follow a head: bound once to its mean, then moved with every head of its topology."""
