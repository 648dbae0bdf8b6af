"""Many networks on shared minibatches: units, the fast step, the search, the table."""
