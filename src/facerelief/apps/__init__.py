"""What people do with the estimates: each module is one use, and `cli` only calls it."""
